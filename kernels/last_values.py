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


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    values: Any,
    missing: Any,
    last_ticks: NDArray[np.int64],
    last_values: Any,
) -> None:
    """Write the values of later rows; missing is NaN for float64 values, MISSING for int64 ones."""
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(last_ticks, np.int64(numbers[j + AHEAD]))
            prefetch(last_values, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        is_there = values[i] == values[i] and values[i] != missing
        if actions[i] >= rec.REFUND and is_there and ticks[i] >= last_ticks[number]:
            last_ticks[number] = ticks[i]
            last_values[number] = values[i]


class LastValues:
    """The last values of one column for one shard."""

    def __init__(self, column: str, *, is_float: bool) -> None:
        self._column = column
        self._missing: float = np.nan if is_float else MISSING
        self._ticks = np.empty(0, dtype=np.int64)
        self._values: NDArray[Any] = np.empty(0, dtype=np.float64 if is_float else np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._ticks.nbytes + self._values.nbytes

    def add(self, part: Part) -> None:
        """Take the values of the rows that are kept, refunds too."""
        self._ticks = with_room(self._ticks, part.n_customers, _NEVER)
        self._values = with_room(self._values, part.n_customers, self._missing)
        values, (actions, ticks, _) = readonly(part.columns[self._column]), part.batch
        _add(part.rows, part.numbers, actions, ticks, values, self._missing, self._ticks, self._values)

    def values(self, n: int) -> NDArray[Any]:
        """Return float64[n] or int64[n] by customer number; NaN or MISSING where there was none."""
        return with_room(self._values, n, self._missing)[:n]
