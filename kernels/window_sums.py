"""The sum of the amounts in a window of time, per customer, and how many purchases lie in it.

    sum = Σ amount over the customer's rows with lower < tick ≤ upper, refunds as in its monetary value

Integer and decimal amounts are summed exactly in 128 bits (see money.py), floats in the order of the rows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch
from kernels.accumulators import Part, with_room
from kernels.slots import AHEAD


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    amounts: Any,
    lower: int,
    upper: int,
    sums: Any,
) -> bool:
    """Add the amounts inside the window to sums float64[n], or int64[n, 2] of (low, high) words; tell of overflow."""
    overflow = False
    for j in range(len(rows)):
        i = np.uint64(rows[j])
        if j + AHEAD < len(rows):
            prefetch(sums, np.int64(numbers[j + AHEAD]))
        if actions[i] < rec.REFUND or ticks[i] <= lower or ticks[i] > upper:
            continue
        number = np.uint64(numbers[j])
        if amounts.ndim == 1:
            sums[number] += amounts[i]
        else:
            low, high = amounts[i, 0], amounts[i, amounts.shape[1] - 1]
            if amounts.shape[1] == 1:
                high >>= 63  # the sign
            old_low, old_high = np.uint64(sums[number, 0]), sums[number, 1]
            new_low = old_low + np.uint64(low)
            new_high = old_high + high + (1 if new_low < old_low else 0)
            sums[number, 0] = np.int64(new_low)
            sums[number, 1] = new_high
            overflow |= ((old_high ^ new_high) & (high ^ new_high)) < 0
    return bool(overflow)


@kernel
def _count(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    lower: int,
    upper: int,
    counts: NDArray[np.int64],
) -> None:
    """Count the purchase rows inside the window."""
    for j in range(len(rows)):
        i = np.uint64(rows[j])
        if j + AHEAD < len(rows):
            prefetch(counts, np.int64(numbers[j + AHEAD]))
        if actions[i] == rec.PURCHASE and lower < ticks[i] <= upper:
            counts[np.uint64(numbers[j])] += 1


class WindowSums:
    """The sums of one window for one shard."""

    def __init__(self, lower_tick: int, upper_tick: int, *, exact: bool) -> None:
        self._lower, self._upper = lower_tick, upper_tick
        self._sums: NDArray[Any] = np.empty((0, 2), dtype=np.int64) if exact else np.empty(0, dtype=np.float64)
        self.overflow = False

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._sums.nbytes

    def add(self, part: Part) -> None:
        """Add the amounts of the rows inside the window."""
        self._sums = with_room(self._sums, part.n_customers, 0)
        window = int(self._lower), int(self._upper)
        self.overflow |= _add(part.rows, part.numbers, *part.batch, *window, self._sums)

    def sums(self, n: int) -> NDArray[Any]:
        """Return float64[n], or int64[n, 2] of (low, high) words, by customer number."""
        return with_room(self._sums, n, 0)[:n]


class WindowCounts:
    """The purchase rows of one window for one shard."""

    def __init__(self, lower_tick: int, upper_tick: int) -> None:
        self._lower, self._upper = lower_tick, upper_tick
        self._counts = np.empty(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._counts.nbytes

    def add(self, part: Part) -> None:
        """Count the rows."""
        self._counts = with_room(self._counts, part.n_customers, 0)
        actions, ticks, _ = part.batch
        _count(part.rows, part.numbers, actions, ticks, int(self._lower), int(self._upper), self._counts)

    def counts(self, n: int) -> NDArray[np.int64]:
        """Return int64[n] by customer number."""
        return with_room(self._counts, n, 0)[:n]
