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
    """Add values float64[c, n] to sums float64[n_customers, c]."""
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(sums, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        if actions[i] != rec.PURCHASE:
            continue
        for c in range(values.shape[0]):
            value = values[c, i]
            if not np.isnan(value):
                own = sums[number, c]
                sums[number, c] = value if np.isnan(own) else own + value


class ColumnSums:
    """The sums of some columns for one shard. `name`: of Part.columns, float64[n] or [n_columns, n]."""

    def __init__(self, name: str, n_columns: int = 1) -> None:
        self._name, self._n_columns = name, n_columns
        self._sums = np.empty((0, n_columns), dtype=np.float64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._sums.nbytes

    def add(self, part: Part) -> None:
        """Add the values of purchase rows."""
        self._sums = with_room(self._sums, part.n_customers, np.nan)
        values = part.columns[self._name]
        values = readonly(values.reshape(self._n_columns, -1))
        _add(part.rows, part.numbers, part.batch.actions, values, self._sums)

    def sums(self, n: int, column: int = 0) -> NDArray[np.float64]:
        """Return float64[n], the sums of one of the columns by customer number; NaN where there was no value."""
        return with_room(self._sums, n, np.nan)[:n, column]
