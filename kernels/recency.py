"""Ticks become days: recency and tenure, and the local day of each row.

    days = (as_of − tick) / ticks_per_day        day = ⌊(tick + offset of the zone at tick) / ticks_per_day⌋

Whole days and the rest are divided apart, the rest in nanoseconds, so that every time unit gives the same bits.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, readonly, row_kernel
from kernels._run import Run, blocks, run_serially

NO_PURCHASE = np.iinfo(np.int64).min  # first and last tick of a customer without one
_SECONDS_PER_DAY = np.uint64(86_400)
_NS_PER_DAY = np.uint64(86_400 * 10**9)
_LEAST, _MOST = -(2**62), 2**62  # ticks to which a day may be added


@row_kernel
def _whole_and_rest(gap: np.uint64, per_day: np.uint64, days_per_tick: float) -> tuple[np.uint64, np.uint64]:
    """Return (gap // per_day, gap % per_day).

    From a multiplication, which misses by one at most where a day has that many ticks; a division of 64-bit integers
    took three times as long.
    """
    if per_day < _SECONDS_PER_DAY:
        return gap // per_day, gap % per_day
    days = np.uint64(np.float64(gap) * days_per_tick)
    rest = np.int64(gap - days * per_day)
    if rest < 0:
        return days - np.uint64(1), np.uint64(rest) + per_day
    if np.uint64(rest) >= per_day:
        return days + np.uint64(1), np.uint64(rest) - per_day
    return days, np.uint64(rest)


@kernel
def fill_days(
    ticks: NDArray[np.int64], as_of: int, rest_ns: int, ticks_per_day: int, whole: bool, out: NDArray[np.float64]
) -> None:
    """Write the days from each tick to as_of and rest_ns, with whole rounded down.

    The difference of two int64 always fits a uint64. The sum of whole days and the rest may round up to the next day,
    so rounding down leaves the rest out.
    """
    per_day, days_per_tick = np.uint64(ticks_per_day), 1.0 / ticks_per_day
    ns_per_tick = _NS_PER_DAY // per_day
    for i in range(len(ticks)):
        if ticks[i] == NO_PURCHASE:
            out[i] = np.nan
            continue
        if as_of >= ticks[i]:
            passed, rest = _whole_and_rest(np.uint64(as_of) - np.uint64(ticks[i]), per_day, days_per_tick)
            days = float(passed)
        else:  # the day before it begins so many days later
            gap = np.uint64(ticks[i]) - np.uint64(as_of)
            begun, left = _whole_and_rest(gap - np.uint64(1), per_day, days_per_tick)
            days, rest = -float(begun + np.uint64(1)), per_day - np.uint64(1) - left
        out[i] = days
        if not whole:
            out[i] += float(rest * ns_per_tick + np.uint64(rest_ns)) / float(_NS_PER_DAY)


def recency_days(
    last_ticks: NDArray[np.int64],
    as_of_tick: int,
    as_of_rest_ns: int,
    ticks_per_day: int,
    whole: bool,
    run: Run = run_serially,
) -> NDArray[np.float64]:
    """Return float64[n], the days from each tick to as_of; NaN where there was no purchase.

    last_ticks int64[n] (INT64_MIN: no purchase); ticks_per_day divides a day into whole nanoseconds; as_of is
    as_of_tick plus as_of_rest_ns, the part of it that the time unit cannot express; whole rounds down.
    """
    out, ticks = np.empty(len(last_ticks), dtype=np.float64), readonly(last_ticks)
    tick, rest_ns, per_day, whole = int(as_of_tick), int(as_of_rest_ns), int(ticks_per_day), bool(whole)
    cuts = blocks(len(ticks))
    run([partial(fill_days, ticks[a:b], tick, rest_ns, per_day, whole, out[a:b]) for a, b in cuts])
    return out


def tenure_days(
    first_ticks: NDArray[np.int64],
    as_of_tick: int,
    as_of_rest_ns: int,
    ticks_per_day: int,
    whole: bool,
    run: Run = run_serially,
) -> NDArray[np.float64]:
    """Return float64[n], the days from each customer's first purchase to as_of; as recency_days otherwise."""
    return recency_days(first_ticks, as_of_tick, as_of_rest_ns, ticks_per_day, whole, run)


@kernel
def _local_days(
    ticks: NDArray[np.int64],
    ticks_per_day: int,
    transitions: NDArray[np.int64],
    offsets: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Write the local day of each tick; the last interval of the zone is tried first, as rows mostly come in order.

    Where a day has many ticks, the quotient comes from a multiplication, which misses by one at most.
    """
    interval, days_per_tick, is_coarse = 0, 1.0 / ticks_per_day, ticks_per_day < np.int64(_SECONDS_PER_DAY)
    for i in range(len(ticks)):
        tick = ticks[i]
        begun = interval == 0 or transitions[interval - 1] <= tick
        if not begun or (interval < len(transitions) and transitions[interval] <= tick):
            interval = np.searchsorted(transitions, tick, side="right")
        day = tick // ticks_per_day if is_coarse else np.int64(np.floor(np.float64(tick) * days_per_tick))
        rest = tick - day * ticks_per_day
        if rest < 0:
            day -= 1
            rest += ticks_per_day
        elif rest >= ticks_per_day:
            day += 1
            rest -= ticks_per_day
        rest += offsets[interval]  # tick + offset could leave int64
        if rest < 0:
            day -= 1
        elif rest >= ticks_per_day:
            day += 1
        out[i] = day


@kernel
def _days_apart(ticks: NDArray[np.int64], ticks_per_day: int, offset: int, out: NDArray[np.int64]) -> None:
    """Write ⌊(tick + offset) / ticks_per_day⌋ as _local_days, without a branch: a quarter of its time."""
    days_per_tick = 1.0 / ticks_per_day
    for i in range(len(ticks)):
        tick = ticks[i] + offset
        day = np.int64(np.floor(np.float64(tick) * days_per_tick))
        rest = tick - day * ticks_per_day
        out[i] = day + np.int64(rest >= ticks_per_day) - np.int64(rest < 0)


def local_days(
    ticks: NDArray[np.int64],
    ticks_per_day: int,
    transitions: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return int64[n], the number of the day of each UTC tick in a zone.

    transitions int64[t]: the UTC ticks, ascending, from which offsets[1:] hold; offsets int64[t + 1]: ticks to add to
    UTC, each smaller than a day.
    """
    out = np.empty(len(ticks), dtype=np.int64)
    if len(ticks):
        first, last = int(ticks.min()), int(ticks.max())
        interval = int(np.searchsorted(transitions, last, side="right"))
        is_one = interval == 0 or int(transitions[interval - 1]) <= first
        if is_one and first >= _LEAST and last <= _MOST and ticks_per_day >= _SECONDS_PER_DAY:
            _days_apart(readonly(ticks), int(ticks_per_day), int(offsets[interval]), out)
            return out
    _local_days(readonly(ticks), int(ticks_per_day), readonly(transitions), readonly(offsets), out)
    return out
