"""The greatest value of a column among each customer's rows, refunds included: the furthest stage it reached."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import MISSING, NO_CODE, Part, widened, with_room
from kernels.slots import AHEAD


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    values: NDArray[Any],
    greatest: NDArray[Any],
) -> None:
    """MISSING is the smallest int64, and NO_CODE less than any code, so that they give way to all others."""
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(greatest, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        if actions[i] >= rec.REFUND and values[i] > greatest[number]:
            greatest[number] = values[i]


class GreatestValues:
    """The greatest value of one column, int64 or codes of fewer bytes, for one shard."""

    def __init__(self, column: str, dtype: np.dtype[Any]) -> None:
        self._column, self._fill = column, MISSING if dtype == np.int64 else NO_CODE
        self._greatest = np.empty(0, dtype=dtype)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._greatest.nbytes

    def add(self, part: Part) -> None:
        """Look at the values of the rows that are kept."""
        self._greatest = with_room(self._greatest, part.n_customers, self._fill)
        _add(part.rows, part.numbers, part.batch.actions, readonly(part.columns[self._column]), self._greatest)

    def values(self, n: int) -> NDArray[np.int64]:
        """Return int64[n] by customer number; MISSING where there was none."""
        return widened(with_room(self._greatest, n, self._fill)[:n])
