"""The sum of a column per customer, over its purchases.

    sum = Σ value over the customer's purchase rows that have one;  NaN where none has

Sums of float64 in the order of the rows. Refunds bring no value: the cost of a sale is not undone by its return.
"""

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import Part, with_room
from kernels.slots import AHEAD


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    values: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(sums, np.int64(numbers[j + AHEAD]))
        i = np.uint64(rows[j])
        if actions[i] == rec.PURCHASE and values[i] == values[i]:
            number = np.uint64(numbers[j])
            before = sums[number]
            sums[number] = values[i] if before != before else before + values[i]


class ColumnSums:
    """The sums of one column for one shard."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._sums = np.empty(0, dtype=np.float64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._sums.nbytes

    def add(self, part: Part) -> None:
        """Add the values of purchase rows."""
        self._sums = with_room(self._sums, part.n_customers, np.nan)
        _add(part.rows, part.numbers, part.batch.actions, readonly(part.columns[self._column]), self._sums)

    def sums(self, n: int) -> NDArray[np.float64]:
        """Return float64[n] by customer number, NaN where there was no value."""
        return with_room(self._sums, n, np.nan)[:n]
