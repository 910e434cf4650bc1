"""How many distinct values of a column each customer bought: products, categories, contacts.

count = |{value of the customer's purchase rows}|, compared exactly, missing ones left out
"""

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import MISSING, Part, with_room
from kernels.pairs import PairSet
from kernels.slots import AHEAD


@kernel
def select_pairs(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    values: NDArray[np.int64],
    last_values: NDArray[np.int64],
    out_numbers: NDArray[np.int32],
    out_values: NDArray[np.int64],
) -> int:
    """Write the (customer, value) pairs of purchases that differ from the customer's one before; return how many.

    last_values int64[n_customers], kept from batch to batch: the lines of a receipt seldom reach the pair set.
    """
    n = 0
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(last_values, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        value = values[i]
        if actions[i] == rec.PURCHASE and value != MISSING and value != last_values[number]:
            last_values[number] = value
            out_numbers[n] = numbers[j]
            out_values[n] = value
            n += 1
    return n


@kernel
def _count(numbers: NDArray[np.int32], is_new: NDArray[np.uint8], counts: NDArray[np.int64]) -> None:
    for j in range(len(numbers)):
        counts[np.uint64(numbers[j])] += is_new[j]


class DistinctValues:
    """The distinct values of one column for one shard."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._pairs = PairSet()
        self._last = np.empty(0, dtype=np.int64)
        self._counts = np.empty(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._pairs.nbytes + self._last.nbytes + self._counts.nbytes

    @property
    def n_pairs(self) -> int:
        """Distinct (customer, value) pairs held."""
        return self._pairs.n_pairs

    def add(self, part: Part) -> None:
        """Count the values of purchase rows that are new to their customer."""
        self._last = with_room(self._last, part.n_customers, MISSING)
        self._counts = with_room(self._counts, part.n_customers, 0)
        numbers, values = np.empty(len(part.rows), dtype=np.int32), np.empty(len(part.rows), dtype=np.int64)
        column = readonly(part.columns[self._column])
        n = select_pairs(part.rows, part.numbers, part.batch.actions, column, self._last, numbers, values)
        if n:
            is_new = np.empty(n, dtype=np.uint8)
            self._pairs.add(numbers[:n], values[:n], is_new)
            _count(readonly(numbers[:n]), readonly(is_new), self._counts)

    def counts(self, n: int) -> NDArray[np.int64]:
        """Return int64[n], the distinct values by customer number."""
        return with_room(self._counts, n, 0)[:n]

    def pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return (numbers int32[p], values int64[p]), each pair once, in no particular order."""
        return self._pairs.export()
