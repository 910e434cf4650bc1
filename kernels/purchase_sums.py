"""The sums of the amounts of purchases, refunds apart: those of the customers' records until the first refund comes.

sum = Σ amount over the customer's purchases, floats in the order of the rows;  NaN where there is none
"""

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import readonly
from kernels.accumulators import Part
from kernels.column_sums import add_column
from kernels.growing import Growing


class PurchaseSums:
    """The sums of one shard whose amounts are floats."""

    def __init__(self) -> None:
        self._records = rec.new_records(0)
        self._own: Growing | None = None  # from the first batch with a refund on

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return 0 if self._own is None else self._own.nbytes

    def before(self, records: NDArray[np.void], n: int, batch: rec.Batch) -> None:
        """Say what the records of customers 0 … n − 1 are before the rows of a batch enter them."""
        if self._own is None and bool((batch.actions == rec.REFUND).any()):
            self._own = Growing((1,), np.float64, np.nan)
            self._own.of(n)[:n, 0] = _sums_in(records, n)

    def held_in(self, records: NDArray[np.void]) -> None:
        """Say which records there are now."""
        self._records = records

    def add(self, part: Part) -> None:
        """Add the amounts of purchase rows, where they are kept apart."""
        if self._own is not None:
            amounts: NDArray[np.float64] = part.batch.amounts  # type: ignore[assignment]
            add_column(part, readonly(amounts), self._own.of(part.n_customers))

    def sums(self, n: int, place: int = 0) -> NDArray[np.float64]:
        """Return float64[n] by customer number; there is one place."""
        return _sums_in(self._records, n) if self._own is None else self._own.of(n)[:n, place]


def _sums_in(records: NDArray[np.void], n: int) -> NDArray[np.float64]:
    """Return float64[n], the sums of records that no refund has entered."""
    sums = records["low"][:n].view(np.float64)
    return np.where(records["frequency"][:n] > 0, sums, np.nan)
