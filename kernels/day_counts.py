"""Rows per UTC day, to find out whether the latest row stands far from all the others.

    day = ⌊tick / ticks_per_day⌋, clipped to 1900 … 2200

Clipped, so that a table of days costs the same whatever times are sent; what lies outside counts in the outermost day.
"""

import math

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, mask_bytes, readonly

FIRST_DAY = -25_567  # 1900-01-01, in days since 1970-01-01
LAST_DAY = 84_006  # 2200-01-01
_BLOCK = 1024  # ticks; 4 KiB of places


@kernel
def _count(
    ticks: NDArray[np.int64], keep: NDArray[np.uint8], ticks_per_day: int, counts: NDArray[np.int64]
) -> tuple[int, int, int]:
    """Add the kept rows to counts; return (how many those are, first place, last place), places of any row.

    The quotient comes from a multiplication, which misses by one day at most, and the rest puts it right; block by
    block, so that the first loop needs no branch and no scalar: a third of what dividing took.
    """
    rows, places, days_per_tick = 0, np.empty(_BLOCK, dtype=np.int32), 1.0 / ticks_per_day
    before, after = FIRST_DAY - 1.0, LAST_DAY + 1.0
    first, last = len(counts), -1
    for start in range(0, len(ticks), _BLOCK):
        block = ticks[start : start + _BLOCK]
        for i in range(len(block)):
            quotient = block[i] * days_per_tick
            quotient = before if quotient < before else quotient
            quotient = after if quotient > after else quotient
            day = int(quotient)
            rest = block[i] - day * ticks_per_day
            day += int(rest >= ticks_per_day) - int(rest < 0)
            place = min(max(day, FIRST_DAY), LAST_DAY) - FIRST_DAY
            places[i] = place
            first, last = min(first, place), max(last, place)
        for i in range(len(block)):
            there = 1 if len(keep) == 0 else int(keep[start + i] != 0)
            counts[np.uint64(places[i])] += there
            rows += there
    return rows, first, last


class _Share:
    """What one thread at a time counts."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.first, self.last = LAST_DAY - FIRST_DAY, 0
        self.counts = np.zeros(LAST_DAY - FIRST_DAY + 1, dtype=np.int64)  # untouched pages take no memory


class DayCounts:
    """How many rows each day has; one per table, filled batch by batch, in any threads.

    Each thread takes a share that none is at work on: one lock for all held up whoever prepared a batch meanwhile.
    """

    def __init__(self, ticks_per_day: int) -> None:
        self.ticks_per_day = int(ticks_per_day)
        self._shares: list[_Share] = []
        self._idle: list[_Share] = []  # appending and popping are atomic

    @property
    def n_rows(self) -> int:
        """Rows counted."""
        return sum(share.n_rows for share in self._shares)

    def add(self, ticks: NDArray[np.int64], keep: NDArray[np.bool_] | None = None) -> None:
        """Count the rows of ticks int64[n] whose keep bool[n] is True (all when keep is None). In any thread."""
        try:
            share = self._idle.pop()
        except IndexError:
            share = _Share()
            self._shares.append(share)
        rows, first, last = _count(readonly(ticks), mask_bytes(keep), self.ticks_per_day, share.counts)
        share.n_rows += rows
        share.first, share.last = min(share.first, first), max(share.last, last)
        self._idle.append(share)

    def percentile(self, p: float) -> int:
        """Return the first tick of the day by which p per cent of the rows have happened.

        Linear between two rows, and rounded down: the last row of fewer than 1,000 does not count as 99.9 % itself. A
        ValueError when no row was counted. Days before 1900 read as 1900-01-01, days after 2200 as 2200-01-01.
        """
        n_rows = self.n_rows
        if n_rows == 0:
            raise ValueError("percentile: found no rows, wanted at least one; add rows first")
        place = p * (n_rows - 1) / 100
        first = min(share.first for share in self._shares)
        days = slice(first, max(share.last for share in self._shares) + 1)
        running = np.cumsum(sum(share.counts[days] for share in self._shares))
        low, high = (int(np.searchsorted(running, rank, side="right")) for rank in (int(place), math.ceil(place)))
        day = low + int((place - int(place)) * (high - low))
        return (day + first + FIRST_DAY) * self.ticks_per_day
