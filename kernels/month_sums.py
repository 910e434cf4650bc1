"""The amounts of each customer by month of the year.

    sums[customer, m] = Σ amount over the customer's rows in month m (0 is January) of any year

Sums of float64 in the order of the rows, refunds as in its monetary value.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import Part
from kernels.day_counts import FIRST_DAY, LAST_DAY
from kernels.growing import Growing
from kernels.purchase_days import DAY_COLUMN, month_of, months_of

AMOUNT_COLUMN = "@amount"  # of Part.columns: the amount as float64
MONTHS = 12
_AHEAD = 32  # rows between a prefetch and its use; 16 took a fifth longer where customers have a line and a half


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    days: NDArray[np.int64],
    amounts: NDArray[np.float64],
    months: NDArray[np.uint8],
    ahead: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    """Add the rows to sums float64[12 · n_customers]; ahead int64[_AHEAD], overwritten, holds the places to come.

    months uint8[d]: the month of each of the usual days; a date taken apart costs six divisions a row.
    """
    n = len(rows)
    for j in range(n + _AHEAD):
        if j >= _AHEAD:
            i = np.uint64(rows[j - _AHEAD])
            if actions[i] >= rec.REFUND:
                sums[np.uint64(ahead[j % _AHEAD])] += amounts[i]
        if j < n and actions[np.uint64(rows[j])] >= rec.REFUND:  # other rows' days may be anything
            day = days[np.uint64(rows[j])]
            usual = np.uint64(day - FIRST_DAY)
            month = np.int64(months[usual]) if usual < np.uint64(len(months)) else month_of(day) % MONTHS
            ahead[j % _AHEAD] = np.int64(numbers[j]) * MONTHS + month
            prefetch(sums, ahead[j % _AHEAD])


@cache
def _usual_months() -> NDArray[np.uint8]:
    """Return uint8[d], the months (0 … 11) of the days FIRST_DAY … LAST_DAY."""
    return readonly((months_of(np.arange(FIRST_DAY, LAST_DAY + 1)) % MONTHS).astype(np.uint8))


class MonthSums:
    """The sums by month of the year for one shard."""

    def __init__(self) -> None:
        self._sums = Growing((MONTHS,), np.float64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._sums.nbytes

    def add(self, part: Part) -> None:
        """Add the amounts of the rows that are kept."""
        sums = self._sums.of(part.n_customers).reshape(-1)
        days, amounts = readonly(part.columns[DAY_COLUMN]), readonly(part.columns[AMOUNT_COLUMN])
        ahead = np.empty(_AHEAD, dtype=np.int64)
        _add(part.rows, part.numbers, part.batch.actions, days, amounts, _usual_months(), ahead, sums)

    def sums(self, n: int) -> NDArray[np.float64]:
        """Return float64[n, 12] by customer number."""
        sums: NDArray[np.float64] = self._sums.of(n)[:n]
        return sums
