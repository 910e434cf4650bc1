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


def test_columns_stand_one_a_row_as_the_bits_they_came_in() -> None:
    arrays = {"a": np.array([0.5, np.nan]), "c": np.array([3, 4])}
    (together,) = joined([Last("a"), Last("c")])
    found = together.side_by_side(arrays)["@last"]
    assert found.dtype == np.int64
    assert found[0].tobytes() == arrays["a"].tobytes()
    assert found[1].tolist() == [3, 4]
    assert joined([Sum("a")])[0].side_by_side(arrays) == {}
