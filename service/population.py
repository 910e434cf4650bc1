"""The customers of one request, as arrays: what the intakes make and what fitting, scoring and the reply read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.keys import ByteKeys, FixedKeys, Keys, take_keys
from kernels.overview import overview
from kernels.rfm import Counts as KernelCounts
from kernels.rfm import Customers, recency_days, sums_fit, sums_to_float, tenure_days
from proto.instants import NANOSECONDS_PER_DAY, rfc3339
from proto.model import Aggregation, Notice
from proto.summary import Counts
from service import columns as cols
from service.threads import ThreadTeam

__all__ = [
    "Gathered",
    "Groups",
    "Instant",
    "Population",
    "population_of_customers",
    "population_of_transactions",
    "view_keys",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NO_PURCHASE = np.iinfo(np.int64).min


class Instant(NamedTuple):
    """as_of in the ticks of a time column: whole ticks, and the nanoseconds left over."""

    tick: int
    rest_ns: int
    ns: int
    text: str

    @classmethod
    def of_ns(cls, ns: int, ticks_per_day: int) -> Instant:
        ns_per_tick = NANOSECONDS_PER_DAY // ticks_per_day
        tick, rest = divmod(ns, ns_per_tick)
        return cls(tick, rest, ns, rfc3339(ns))

    @classmethod
    def of_tick(cls, tick: int, ticks_per_day: int) -> Instant:
        return cls.of_ns(tick * (NANOSECONDS_PER_DAY // ticks_per_day), ticks_per_day)

    @classmethod
    def of_day(cls, day: int) -> Instant:
        try:
            text = (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()
        except OverflowError:
            text = f"@{day}d"  # outside the calendar
        return cls(day, 0, day * NANOSECONDS_PER_DAY, text)


class Gathered(NamedTuple):
    """What was kept of the customers for schemes (service/schemes), in their order."""

    figures: Mapping[Any, Mapping[str, npt.NDArray[Any]]]
    """By accumulation and figure."""
    labels: Mapping[str, list[str]]
    """The texts of label columns, by their numbers."""
    missing: Mapping[str, int]
    """Rows without a value, by column."""
    available: tuple[str, ...]
    """The columns that were there."""
    moment: Any
    """service.schemes.moment.Moment of transactions; None for a customers table."""
    table: Mapping[str, npt.NDArray[Any]] = {}
    """The columns of a customers table."""


class Groups(NamedTuple):
    """What `partition_by=` parts customers into: `codes` int64[n] into `names`, −1 without a group."""

    codes: Ints
    names: list[str]


@dataclass
class Population:
    """One request's customers in the order of their first appearance.

    `features` holds float64[n] columns by name: recency_days (NaN without a purchase), frequency, monetary and
    tenure_days of transactions, or the columns of a customers table. `purchased` is None when every customer has a
    purchase (always so for a customers table).
    """

    keys: Keys
    id_type: pa.DataType
    n: int
    features: dict[str, Floats]
    counts: Counts
    purchased: Bools | None = None
    revenue: Floats | None = None
    frequency: Ints | None = None
    sums: npt.NDArray[Any] | None = None
    first_ticks: Ints | None = None
    last_ticks: Ints | None = None
    time_type: pa.DataType | None = None
    amount_type: pa.DataType | None = None
    as_of: Instant | None = None
    history_days: float | None = None
    notices: list[Notice] = field(default_factory=list)
    gathered: Gathered | None = None
    groups: Groups | None = None

    @property
    def n_fitted(self) -> int:
        """Customers with a purchase: those that take part in a fit and in shares."""
        return self.n if self.purchased is None else int(np.count_nonzero(self.purchased))

    def take(self, places: Ints) -> Population:
        """The customers at these places, in this order; counts stay those of all."""

        def of(values: Any) -> Any:
            return None if values is None else values[places]

        return replace(
            self,
            keys=take_keys(self.keys, places),
            n=len(places),
            features={name: values[places] for name, values in self.features.items()},
            purchased=of(self.purchased),
            revenue=of(self.revenue),
            frequency=of(self.frequency),
            sums=of(self.sums),
            first_ticks=of(self.first_ticks),
            last_ticks=of(self.last_ticks),
        )

    def matrix(self, names: list[str], members: Ints | None = None) -> Floats:
        """The named features as float64[len(names), n], of the listed customers only where `members` is given."""
        columns = np.empty((len(names), self.n if members is None else len(members)))
        for j, name in enumerate(names):
            values = self.features[name]
            columns[j] = values if members is None else values[members]
        return columns


def view_keys(keys: Keys, members: Ints | slice) -> Keys:
    """The keys of some customers."""
    if isinstance(keys, FixedKeys):
        return FixedKeys(keys.bits[members])
    assert isinstance(keys, ByteKeys)  # wide ones live in the tables only
    return ByteKeys(keys.data, keys.starts[members], keys.lengths[members])


def _revenue(sums: Any, amount_type: pa.DataType) -> Floats:
    """Sums as float64; OverflowError when an exact one does not fit the column it is to be returned in."""
    kind = cols.amount_kind(amount_type)
    if kind == "float":
        floats: Floats = sums
        return floats
    if not sums_fit(sums, "int64" if kind == "integer" else "decimal38"):
        raise OverflowError
    return sums_to_float(sums, 0 if kind == "integer" else amount_type.scale)


def population_of_transactions(
    customers: Customers,
    *,
    counts: KernelCounts,
    outside_window: int,
    types: dict[str, pa.DataType],
    unit: cols.TimeUnit,
    as_of: Instant | None,
    aggregation: Aggregation,
    rows_in: int,
    nulls: dict[str, int],
    not_finite: int,
    filtered: int,
    notices: list[Notice],
    team: ThreadTeam,
) -> Population:
    """The population of aggregated transactions; OverflowError when a sum does not fit its column."""
    amount_type = types["amount"]
    revenue = _revenue(customers.sums, amount_type)
    n = len(customers.frequency)
    instant = as_of or Instant.of_day(0)  # without a kept row there is no customer that could read it
    last = customers.last_tick
    seen = overview(last, revenue, customers.frequency, team.run)
    if seen.n_not_finite:  # no exact sum is
        raise OverflowError
    tpd = unit.ticks_per_day
    monetary = revenue
    if aggregation.monetary == "mean":
        monetary = np.full(n, np.nan)
        np.divide(revenue, customers.frequency, out=monetary, where=customers.frequency > 0)
    history = None
    if counts.rows_kept and as_of is not None:
        history = (as_of.ns - int(counts.min_tick) * (NANOSECONDS_PER_DAY // tpd)) / NANOSECONDS_PER_DAY
    since = instant.tick, instant.rest_ns, tpd, aggregation.whole_days, team.run
    return Population(
        keys=customers.keys,
        id_type=types["customer_id"],
        n=n,
        features={
            "recency_days": recency_days(last, *since),
            "frequency": seen.frequencies,
            "monetary": monetary,
            "tenure_days": tenure_days(customers.first_tick, *since),
        },
        counts=Counts(
            rows_in=rows_in,
            rows_used=int(counts.rows_kept),
            rows_with_nulls=nulls,
            rows_not_finite=not_finite,
            rows_filtered=filtered,
            rows_after_as_of=int(counts.rows_after_as_of),
            rows_before_window=int(counts.rows_before_window),
            refund_rows=int(counts.refund_rows),
            zero_amount_rows=int(counts.zero_amount_rows),
            customers_out=n,
            customers_without_purchase=seen.n_without_purchase,
            customers_outside_window=outside_window,
            customers_with_negative_monetary=seen.n_negative,
        ),
        purchased=last != NO_PURCHASE if seen.n_without_purchase else None,
        revenue=revenue,
        frequency=customers.frequency,
        sums=customers.sums,
        first_ticks=customers.first_tick,
        last_ticks=last,
        time_type=types["timestamp"],
        amount_type=amount_type,
        as_of=as_of,
        history_days=history,
        notices=notices,
    )


def population_of_customers(
    keys: Keys,
    matrix: Floats,
    *,
    features: tuple[str, ...],
    id_type: pa.DataType,
    rows_in: int,
    nulls: dict[str, int],
    not_finite: int,
    filtered: int,
) -> Population:
    """The population of a customers table: `matrix` float64[n_features, n]."""
    n = matrix.shape[1]
    by_name = dict(zip(features, matrix, strict=True))
    revenue = by_name.get("monetary")
    return Population(
        keys=keys,
        id_type=id_type,
        n=n,
        features=by_name,
        counts=Counts(
            rows_in=rows_in,
            rows_used=n,
            rows_with_nulls=nulls,
            rows_not_finite=not_finite,
            rows_filtered=filtered,
            customers_out=n,
            customers_with_negative_monetary=0 if revenue is None else int(np.count_nonzero(revenue < 0)),
        ),
        revenue=revenue,
    )
