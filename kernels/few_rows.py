"""A handful of rows become customers in one call: what `rfm.RfmTable` does for millions, without its tables.

    recency ← last purchase,  frequency ← purchases or distinct occasions,  monetary ← Σ amount in row order

A request of a hundred rows spends more time in the calls of a large aggregation than in its loops. Only the plain
case is answered here (every row counts, every customer has a purchase); anything else is left to `RfmTable`, which is
also what the tests compare with, bit for bit.
"""

import secrets
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import fold_multiply, kernel, readonly
from kernels._types import Floats, Ints
from kernels.hashing import seed_words
from kernels.recency import NO_PURCHASE, fill_days

__all__ = ["NO_VALUES", "FewCustomers", "FewPlan", "aggregate_few", "all_distinct"]

_START, _MULTIPLIER = seed_words(secrets.randbits(64))  # nobody can craft ids that collide
NO_VALUES = readonly(np.zeros(0, dtype=np.int64))
_REFUNDS, _ZEROS, _EARLIEST = range(3)  # places in a tally int64[3]


class FewPlan(NamedTuple):
    """What to compute, as `rfm.Plan` and `rfm.recency_days` put it; ticks are int64 in one unit."""

    lower_tick: int  # rows at or before it are before the window
    upper_tick: int  # rows after it are after as_of
    takes_refunds: bool  # refunds=net; otherwise a refund is not a plain case
    mean: bool  # monetary is the mean per occasion
    as_of_rest_ns: int  # as_of is upper_tick and so many nanoseconds
    ticks_per_day: int
    whole_days: bool


class FewCustomers(NamedTuple):
    """`n` customers in the order of their first row, in columns that are longer than that.

    ids int64[n_rows] (their bits) and frequencies int64[n_rows]; features f64[5, n_rows]: recency_days, frequency,
    monetary, tenure_days, revenue (the net sum).
    """

    n: int
    ids: Ints
    frequencies: Ints
    features: Floats
    refund_rows: int
    zero_amount_rows: int
    first_tick: int


@kernel
def _slots_for(n: int) -> NDArray[np.int32]:
    """Return an empty open-addressing table for n entries, at most half full; a slot holds a number + 1."""
    capacity = 16
    while capacity < 2 * n:
        capacity *= 2
    return np.zeros(capacity, dtype=np.int32)


@kernel
def _all_distinct(ids: Ints, start: np.uint64, multiplier: np.uint64) -> bool:
    slots = _slots_for(len(ids))
    mask = np.uint64(len(slots) - 1)
    for i in range(len(ids)):
        slot = fold_multiply(np.uint64(ids[i]) ^ start, multiplier) & mask
        while slots[slot] != 0:
            if ids[slots[slot] - 1] == ids[i]:
                return False
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = i + 1
    return True


def all_distinct(ids: Ints) -> bool:
    """Tell whether no id stands twice in ids int64[n] (read-only, C-contiguous; unsigned ones by their bits)."""
    return bool(_all_distinct(ids, _START, _MULTIPLIER))


@kernel
def _number(ids: Ints, start: np.uint64, multiplier: np.uint64, out_numbers: NDArray[np.int32], out_ids: Ints) -> int:
    """Number the customers in the order of their first row; return how many there are."""
    slots = _slots_for(len(ids))
    mask = np.uint64(len(slots) - 1)
    n = 0
    for i in range(len(ids)):
        slot = fold_multiply(np.uint64(ids[i]) ^ start, multiplier) & mask
        while slots[slot] != 0 and out_ids[slots[slot] - 1] != ids[i]:
            slot = (slot + np.uint64(1)) & mask
        if slots[slot] == 0:
            out_ids[n] = ids[i]
            n += 1
            slots[slot] = n
        out_numbers[i] = slots[slot] - 1
    return n


