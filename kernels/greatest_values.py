"""The greatest value of a column among each customer's rows, refunds included: the furthest stage it reached."""

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
    greatest: NDArray[np.int64],
) -> None:
    """MISSING is the smallest int64, so that it gives way to all others."""
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(greatest, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        if actions[i] >= rec.REFUND and values[i] > greatest[number]:
            greatest[number] = values[i]


class GreatestValues:
    """The greatest values of one column for one shard."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._greatest = np.empty(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._greatest.nbytes

    def add(self, part: Part) -> None:
        """Look at the values of the rows that are kept."""
        self._greatest = with_room(self._greatest, part.n_customers, MISSING)
        _add(part.rows, part.numbers, part.batch.actions, readonly(part.columns[self._column]), self._greatest)

    def values(self, n: int) -> NDArray[np.int64]:
        """Return int64[n] by customer number; MISSING where there was none."""
        return with_room(self._greatest, n, MISSING)[:n]
