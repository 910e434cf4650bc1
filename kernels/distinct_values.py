"""How many distinct values of a column each customer bought: products, categories, contacts.

count = |{value of the customer's purchase rows}|, compared exactly, missing ones left out

The first few of each customer are kept with it (few_values.py), those beyond as pairs.
"""

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, readonly
from kernels.accumulators import Part, with_room
from kernels.few_values import FewValues
from kernels.pairs import PairSet


@kernel
def _count(numbers: NDArray[np.int32], is_new: NDArray[np.uint8], counts: NDArray[np.int64]) -> None:
    for j in range(len(numbers)):
        counts[np.uint64(numbers[j])] += is_new[j]


class DistinctValues:
    """The distinct values of one column for one shard."""

    def __init__(self, column: str) -> None:
        self._few = FewValues(column)
        self._pairs = PairSet()
        self._beyond = np.empty(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._few.nbytes + self._pairs.nbytes + self._beyond.nbytes

    @property
    def n_pairs(self) -> int:
        """Distinct (customer, value) pairs held."""
        return self._few.n_values + self._pairs.n_pairs

    def add(self, part: Part) -> None:
        """Count the values of purchase rows that are new to their customer."""
        numbers, values = self._few.add(part)
        if len(numbers):
            self._beyond = with_room(self._beyond, part.n_customers, 0)
            is_new = np.empty(len(numbers), dtype=np.uint8)
            self._pairs.add(numbers, values, is_new)
            _count(readonly(numbers), readonly(is_new), self._beyond)

    def counts(self, n: int) -> NDArray[np.int64]:
        """Return int64[n], the distinct values by customer number."""
        kept = np.count_nonzero(self._few.kept(n) != self._few.free, axis=1)
        counts: NDArray[np.int64] = kept + with_room(self._beyond, n, 0)[:n]
        return counts