@kernel
def _count_distinct(
    numbers: NDArray[np.int32],
    amounts: Floats,
    values: Ints,
    start: np.uint64,
    multiplier: np.uint64,
    out_frequencies: Ints,
) -> None:
    """Count each customer's distinct values among its purchases; out_frequencies starts at 0."""
    slots = _slots_for(len(numbers))
    mask = np.uint64(len(slots) - 1)
    for i in range(len(numbers)):
        if amounts[i] < 0.0:
            continue
        mixed = fold_multiply(np.uint64(values[i]) ^ start, multiplier) + np.uint64(numbers[i])
        slot = fold_multiply(mixed ^ start, multiplier) & mask
        known = False
        while slots[slot] != 0 and not known:
            j = slots[slot] - 1
            known = numbers[j] == numbers[i] and values[j] == values[i]
            slot = slot if known else (slot + np.uint64(1)) & mask
        if not known:
            slots[slot] = i + 1
            out_frequencies[numbers[i]] += 1


@kernel
def _aggregate_few(
    ids: Ints,
    ticks: Ints,
    amounts: Floats,
    values: Ints,
    plan: FewPlan,
    start: np.uint64,
    multiplier: np.uint64,
    ints: Ints,
    features: Floats,
    tally: Ints,
) -> int:
    """Write what `FewCustomers` holds; return its n, or -1 where the case is not a plain one.

    ints int64[4, n_rows]: ids, frequencies, first and last ticks. Row order in every sum, as in `records.enter_rows`.
    """
    lower, upper = plan.lower_tick, plan.upper_tick
    n_rows = len(ids)
    out_ids, frequencies, firsts, lasts = ints[0], ints[1], ints[2], ints[3]
    numbers = np.empty(n_rows, dtype=np.int32)
    n = _number(ids, start, multiplier, numbers, out_ids)
    revenues = features[4]
    for c in range(n):
        frequencies[c] = 0
        firsts[c] = upper
        lasts[c] = NO_PURCHASE
        revenues[c] = 0.0
    earliest, refunds, zeros = upper, 0, 0
    for i in range(n_rows):
        tick, amount, c = ticks[i], amounts[i], numbers[i]
        if tick <= lower or tick > upper or amount - amount != 0.0:
            return -1
        revenues[c] += amount
        earliest = min(earliest, tick)
        zeros += amount == 0.0
        if amount < 0.0:
            refunds += 1
            continue
        frequencies[c] += len(values) == 0
        firsts[c] = min(firsts[c], tick)
        lasts[c] = max(lasts[c], tick)
    if refunds and not plan.takes_refunds:
        return -1
    if len(values):
        _count_distinct(numbers, amounts, values, start, multiplier, frequencies)
    for c in range(n):
        revenue, frequency = revenues[c], frequencies[c]
        if frequency == 0 or revenue - revenue != 0.0:
            return -1
        features[1, c] = frequency
        features[2, c] = revenue / frequency if plan.mean else revenue
    for j, dates in ((0, lasts), (3, firsts)):
        fill_days(dates[:n], upper, plan.as_of_rest_ns, plan.ticks_per_day, plan.whole_days, features[j, :n])
    tally[_REFUNDS], tally[_ZEROS], tally[_EARLIEST] = refunds, zeros, earliest
    return n


def aggregate_few(ids: Ints, ticks: Ints, amounts: Floats, values: Ints, plan: FewPlan) -> FewCustomers | None:
    """Return the customers of a few rows, or None where the case is not a plain one.

    ids int64[n], ticks int64[n], amounts f64[n], values int64[n] (what occasions are told apart by) or `NO_VALUES`
    (every purchase counts): read-only, C-contiguous. Plain: every row lies inside the window, refunds are netted or
    there is none, sums are finite, and everyone has a purchase.
    """
    n_rows = len(ids)
    ints, features = np.empty((4, n_rows), dtype=np.int64), np.empty((5, n_rows))
    tally = np.empty(3, dtype=np.int64)
    n = _aggregate_few(ids, ticks, amounts, values, plan, _START, _MULTIPLIER, ints, features, tally)
    if n < 0:
        return None
    return FewCustomers(n, ints[0], ints[1], features, *tally.tolist())
