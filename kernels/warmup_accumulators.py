"""Compile the accumulators by sending a few rows through each, with every kind of amount and value."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import readonly
from kernels.accumulators import Accumulator, Part
from kernels.column_sums import ColumnSums, where_not_zero
from kernels.distinct_values import DistinctValues
from kernels.few_values import FEW
from kernels.finite import all_finite
from kernels.first_day_sums import FirstDaySums
from kernels.greatest_values import GreatestValues
from kernels.last_values import LastValues
from kernels.listing import list_rows
from kernels.money import Amounts
from kernels.month_sums import MonthSums
from kernels.order_dates import OrderColumns, OrderDates
from kernels.purchase_days import PurchaseDays, longest_gaps, months_bought, months_of
from kernels.recency import local_days
from kernels.value_variety import ValueVariety
from kernels.window_sums import WindowCounts, WindowSums

_KINDS: dict[str, np.dtype[Any]] = {
    "x": np.dtype(np.float64),
    "n": np.dtype(np.int64),
    "c": np.dtype(np.int32),
    "h": np.dtype(np.int16),
    "b": np.dtype(np.int8),
    "f": np.dtype(np.uint8),
}


def warm() -> None:
    """Call every accumulator."""
    days, ones = readonly(np.array([0, 0, 40, 1])), readonly(np.ones(4))
    rows, numbers = readonly(np.arange(4, dtype=np.int32)), readonly(np.array([0, 1, 0, 1], dtype=np.int32))
    actions = readonly(np.full(4, rec.PURCHASE, dtype=np.uint8))
    columns: dict[str, NDArray[Any]] = {name: readonly(np.zeros(4, dtype=kind)) for name, kind in _KINDS.items()}
    columns |= {"x": ones, "n": days, "@day": days, "@amount": ones}
    months_of(days)
    no_zone = readonly(np.zeros(0, dtype=np.int64)), readonly(np.zeros(1, dtype=np.int64))
    for ticks_per_day in (1, 86_400):
        local_days(days, ticks_per_day, *no_zone)
    list_rows(readonly(np.zeros((1, 2))), rows[:1], days[:1], np.empty((1, 2)))
    all_finite(ones)
    where_not_zero(ones, ones)

    def part(amounts: Amounts) -> Part:
        return Part(rows, numbers, 2, rec.Batch(actions, days, readonly(amounts)), columns)  # type: ignore[arg-type]

    floats = part(np.ones(4))
    apart = LastValues(_KINDS)
    more = (DistinctValues("n"), MonthSums(), WindowCounts((-1, 1)), FirstDaySums(), ValueVariety("n"))
    greatest = (GreatestValues(name, _KINDS[name]) for name in "nchb")
    accumulators: list[Accumulator] = [ColumnSums("x", "x"), apart, *more, *greatest]
    for accumulator in accumulators:
        accumulator.add(floats)
    together, three = LastValues(_KINDS), LastValues({"x": days.dtype, "n": days.dtype, "@day": days.dtype})
    refund = readonly(np.full(4, rec.REFUND, dtype=np.uint8))
    for last in (together, three, *(LastValues({name: kind}) for name, kind in _KINDS.items())):
        last.add(floats._replace(complete=frozenset(columns), latest=rows))
        last.add(floats._replace(complete=frozenset(columns), latest=rows, batch=floats.batch._replace(actions=refund)))
    for last in (apart, together):
        for column, name in enumerate(_KINDS):
            last.values(2, column)
            if name in "chb":
                last.codes(column)
    n = 2 * FEW + 1  # of one customer: one more than are kept with it
    its_rows, nobody_else = readonly(np.arange(n, dtype=np.int32)), readonly(np.zeros(n, dtype=np.int32))
    bought = readonly(np.full(n, rec.PURCHASE, dtype=np.uint8))
    for several in (readonly(np.arange(n)), readonly(np.arange(n) << 40)):  # in 32 bits each, and in 64
        whole = Part(its_rows, nobody_else, 1, rec.Batch(bought, several, readonly(np.ones(n))), {"n": several})
        DistinctValues("n").add(whole)
        of_days = PurchaseDays()
        of_days.add(whole._replace(columns={"@day": several}))
        of_days.by_customer(1)
    WindowSums((-1, 1), exact=False).add(floats)
    for width in (1, 2):
        WindowSums((-1, 1), exact=True).add(part(np.ones((4, width), dtype=np.int64)))
    days_bought = PurchaseDays()
    days_bought.add(floats)
    by_customer = days_bought.by_customer(2)
    months_bought(by_customer, 0)
    longest_gaps(by_customer)
    for order in ("n", None):
        dates = OrderDates(OrderColumns(order, "n", "n"))
        dates.add(floats)
        dates.counts(2, 1, 0)
