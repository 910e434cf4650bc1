"""Accumulations of one kind are kept side by side, and each gets its own figures back."""

from __future__ import annotations

import numpy as np

from service.schemes.accumulations import Days, Last, PurchaseAmount, Sum
from service.schemes.joining import Joined, joined


def test_last_values_and_sums_are_kept_together_others_by_themselves() -> None:
    wanted = [Last("a"), Sum("b"), Days(), Last("c"), PurchaseAmount()]
    assert joined(wanted) == [
        Joined((Last("a"), Last("c")), "@last"),
        Joined((Sum("b"), PurchaseAmount()), "@sums"),
        Joined((Days(),)),
    ]
    assert joined([Last("a")]) == [Joined((Last("a"),))]


def test_sums_stand_one_a_row() -> None:
    arrays = {"a": np.array([0.5, np.nan]), "c": np.array([3.0, 4.0])}
    (together,) = joined([Sum("a"), Sum("c")])
    assert together.side_by_side(arrays)["@sums"].tobytes() == np.array([[0.5, np.nan], [3.0, 4.0]]).tobytes()
    for alone in (joined([Sum("a")]), joined([Last("a"), Last("c")])):
        assert alone[0].side_by_side(arrays) == {}
