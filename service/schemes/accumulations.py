"""What schemes can have kept per customer while rows pass: each a column's name, and the accumulator that keeps it.

Equal ones of several schemes are kept once. A table with one row per customer gives the same values where a single row
tells them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from kernels.accumulators import MISSING, Accumulator
from kernels.column_sums import ColumnSums
from kernels.distinct_values import DistinctValues
from kernels.first_day_sums import FirstDaySums
from kernels.greatest_values import GreatestValues
from kernels.last_values import LastValues
from kernels.money import sums_to_float
from kernels.month_sums import AMOUNT_COLUMN, MonthSums
from kernels.order_dates import OrderColumns, OrderDates
from kernels.purchase_days import DAY_COLUMN, PurchaseDays, longest_gaps, months_bought
from kernels.value_variety import ValueVariety
from kernels.window_sums import Window, WindowCounts, WindowSums
from service.schemes.moment import Moment

__all__ = [
    "AMOUNT_WHERE",
    "Accumulation",
    "AmountInWindow",
    "AmountsByMonth",
    "Days",
    "Distinct",
    "Figures",
    "Greatest",
    "Last",
    "LateOrders",
    "PurchaseAmount",
    "PurchasesInWindow",
    "Setup",
    "SpendAfterFirstDay",
    "Sum",
    "Variety",
    "window_figures",
]

Figures = dict[str, npt.NDArray[Any]]
"""By name, each one value per customer; an accumulation of one figure calls it `value`."""

Columns = Mapping[str, npt.NDArray[Any]]

AMOUNT_WHERE = "@amount where "
"""Begins the name of a derived column: the amounts of rows on which the number column named behind it is not 0, 0 of
those on which it is."""

_MICROSECONDS_PER_DAY = 86_400 * 10**6


class Setup(NamedTuple):
    """What accumulators need to know of the request."""

    moment: Moment
    amount_kind: str
    """float, integer or decimal."""
    amount_scale: int
    """Decimals of a decimal amount."""
    dtypes: Mapping[str, np.dtype[Any]]
    """What each column beside the base's comes as, by our name."""


class Accumulation(Protocol):
    """One kind of state per customer, for one column or the amounts; equal ones are the same."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads beside times and amounts: by our name, or derived (decoding.derived)."""

    def make(self, setup: Setup) -> Accumulator:
        """An accumulator for one shard."""

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        """What it holds of customers 0 … n − 1; `setup` knows as_of by now."""

    def of_table(self, columns: Columns) -> Figures | None:
        """The same from the columns of a customers table; None where they cannot tell."""


@dataclass(frozen=True)
class Sum:
    """The sum of a number column over a customer's purchase rows; NaN where no row has a value."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def make(self, setup: Setup) -> ColumnSums:
        return ColumnSums(self.column)

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        return {"value": accumulator.sums(n)}

    def of_table(self, columns: Columns) -> Figures | None:
        return {"value": columns[self.column]}


@dataclass(frozen=True)
class Last:
    """A customer's last value of a column by (timestamp, arrival): float64, NaN where none (numbers, flags: 0 or 1),
    or int64, MISSING where none (labels: the number of the text in `View.labels`; times: microseconds; ids)."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def make(self, setup: Setup) -> LastValues:
        return LastValues({self.column: setup.dtypes[self.column]})

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        return {"value": accumulator.values(n)}

    def of_table(self, columns: Columns) -> Figures | None:
        return {"value": columns[self.column]}


@dataclass(frozen=True)
class Distinct:
    """How many distinct values of an id or label column a customer's purchase rows have."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def make(self, setup: Setup) -> DistinctValues:
        return DistinctValues(self.column)

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        return {"value": accumulator.counts(n)}

    def of_table(self, columns: Columns) -> Figures | None:
        return None


@dataclass(frozen=True)
class AmountInWindow:
    """The net amount in (as_of − from_days, as_of − to_days]; exact for integers and decimals, as the base's sums."""

    from_days: float
    to_days: float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    def window(self, setup: Setup) -> Window:
        """Its lower and upper tick."""
        return setup.moment.tick_before(self.from_days), setup.moment.tick_before(self.to_days)

    def make(self, setup: Setup) -> WindowSums:
        return WindowSums(self.window(setup), exact=setup.amount_kind != "float")

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        return window_figures(accumulator, n, setup, 0)

    def of_table(self, columns: Columns) -> Figures | None:
        return None


def window_figures(sums: WindowSums, n: int, setup: Setup, place: int) -> Figures:
    """The sums of one of the windows; OverflowError for one beyond 128 bits, in whichever window."""
    if sums.overflow:
        raise OverflowError
    found = sums.sums(n, place)
    return {"value": found if setup.amount_kind == "float" else sums_to_float(found.copy(), setup.amount_scale)}


