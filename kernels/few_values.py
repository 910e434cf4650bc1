"""The first few distinct values of each customer, side by side on one cache line; only further ones need a pair set.

    kept(customer) = its first FEW distinct values, in the order they came;   a value among them is no new one

Most customers have few of anything. A pair set costs a line per pair, the more the larger it grows: 100 ns a row for a
million pairs, this 20. Compared exactly; MISSING says that a place is free, and is no value.
"""

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import MISSING, Part, with_room
from kernels.slots import AHEAD

FEW = 8  # words of a cache line


@kernel
def _keep(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    values: NDArray[np.int64],
    kept: NDArray[np.int64],
    out_numbers: NDArray[np.int32],
    out_values: NDArray[np.int64],
) -> tuple[int, int]:
    """Keep the values of purchases in kept int64[n_customers, FEW] while there is a free place.

    Write the (customer, value) pairs for which there was none; return (values newly kept, pairs written).
    """
    n_kept = n = 0
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(kept, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        value = values[i]
        if actions[i] != rec.PURCHASE or value == MISSING:
            continue
        n_equal = n_there = 0
        for place in range(FEW):  # all of them, without a branch: where it would end cannot be foretold
            n_equal += kept[number, place] == value
            n_there += kept[number, place] != MISSING
        if n_equal:
            continue
        if n_there < FEW:
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
        self._kept = np.empty((0, FEW), dtype=np.int64)
        self.n_values = 0

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._kept.nbytes

    def add(self, part: Part) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Keep what there is room for; return (numbers, values) of the purchases beyond, some more than once."""
        self._kept = with_room(self._kept, part.n_customers, MISSING)
        numbers, values = np.empty(len(part.rows), dtype=np.int32), np.empty(len(part.rows), dtype=np.int64)
        column = readonly(part.columns[self._column])
        n_kept, n = _keep(part.rows, part.numbers, part.batch.actions, column, self._kept, numbers, values)
        self.n_values += n_kept
        return numbers[:n], values[:n]

    def kept(self, n: int) -> NDArray[np.int64]:
        """Return int64[n, FEW] by customer number, filled from the left; MISSING: none."""
        return with_room(self._kept, n, MISSING)[:n]
