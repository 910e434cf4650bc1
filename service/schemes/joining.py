"""Accumulations that are kept side by side: a row then fetches what its customer has of all of them at once.

A customer's lines of memory are what a row costs; six last values on six lines took three times as long as on two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kernels.accumulators import Accumulator
from kernels.column_sums import ColumnSums
from kernels.last_values import LastValues
from kernels.packing import WORD_BYTES
from kernels.purchase_sums import PurchaseSums
from kernels.record_sums import RecordSum
from kernels.window_sums import WindowCounts, WindowSums
from service.schemes.accumulations import (
    Accumulation,
    AmountInWindow,
    Figures,
    Last,
    PurchaseAmount,
    PurchasesInWindow,
    Setup,
    Sum,
    window_figures,
)

__all__ = ["Joined", "joined"]

_LAST, _SUMS, _WINDOWS, _COUNTS = "@last", "@sums", "@windows", "@counts"
_RECORD, _PURCHASES = "@record", "@purchases"
_KINDS: dict[type, str] = {
    Last: _LAST,
    Sum: _SUMS,
    PurchaseAmount: _SUMS,
    AmountInWindow: _WINDOWS,
    PurchasesInWindow: _COUNTS,
}


@dataclass(frozen=True)
class Joined:
    """Accumulations that share one accumulator; `name`: which one."""

    parts: tuple[Accumulation, ...]
    name: str | None = None

    def packed(self, setup: Setup) -> list[str]:
        """The columns of which rows come side by side: several narrow ones, or one beside others."""
        columns = self._columns() if self.name == _LAST else []
        return [column for column in columns if setup.dtypes[column].itemsize < WORD_BYTES]

    @property
    def derived(self) -> list[str]:
        """The columns it reads that follow from others."""
        columns = () if self.name in (_RECORD, _PURCHASES) else self._columns()
        return [column for column in columns if column.startswith("@")]

    def make(self, setup: Setup) -> Accumulator:
        """An accumulator for one shard."""
        if self.name == _LAST:
            return LastValues({column: setup.dtypes[column] for column in self._columns()})
        if self.name == _SUMS:
            return ColumnSums(*self._columns())
        if self.name == _PURCHASES:
            return PurchaseSums()
        if self.name == _RECORD:
            (part,) = self.parts
            if isinstance(part, AmountInWindow):
                return RecordSum(window=part.window(setup))
            if isinstance(part, PurchaseAmount):
                return RecordSum(part.where, of_amounts=True)
            return RecordSum(part.columns[0])
        windows = [part.window(setup) for part in self.parts if isinstance(part, AmountInWindow | PurchasesInWindow)]
        if self.name == _WINDOWS:
            return WindowSums(*windows, exact=setup.amount_kind != "float")
        if self.name == _COUNTS:
            return WindowCounts(*windows)
        return self.parts[0].make(setup)

    def figures(self, accumulator: Any, n: int, setup: Setup) -> list[Figures]:
        """Those of each part, of customers 0 … n − 1; LastValues write theirs to where customers are listed."""
        if self.name in (_SUMS, _RECORD, _PURCHASES):
            return [{"value": accumulator.sums(n, place)} for place in range(len(self.parts))]
        if self.name == _COUNTS:
            return [{"value": accumulator.counts(n, place)} for place in range(len(self.parts))]
        if self.name == _WINDOWS:
            return [window_figures(accumulator, n, setup, place) for place in range(len(self.parts))]
        return [self.parts[0].figures(accumulator, n, setup)]

    def _columns(self) -> Sequence[str]:
        return [column for part in self.parts for column in part.columns]


def joined(wanted: Iterable[Accumulation], *, are_floats: bool = False) -> list[Joined]:
    """All of them, those of one kind that can be kept side by side together, in the order in which they first come.

    Where amounts are floats, the first sum is kept in the customers' records; that of all purchases is there anyway.
    """
    groups: dict[Any, list[Accumulation]] = {}
    for one in wanted:
        group = _KINDS.get(type(one), one)
        if are_floats and one == PurchaseAmount():
            group = _PURCHASES
        elif are_floats and group in (_SUMS, _WINDOWS) and _RECORD not in groups:
            group = _RECORD
        groups.setdefault(group, []).append(one)
    return [
        Joined(tuple(parts), group if len(parts) > 1 or group in (_RECORD, _PURCHASES) else None)
        for group, parts in groups.items()
    ]
