"""What each customer spent after its first purchase day.

    spend after = Σ amount over purchase rows of later days than the customer's first

Sums of float64: a day's in the order of its rows; when an earlier day turns up, the one before it joins the rest.
"""

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import MISSING, Part
from kernels.growing import Growing
from kernels.month_sums import AMOUNT_COLUMN
from kernels.purchase_days import DAY_COLUMN
from kernels.slots import AHEAD


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    days: NDArray[np.int64],
    amounts: NDArray[np.float64],
    first_days: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    """sums float64[n_customers, 2]: of the first day so far, and of all later ones."""
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(first_days, np.int64(numbers[j + AHEAD]))
        i, number = np.uint64(rows[j]), np.uint64(numbers[j])
        if actions[i] != rec.PURCHASE:
            continue
        if first_days[number] == MISSING or days[i] < first_days[number]:
            first_days[number] = days[i]
            sums[number, 1] += sums[number, 0]
            sums[number, 0] = amounts[i]
        elif days[i] == first_days[number]:
            sums[number, 0] += amounts[i]
        else:
            sums[number, 1] += amounts[i]


class FirstDaySums:
    """What the customers of one shard spent after their first days."""

    def __init__(self) -> None:
        self._first_days, self._sums = Growing((), np.int64, MISSING), Growing((2,), np.float64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._first_days.nbytes + self._sums.nbytes

    def add(self, part: Part) -> None:
        """Add the amounts of purchase rows."""
        first_days, sums = self._first_days.of(part.n_customers), self._sums.of(part.n_customers)
        days, amounts = readonly(part.columns[DAY_COLUMN]), readonly(part.columns[AMOUNT_COLUMN])
        _add(part.rows, part.numbers, part.batch.actions, days, amounts, first_days, sums)

    def after(self, n: int) -> NDArray[np.float64]:
        """Return float64[n] by customer number, 0 where there was no later day."""
        after: NDArray[np.float64] = self._sums.of(n)[:n, 1]
        return after
