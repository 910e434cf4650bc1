"""A customer's last value of a column: of its rows that have one, the latest, and of equally late ones the last.

value of the row with the greatest (tick, row number) among those where the value is not missing
"""

from collections.abc import Sequence
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
_LINE_WORDS = 8


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    values: NDArray[np.int64],
    are_floats: NDArray[np.uint8],
    last: NDArray[np.int64],
) -> None:
    """Write the values of later rows: values int64[c, n], or the bits of floats, of which those of NaN are missing.

    last int64[n_customers · 2 · c]: of each customer the ticks, then the values, so that all columns share its lines.
    """
    n_columns = len(are_floats)
    width = np.int64(2 * n_columns)
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            for word in range(0, width, _LINE_WORDS):
                prefetch(last, np.int64(numbers[j + AHEAD]) * width + word)
        i = np.uint64(rows[j])
        if actions[i] < rec.REFUND:
            continue
        tick, start = ticks[i], np.int64(numbers[j]) * width
        for c in range(n_columns):
            place = start + c
            if tick < last[place]:
                continue
            value = values[c, i]
            if value & _MAGNITUDE <= _INFINITY if are_floats[c] else value != MISSING:
                last[place] = tick
                last[place + n_columns] = value


class LastValues:
    """The last values of some columns for one shard.

    `name`: of Part.columns, int64[n] or [c, n] (floats as their bits, or float64[n]); are_floats: which of them are.
    """

    def __init__(self, name: str, are_floats: Sequence[bool]) -> None:
        self._name, self._are_floats = name, readonly(np.array(are_floats, dtype=np.uint8))
        self._last = np.empty(0, dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._last.nbytes

    def add(self, part: Part) -> None:
        """Take the values of the rows that are kept, refunds too."""
        self._last = with_room(self._last, part.n_customers * 2 * len(self._are_floats), _NEVER)
        values, (actions, ticks, _) = part.columns[self._name], part.batch
        values = readonly(values.view(np.int64).reshape(len(self._are_floats), -1))
        _add(part.rows, part.numbers, actions, ticks, values, self._are_floats, self._last)

    def values(self, n: int, column: int = 0) -> NDArray[Any]:
        """Return float64[n] or int64[n] of one of the columns; NaN or MISSING where there was none."""
        n_columns = len(self._are_floats)
        last = with_room(self._last, n * 2 * n_columns, _NEVER)[: n * 2 * n_columns].reshape(n, 2, n_columns)
        last = last[:, :, column]
        if not self._are_floats[column]:
            return last[:, 1]
        found = last[:, 1].copy().view(np.float64)
        found[last[:, 0] == _NEVER] = np.nan
        return found
