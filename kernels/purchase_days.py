"""The distinct days on which each customer bought, and what they tell: months with a purchase, the longest gap.

    gap = days between one purchase day and the next,   month = 12 · year + month, from the day's civil date

Source of the civil date: Hinnant, chrono-compatible low-level date algorithms (days_from_civil, inverted).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import FIRST, kernel, readonly, row_kernel
from kernels.accumulators import MISSING, Part
from kernels.few_values import FewValues
from kernels.pairs import PairSet

DAY_COLUMN = "@day"  # of Part.columns: each row's day in the shop's time zone, days since 1970
_SHORT = 24  # days sorted by insertion


class CustomerDays(NamedTuple):
    """Each customer's distinct purchase days, ascending: those of customer i are days[starts[i] : starts[i + 1]]."""

    starts: NDArray[np.int64]  # [n + 1]
    days: NDArray[np.int64]  # [p]


@row_kernel
def month_of(day: int) -> int:
    """Return 12 · year + month (0 … 11) of a day since 1970 in the civil calendar."""
    z = day + 719_468
    era = z // 146_097
    of_era = z - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153  # 0 is March
    return (year + era * 400) * 12 + month + 2


@kernel
def _months(days: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    last_day, last_month = FIRST, month_of(FIRST)
    for i in range(len(days)):
        if days[i] != last_day:
            last_day, last_month = days[i], month_of(days[i])
        out[i] = last_month


def months_of(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return int64[n], 12 · year + month (0 … 11) of each day since 1970."""
    out = np.empty(len(days), dtype=np.int64)
    _months(readonly(days), out)
    return out


@kernel
def _arrange(
    few: NDArray[Any],
    free: int,
    numbers: NDArray[np.int32],
    values: NDArray[np.int64],
    starts: NDArray[np.int64],
    days: NDArray[np.int64],
) -> None:
    """Write few (see FewValues.kept) and the pairs into days, by customer and then ascending.

    starts int64[n + 1] comes as zeros.
    """
    for i in range(len(few)):
        for place in range(few.shape[1]):
            starts[i + 1] += few[i, place] != free
    for j in range(len(numbers)):
        starts[numbers[j] + 1] += 1
    for i in range(1, len(starts)):
        starts[i] += starts[i - 1]
    for i in range(len(few)):
        at = starts[i]
        for place in range(few.shape[1]):
            if few[i, place] == free:
                break
            days[at] = few[i, place]
            at += 1
        starts[i] = at
    for j in range(len(numbers)):  # from each customer's start on, which moves to its end
        at = starts[numbers[j]]
        days[at] = values[j]
        starts[numbers[j]] = at + 1
    for i in range(len(starts) - 1, 0, -1):
        starts[i] = starts[i - 1]
    starts[0] = 0
    for i in range(len(starts) - 1):
        first, stop = starts[i], starts[i + 1]
        if stop - first > _SHORT:
            ordered = np.sort(days[first:stop])
            for j in range(first, stop):
                days[j] = ordered[j - first]
            continue
        for j in range(first + 1, stop):
            day, at = days[j], j
            while at > first and days[at - 1] > day:
                days[at] = days[at - 1]
                at -= 1
            days[at] = day


@kernel
def _months_bought(
    starts: NDArray[np.int64],
    days: NDArray[np.int64],
    last_month: int,
    first: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    for i in range(len(out)):
        n, before = 0, MISSING
        for j in range(starts[i], starts[i + 1]):
            month = month_of(days[j])
            if month > last_month:
                break
            n += month != before
            before = month
        out[i] = n
        first[i] = month_of(days[starts[i]]) if starts[i] < starts[i + 1] else MISSING


def months_bought(customers: CustomerDays, last_month: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (month of the first purchase, MISSING where there is none; distinct months up to last_month with one)."""
    n = len(customers.starts) - 1
    first, out = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    _months_bought(readonly(customers.starts), readonly(customers.days), int(last_month), first, out)
    return first, out


@kernel
def _longest_gaps(starts: NDArray[np.int64], days: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    for i in range(len(out)):
        gap = np.nan
        for j in range(starts[i] + 1, starts[i + 1]):
            days_between = float(days[j] - days[j - 1])
            gap = days_between if gap != gap else max(gap, days_between)
        out[i] = gap


def longest_gaps(customers: CustomerDays) -> NDArray[np.float64]:
    """Return float64[n], the most days between one purchase day and the next; NaN with fewer than two days."""
    out = np.empty(len(customers.starts) - 1, dtype=np.float64)
    _longest_gaps(readonly(customers.starts), readonly(customers.days), out)
    return out


class PurchaseDays:
    """The distinct purchase days for one shard."""

    def __init__(self) -> None:
        self._few = FewValues(DAY_COLUMN)
        self._pairs = PairSet()

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._few.nbytes + self._pairs.nbytes

    @property
    def n_pairs(self) -> int:
        """Distinct (customer, day) pairs held."""
        return self._few.n_values + self._pairs.n_pairs

    def add(self, part: Part) -> None:
        """Take the days of purchase rows."""
        numbers, values = self._few.add(part)
        if len(numbers):
            self._pairs.add(numbers, values, np.empty(len(numbers), dtype=np.uint8))

    def by_customer(self, n: int) -> CustomerDays:
        """Return the days of customers 0 … n − 1."""
        numbers, values = self._pairs.export()
        starts, days = np.zeros(n + 1, dtype=np.int64), np.empty(self.n_pairs, dtype=np.int64)
        _arrange(readonly(self._few.kept(n)), self._few.free, readonly(numbers), readonly(values), starts, days)
        return CustomerDays(starts, days)
