"""The sum of a column per customer, over its purchases.

    sum = Σ value over the customer's purchase rows that have one;  NaN where none has

Sums of float64 in the order of the rows. Refunds bring no value: the cost of a sale is not undone by its return.
"""

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly, row_kernel
from kernels.accumulators import Part
from kernels.growing import Growing
from kernels.slots import AHEAD

_BLOCK = 8_192  # rows, whose customers' sums stay in L2 from two columns to the next
_NONE = readonly(np.zeros(0))


@row_kernel
def _plus(own: float, value: float) -> float:
    """Return the sum with one more value; NaN is none, on both sides."""
    return own if np.isnan(value) else value if np.isnan(own) else own + value


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    values: NDArray[np.float64],
    others: NDArray[np.float64],
    place: int,
    sums: NDArray[np.float64],
) -> None:
    """Add values float64[n] to sums[:, place], and others float64[n], or [0] for none, to the place behind it.

    sums float64[n_customers, c]. Two columns at a time: a row's customer is looked up once for both.
    """
    two = len(others) != 0
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(sums, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        if actions[i] != rec.PURCHASE:
            continue
        sums[number, place] = _plus(sums[number, place], values[i])
        if two:
            sums[number, place + 1] = _plus(sums[number, place + 1], others[i])


@kernel
def _where(values: NDArray[np.float64], chosen: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    for i in range(len(values)):
        there = values[i] if chosen[i] != 0 else 0.0
        out[i] = chosen[i] if np.isnan(chosen[i]) else there


def where_not_zero(values: NDArray[np.float64], chosen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64[n]: the values on rows on which chosen is not 0, 0 on those where it is, NaN where it is NaN."""
    out = np.empty(len(values), dtype=np.float64)
    _where(readonly(values), readonly(chosen), out)
    return out


def add_column(part: Part, values: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
    """Add values float64[n] of purchase rows to sums float64[n_customers, 1]."""
    _add(part.rows, part.numbers, part.batch.actions, values, _NONE, 0, sums)


class ColumnSums:
    """The sums of some columns for one shard. `names`: of Part.columns, each float64[n]."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._sums = Growing((len(names),), np.float64, np.nan)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._sums.nbytes

    def add(self, part: Part) -> None:
        """Add the values of purchase rows."""
        sums = self._sums.of(part.n_customers)
        columns = [readonly(part.columns[name]) for name in self._names]
        for start in range(0, len(part.rows), _BLOCK):
            rows, numbers = part.rows[start : start + _BLOCK], part.numbers[start : start + _BLOCK]
            for place in range(0, len(columns), 2):
                others = columns[place + 1] if place + 1 < len(columns) else _NONE
                _add(rows, numbers, part.batch.actions, columns[place], others, place, sums)

    def sums(self, n: int, column: int = 0) -> NDArray[np.float64]:
        """Return float64[n], the sums of one of the columns by customer number; NaN where there was no value."""
        sums: NDArray[np.float64] = self._sums.of(n)[:n, column]
        return sums
