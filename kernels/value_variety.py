"""Whether a customer's purchases share one value of a column or have several; without counting them all.

variety = min(distinct values of the customer's purchase rows, 2), missing ones left out
"""

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import MISSING, Part, with_room
from kernels.slots import AHEAD


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    values: NDArray[np.int64],
    first_values: NDArray[np.int64],
    varieties: NDArray[np.int64],
) -> None:
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(first_values, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        if actions[i] != rec.PURCHASE or values[i] == MISSING:
            continue
        if varieties[number] == 0:
            first_values[number] = values[i]
            varieties[number] = 1
        elif values[i] != first_values[number]:
            varieties[number] = 2


class ValueVariety:
    """The variety of one column for one shard."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._first = np.empty(0, dtype=np.int64)
        self._varieties = np.empty(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._first.nbytes + self._varieties.nbytes

    def add(self, part: Part) -> None:
        """Look at the values of purchase rows."""
        self._first = with_room(self._first, part.n_customers, MISSING)
        self._varieties = with_room(self._varieties, part.n_customers, 0)
        column = readonly(part.columns[self._column])
        _add(part.rows, part.numbers, part.batch.actions, column, self._first, self._varieties)

    def varieties(self, n: int) -> NDArray[np.int64]:
        """Return int64[n] by customer number: 0, 1, or 2 for several."""
        return with_room(self._varieties, n, 0)[:n]
