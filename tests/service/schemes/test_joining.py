"""Accumulations of one kind are kept side by side, and each gets its own figures back."""

from __future__ import annotations

from service.schemes.accumulations import AmountInWindow, Days, Last, PurchaseAmount, PurchasesInWindow, Sum
from service.schemes.joining import Joined, joined


def test_last_values_and_sums_are_kept_together_others_by_themselves() -> None:
    wanted = [Last("a"), Sum("b"), Days(), Last("c"), PurchaseAmount()]
    assert joined(wanted) == [
        Joined((Last("a"), Last("c")), "@last"),
        Joined((Sum("b"), PurchaseAmount()), "@sums"),
        Joined((Days(),)),
    ]
    windows = [AmountInWindow(9), PurchasesInWindow(9), AmountInWindow(18, 9), PurchasesInWindow(18, 9)]
    assert joined(windows) == [
        Joined((AmountInWindow(9), AmountInWindow(18, 9)), "@windows"),
        Joined((PurchasesInWindow(9), PurchasesInWindow(18, 9)), "@counts"),
    ]
    assert joined([Last("a"), Sum("b"), PurchaseAmount()], are_floats=True) == [
        Joined((Last("a"),)),
        Joined((Sum("b"),), "@record"),
        Joined((PurchaseAmount(),), "@purchases"),
    ]
    assert joined(windows, are_floats=True)[0] == Joined((AmountInWindow(9),), "@record")
    assert joined([Last("a")]) == [Joined((Last("a"),))]
