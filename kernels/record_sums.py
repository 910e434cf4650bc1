"""A sum that is kept in the customers' records: of floats a record leaves one word free, and its line is there anyway.

    sum = Σ value over the customer's purchases that have one, NaN where none has;  or Σ amount inside a window of time

The bits are those of ColumnSums with one column and of WindowSums with one window, in a sixth of the time. A shard
has one such sum at most.
"""

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import readonly
from kernels.accumulators import Beside, Part

_NAN_BITS = int(np.array(np.nan).view(np.int64))
_EVER = int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)


class RecordSum:
    """The sum of a column over purchases (`column`: of Part.columns, float64[n]), or of the amounts in a window.

    `of_amounts`: of the amounts of rows on which the column is not 0; 0 of those on which it is.
    """

    nbytes, overflow = 0, False

    def __init__(self, column: str | None = None, window: tuple[int, int] = _EVER, *, of_amounts: bool = False) -> None:
        self._column, self._window, self._of_amounts = column, window, of_amounts
        self._none = 0 if column is None else _NAN_BITS
        self._records = rec.new_records(0)

    def spare(self, batch: rec.Batch, beside: Beside) -> rec.Spare:
        """Return what the records are to add up of a batch whose amounts are floats."""
        if self._column is None:
            amounts: NDArray[np.float64] = batch.amounts  # type: ignore[assignment]
            return rec.Spare(amounts, rec.REFUND, *self._window, False, self._none)
        values = readonly(beside.columns[self._column])
        return rec.Spare(values, rec.PURCHASE, *self._window, self._of_amounts, self._none)

    def held_in(self, records: NDArray[np.void]) -> None:
        """Say which records hold the sums now."""
        self._records = records

    def add(self, part: Part) -> None:
        """Do nothing: the rows were added as they entered their records."""

    def sums(self, n: int, place: int = 0) -> NDArray[np.float64]:
        """Return float64[n] by customer number; there is one place."""
        return (self._records["high"][:n] ^ self._none).view(np.float64)
