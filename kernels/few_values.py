"""The first few distinct values of each customer, side by side on one cache line; only further ones need a pair set.

    kept(customer) = its first few distinct values, in the order they came;   a value among them is no new one

Most customers have few of anything. A pair set costs a line per pair, the more the larger it grows: 100 ns a row for a
million pairs, this 20. Compared exactly. A line holds 8 values of 64 bits, or 16 of 32 where the first batch has no
others: a value that comes later and needs 64 is not kept then, but always told of.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly, row_kernel
from kernels.accumulators import MISSING, Part, with_room
from kernels.slots import AHEAD

FEW = 8  # words of a cache line
_LOWEST, _HIGHEST = int(np.iinfo(np.int32).min) + 1, int(np.iinfo(np.int32).max)  # of 32 bits; one less is no value


@row_kernel
def _look(kept: NDArray[Any], number: Any, first: int, value: Any, free: Any) -> tuple[int, int]:
    """Return how many of FEW places from first on hold the value, and how many any; all of them, without a branch."""
    n_equal = n_there = 0
    for place in range(first, first + FEW):  # where it would end cannot be foretold
        n_equal += kept[number, place] == value
        n_there += kept[number, place] != free
    return n_equal, n_there


@kernel
def _keep(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    values: NDArray[np.int64],
    kept: NDArray[Any],
    lowest: int,
    highest: int,
    out_numbers: NDArray[np.int32],
    out_values: NDArray[np.int64],
) -> tuple[int, int]:
    """Keep values of purchases, lowest … highest, in kept int64[n_customers, 8] or int32[n_customers, 16].

    A place is free that holds lowest - 1. Write the (customer, value) pairs for which there was none, or that lie
    outside; return (values newly kept, pairs written).
    """
    n_kept = n = 0
    free = kept.dtype.type(lowest - 1)
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(kept, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        value = values[i]
        if actions[i] != rec.PURCHASE or value == MISSING:
            continue
        n_there = kept.shape[1]
        if lowest <= value <= highest:
            own = kept.dtype.type(value)
            n_equal, n_there = _look(kept, number, 0, own, free)
            if n_there == FEW and n_equal == 0 and kept.shape[1] > FEW:
                n_equal, n_more = _look(kept, number, FEW, own, free)
                n_there += n_more
            if n_equal:
                continue
        if n_there < kept.shape[1]:
            kept[number, n_there] = value
            n_kept += 1
        else:
            out_numbers[n] = numbers[j]
            out_values[n] = value
            n += 1
    return n_kept, n


class FewValues:
    """The first few values of one column for one shard."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._kept: NDArray[Any] = np.empty((0, FEW), dtype=np.int64)
        self.free = MISSING
        """What a place of `kept` holds that is free."""
        self.n_values = 0

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._kept.nbytes

    def add(self, part: Part) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Keep what there is room for; return (numbers, values) of the purchases beyond, some more than once."""
        column = readonly(part.columns[self._column])
        if not len(self._kept):
            own = column[part.rows]
            if not ((own != MISSING) & ((own < _LOWEST) | (own > _HIGHEST))).any():
                self._kept, self.free = np.empty((0, 2 * FEW), dtype=np.int32), _LOWEST - 1
        self._kept = with_room(self._kept, part.n_customers, self.free)
        numbers, values = np.empty(len(part.rows), dtype=np.int32), np.empty(len(part.rows), dtype=np.int64)
        bounds = (_LOWEST, _HIGHEST) if self.free != MISSING else (MISSING + 1, int(np.iinfo(np.int64).max))
        n_kept, n = _keep(part.rows, part.numbers, part.batch.actions, column, self._kept, *bounds, numbers, values)
        self.n_values += n_kept
        return numbers[:n], values[:n]

    def kept(self, n: int) -> NDArray[Any]:
        """Return int64[n, 8] or int32[n, 16] by customer number, filled from the left; `free`: none."""
        return with_room(self._kept, n, self.free)[:n]