@dataclass(frozen=True)
class PurchaseAmount:
    """The amounts of a customer's purchase rows as floats, in the order of the rows; NaN without such a row.

    `where`: only of rows on which this number column is not 0; NaN where no such row has a value in it.
    """

    where: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return (AMOUNT_COLUMN if self.where is None else AMOUNT_WHERE + self.where,)

    def make(self, setup: Setup) -> ColumnSums:
        return ColumnSums(self.columns[0])

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        return {"value": accumulator.sums(n)}

    def of_table(self, columns: Columns) -> Figures | None:
        return None


@dataclass(frozen=True)
class PurchasesInWindow:
    """How many purchase rows lie in (as_of − from_days, as_of − to_days], int64."""

    from_days: float
    to_days: float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    def window(self, setup: Setup) -> Window:
        """Its lower and upper tick."""
        return setup.moment.tick_before(self.from_days), setup.moment.tick_before(self.to_days)

    def make(self, setup: Setup) -> WindowCounts:
        return WindowCounts(self.window(setup))

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        return {"value": accumulator.counts(n)}

    def of_table(self, columns: Columns) -> Figures | None:
        return None


@dataclass(frozen=True)
class AmountsByMonth:
    """The net amount by month of the year, float64[n, 12], January first; sums of floats in the order of the rows."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (DAY_COLUMN, AMOUNT_COLUMN)

    def make(self, setup: Setup) -> MonthSums:
        return MonthSums()

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        return {"value": accumulator.sums(n)}

    def of_table(self, columns: Columns) -> Figures | None:
        return None


@dataclass(frozen=True)
class Days:
    """A customer's distinct purchase days in the shop's zone.

    `first_month`: 12 · year + month of the first one (MISSING without a purchase); `months`: distinct calendar months
    with a purchase among those that are over at as_of; `longest_gap`: days between one and the next at most (NaN with
    fewer than two); `days`: how many there are; `first_day`, `last_day`: days since 1970, MISSING without one.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        return (DAY_COLUMN,)

    def make(self, setup: Setup) -> PurchaseDays:
        return PurchaseDays()

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        by_customer = accumulator.by_customer(n)
        first, months = months_bought(by_customer, setup.moment.last_whole_month())
        starts, stops = by_customer.starts[:-1], by_customer.starts[1:]
        first_day, last_day = np.full(n, MISSING), np.full(n, MISSING)
        bought = stops > starts
        first_day[bought], last_day[bought] = by_customer.days[starts[bought]], by_customer.days[stops[bought] - 1]
        return {
            "first_month": first,
            "months": months,
            "longest_gap": longest_gaps(by_customer),
            "days": stops - starts,
            "first_day": first_day,
            "last_day": last_day,
        }

    def of_table(self, columns: Columns) -> Figures | None:
        return None


@dataclass(frozen=True)
class SpendAfterFirstDay:
    """What a customer spent on the purchase days after its first one, in the shop's zone; 0 where there is none."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (DAY_COLUMN, AMOUNT_COLUMN)

    def make(self, setup: Setup) -> FirstDaySums:
        return FirstDaySums()

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        return {"value": accumulator.after(n)}

    def of_table(self, columns: Columns) -> Figures | None:
        return None


@dataclass(frozen=True)
class Variety:
    """Whether a customer's purchase rows have one value of an id or label column (1), several (2), or none (0)."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def make(self, setup: Setup) -> ValueVariety:
        return ValueVariety(self.column)

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        return {"value": accumulator.varieties(n)}

    def of_table(self, columns: Columns) -> Figures | None:
        return None


@dataclass(frozen=True)
class Greatest:
    """A customer's greatest value of an ordered column, int64, by place in the list of its texts; MISSING: none."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def make(self, setup: Setup) -> GreatestValues:
        return GreatestValues(self.column, setup.dtypes[self.column])

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        return {"value": accumulator.values(n)}

    def of_table(self, columns: Columns) -> Figures | None:
        return {"value": columns[self.column]}


@dataclass(frozen=True)
class LateOrders:
    """How many of a customer's orders were `due` by as_of's day, and how many of those were paid `late` or not at all.

    Without an order column an order is what was bought at one time. Dates are compared by day.
    """

    order: str | None
    due: str
    paid: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.due, self.paid) if self.order is None else (self.order, self.due, self.paid)

    def make(self, setup: Setup) -> OrderDates:
        return OrderDates(OrderColumns(self.order, self.due, self.paid))

    def figures(self, accumulator: Any, n: int, setup: Setup) -> Figures:
        due, late = accumulator.counts(n, _MICROSECONDS_PER_DAY, setup.moment.day())
        return {"due": due, "late": late}

    def of_table(self, columns: Columns) -> Figures | None:
        return None
