"""The sums of the amounts in windows of time, per customer, and how many purchases lie in them.

    sum = Σ amount over the customer's rows with lower < tick ≤ upper, refunds as in its monetary value

Integer and decimal amounts are summed exactly in 128 bits (see money.py), floats in the order of the rows. Rows outside
all windows are left out first, without a branch for each.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import Part
from kernels.growing import Growing
from kernels.slots import AHEAD

Window = tuple[int, int]  # lower and upper tick


@kernel
def _inside(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    least: int,
    lower: int,
    upper: int,
    out_rows: NDArray[np.int32],
    out_numbers: NDArray[np.int32],
) -> int:
    """Write the rows with lower < tick ≤ upper and an action of at least `least`, and their customers; return how many.

    out_rows and out_numbers: int32[len(rows)].
    """
    n = np.uint64(0)
    for j in range(len(rows)):
        i = np.uint64(rows[j])
        out_rows[n] = rows[j]
        out_numbers[n] = numbers[j]
        n += np.uint64((actions[i] >= least) & (ticks[i] > lower) & (ticks[i] <= upper))
    return int(np.int64(n))


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    ticks: NDArray[np.int64],
    amounts: Any,
    windows: NDArray[np.int64],
    sums: Any,
) -> bool:
    """Add the amounts inside each of windows int64[w, 2] to sums; tell of overflow.

    sums float64[n_customers, w], or int64[n_customers, 2 · w] of (low, high) words. Outside a window 0 is added, which
    leaves the bits of a sum as they are: one that began as 0 is never −0.
    """
    overflow = False
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(sums, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        tick = ticks[i]
        for w in range(len(windows)):
            there = (tick > windows[w, 0]) & (tick <= windows[w, 1])
            if amounts.ndim == 1:
                sums[number, w] += amounts[i] if there else 0.0
            else:
                at = np.uint64(2 * w)
                low, high = amounts[i, 0] * there, amounts[i, amounts.shape[1] - 1] * there
                if amounts.shape[1] == 1:
                    high >>= 63  # the sign
                old_low, old_high = np.uint64(sums[number, at]), sums[number, at + np.uint64(1)]
                new_low = old_low + np.uint64(low)
                new_high = old_high + high + (1 if new_low < old_low else 0)
                sums[number, at] = np.int64(new_low)
                sums[number, at + np.uint64(1)] = new_high
                overflow |= ((old_high ^ new_high) & (high ^ new_high)) < 0
    return bool(overflow)


@kernel
def _count(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    ticks: NDArray[np.int64],
    windows: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Count the rows inside each of windows int64[w, 2], in counts int64[n_customers, w]."""
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(counts, np.int64(numbers[j + AHEAD]))
        tick, number = ticks[np.uint64(rows[j])], np.uint64(numbers[j])
        for w in range(len(windows)):
            counts[number, w] += (tick > windows[w, 0]) & (tick <= windows[w, 1])


class _Windows:
    """Windows, and the rows of a part that lie in any of them."""

    def __init__(self, windows: Sequence[Window], least: int) -> None:
        self.ticks = readonly(np.array(windows, dtype=np.int64).reshape(-1, 2))
        self._all = int(self.ticks[:, 0].min()), int(self.ticks[:, 1].max())
        self._least = least

    def inside(self, part: Part) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return rows and customers."""
        rows, numbers = (np.empty(len(part.rows), dtype=np.int32) for _ in range(2))
        actions, ticks, _ = part.batch
        n = _inside(part.rows, part.numbers, actions, ticks, self._least, *self._all, rows, numbers)
        return readonly(rows[:n]), readonly(numbers[:n])


class WindowSums:
    """The sums of some windows for one shard."""

    def __init__(self, *windows: Window, exact: bool) -> None:
        self._windows, self._n_words = _Windows(windows, rec.REFUND), 2 if exact else 1
        self._sums = Growing((self._n_words * len(windows),), np.int64 if exact else np.float64)
        self.overflow = False

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._sums.nbytes

    def add(self, part: Part) -> None:
        """Add the amounts of the rows inside the windows."""
        sums = self._sums.of(part.n_customers)
        inside, (_, ticks, amounts) = self._windows.inside(part), part.batch
        self.overflow |= _add(*inside, ticks, amounts, self._windows.ticks, sums)

    def sums(self, n: int, window: int = 0) -> NDArray[Any]:
        """Return float64[n], or int64[n, 2] of (low, high) words, of one of the windows by customer number."""
        sums, place = self._sums.of(n)[:n], self._n_words * window
        return sums[:, place] if self._n_words == 1 else sums[:, place : place + 2]


class WindowCounts:
    """The purchase rows of some windows for one shard."""

    def __init__(self, *windows: Window) -> None:
        self._windows = _Windows(windows, rec.PURCHASE)
        self._counts = Growing((len(windows),), np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._counts.nbytes

    def add(self, part: Part) -> None:
        """Count the rows."""
        counts = self._counts.of(part.n_customers)
        _count(*self._windows.inside(part), part.batch.ticks, self._windows.ticks, counts)

    def counts(self, n: int, window: int = 0) -> NDArray[np.int64]:
        """Return int64[n] of one of the windows by customer number."""
        counts: NDArray[np.int64] = self._counts.of(n)[:n, window]
        return counts
