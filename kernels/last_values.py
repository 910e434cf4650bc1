"""A customer's last value of a column: of its rows that have one, the latest, and of equally late ones the last.

value of the row with the greatest (tick, row number) among those where the value is not missing
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import MISSING, Part, with_room
from kernels.slots import AHEAD

_NEVER = np.iinfo(np.int64).min
_MAGNITUDE = np.iinfo(np.int64).max  # a float's bits without the sign; beyond those of infinity it is NaN
_INFINITY = 0x7FF0_0000_0000_0000


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    values: NDArray[np.int64],
    is_float: bool,
    last: NDArray[np.int64],
) -> None:
    """Write the values of later rows: values int64[n], or the bits of floats, of which those of NaN are missing.

    last int64[n_customers, 2]: tick and value side by side, so that they share a cache line.
    """
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(last, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        value = values[i]
        is_there = value & _MAGNITUDE <= _INFINITY if is_float else value != MISSING
        if actions[i] >= rec.REFUND and is_there and ticks[i] >= last[number, 0]:
            last[number, 0] = ticks[i]
            last[number, 1] = value


class LastValues:
    """The last values of one column for one shard."""

    def __init__(self, column: str, *, is_float: bool) -> None:
        self._column, self._is_float = column, is_float
        self._last = np.empty((0, 2), dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._last.nbytes

    def add(self, part: Part) -> None:
        """Take the values of the rows that are kept, refunds too."""
        self._last = with_room(self._last, part.n_customers, _NEVER)
        values, (actions, ticks, _) = readonly(part.columns[self._column]), part.batch
        if self._is_float:
            values = values.view(np.int64)
        _add(part.rows, part.numbers, actions, ticks, values, self._is_float, self._last)

    def values(self, n: int) -> NDArray[Any]:
        """Return float64[n] or int64[n] by customer number; NaN or MISSING where there was none."""
        last = with_room(self._last, n, _NEVER)[:n]
        if not self._is_float:
            return last[:, 1]
        found = last[:, 1].copy().view(np.float64)
        found[last[:, 0] == _NEVER] = np.nan
        return found
