"""The amounts of each customer by month of the year.

    sums[customer, m] = Σ amount over the customer's rows in month m (0 is January) of any year

Sums of float64 in the order of the rows, refunds as in its monetary value.
"""

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import Part, with_room
from kernels.slots import AHEAD

MONTH_COLUMN, AMOUNT_COLUMN = "@month", "@amount"  # of Part.columns: 12 · year + month, and the amount as float64
MONTHS = 12


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    months: NDArray[np.int64],
    amounts: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(sums, np.int64(numbers[j + AHEAD]))
        i = np.uint64(rows[j])
        if actions[i] >= rec.REFUND:
            sums[np.uint64(numbers[j]), months[i] % MONTHS] += amounts[i]


class MonthSums:
    """The sums by month of the year for one shard."""

    def __init__(self) -> None:
        self._sums = np.empty((0, MONTHS), dtype=np.float64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._sums.nbytes

    def add(self, part: Part) -> None:
        """Add the amounts of the rows that are kept."""
        self._sums = with_room(self._sums, part.n_customers, 0.0)
        months, amounts = readonly(part.columns[MONTH_COLUMN]), readonly(part.columns[AMOUNT_COLUMN])
        _add(part.rows, part.numbers, part.batch.actions, months, amounts, self._sums)

    def sums(self, n: int) -> NDArray[np.float64]:
        """Return float64[n, 12] by customer number."""
        return with_room(self._sums, n, 0.0)[:n]
