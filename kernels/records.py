"""One record of one cache line per customer, updated row by row.

    frequency += 1, sum += amount, last = max(last, tick), first = min(first, tick)      per purchase
    sum += amount                                                                        per refund

With occasions other than rows, frequency counts distinct values. A customer's first and latest value stay in the
record: the lines of a receipt and customers who came once then never touch the pair set.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import bits_float, float_bits, kernel, prefetch, readonly, row_kernel
from kernels.money import Amounts, add_amount, is_refund, is_zero
from kernels.recency import NO_PURCHASE
from kernels.slots import AHEAD, BLOCK_ROWS, FAR_AHEAD

FIELDS = ("first_row", "first_tick", "last_tick", "frequency", "low", "high", "first_value", "last_value")
RECORD = np.dtype([(field, np.int64) for field in FIELDS])  # 64 bytes; low and high: see money.py
# where rows are counted and no values kept, last_value and first_value are the id's words: see customers.py

NEVER = np.iinfo(np.int64).max  # first_row of a customer without a kept row
SKIP, OUTSIDE, REFUND, PURCHASE = 0, 1, 2, 3  # what becomes of a row: nothing, a number only, …

# places in a tally int64[8] of one batch
N_KEPT, N_LATE, N_EARLY, N_REFUND, N_ZERO, MAX_TICK, MIN_TICK, N_SKIPPED = range(8)

_PURCHASES = np.full(1 << 16, PURCHASE, dtype=np.uint8)  # the actions of a batch that has nothing else
_PURCHASES.flags.writeable = False


class Batch(NamedTuple):
    """What becomes of each row of a batch, and what it brings."""

    actions: NDArray[np.uint8]  # [n]
    ticks: NDArray[np.int64]  # [n]
    amounts: Amounts  # [n], or [n, 1 or 2] words


class Spare(NamedTuple):
    """A second sum of floats in the records, in the word that only exact sums need; see record_sums.py."""

    values: NDArray[np.float64]  # [n], or [0] where there is none
    least: int  # action of the rows that count
    lower: int  # they lie after this tick, and not after the next one
    upper: int
    of_amounts: bool  # whether it is the amounts that are added, where values are not 0
    none: int  # bits of what a sum is before its first value: 0, or NaN, and then NaN is no value; xor-ed with all bits


NO_SPARE = Spare(readonly(np.zeros(0)), 0, 0, 0, False, 0)


class Columns(NamedTuple):
    """Another table's customers, as columns."""

    first_rows: NDArray[np.int64]  # [n]
    first_ticks: NDArray[np.int64]  # [n]
    last_ticks: NDArray[np.int64]  # [n]
    frequencies: NDArray[np.int64]  # [n]
    sums: Amounts  # [n], or [n, 2] words


@kernel
def judge_rows(
    ticks: NDArray[np.int64],
    amounts: Any,
    keep: NDArray[np.uint8],
    lower: int,
    upper: int,
    drop: bool,
    actions: NDArray[np.uint8],
    tally: NDArray[np.int64],
) -> None:
    """Write each row's action, and count in tally (int64[8], overwritten); keep is uint8[n], or uint8[0] for all.

    Without branches, as sums of 0 and 1: four times faster than ifs on mixed rows.
    """
    n_late = n_early = n_refund = n_zero = n_kept = 0
    latest, earliest = NO_PURCHASE, NEVER
    for i in range(len(ticks)):
        there = np.int64(1) if len(keep) == 0 else np.int64(keep[i] != 0)
        late, early = there * (ticks[i] > upper), there * (ticks[i] <= lower)
        inside = there * (1 - (late | early))
        refund = inside * is_refund(amounts, i)
        kept = inside * (1 - refund * drop)
        actions[i] = kept * (PURCHASE - refund) + (late | early) * OUTSIDE
        n_late += late
        n_early += early
        n_refund += refund
        n_zero += inside * is_zero(amounts, i)
        n_kept += kept
        latest = max(latest, ticks[i] if kept else NO_PURCHASE)
        earliest = min(earliest, ticks[i] if kept else NEVER)
    tally[N_KEPT], tally[N_LATE], tally[N_EARLY] = n_kept, n_late, n_early
    tally[N_REFUND], tally[N_ZERO] = n_refund, n_zero
    tally[MAX_TICK], tally[MIN_TICK] = latest, earliest
    tally[N_SKIPPED] = len(ticks) - n_kept - n_late - n_early  # upper ≥ lower: no row is both


@kernel
def scan_rows(ticks: NDArray[np.int64], amounts: Any, tally: NDArray[np.int64]) -> None:
    """Count in tally (int64[8], overwritten) as judge_rows does where all rows are kept: a third of its time."""
    n_refund = n_zero = np.int64(0)
    latest, earliest = NO_PURCHASE, NEVER
    for i in range(len(ticks)):
        n_refund += np.int64(is_refund(amounts, i))
        n_zero += np.int64(is_zero(amounts, i))
        latest, earliest = max(latest, ticks[i]), min(earliest, ticks[i])
    tally[:] = 0
    tally[N_KEPT], tally[N_REFUND], tally[N_ZERO] = len(ticks), n_refund, n_zero
    tally[MAX_TICK], tally[MIN_TICK] = latest, earliest


def judge(
    ticks: NDArray[np.int64], amounts: Amounts, keep: NDArray[np.uint8], lower: int, upper: int, drop: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the action of each row, and the tally; most batches are purchases inside the window and nothing else."""
    n, tally = len(ticks), np.zeros(8, dtype=np.int64)
    if len(keep) == 0 and n <= len(_PURCHASES):
        scan_rows(ticks, amounts, tally)
        if tally[N_REFUND] == 0 and lower < tally[MIN_TICK] and tally[MAX_TICK] <= upper:
            return _PURCHASES[:n], tally
    actions = np.empty(n, dtype=np.uint8)
    judge_rows(ticks, amounts, keep, lower, upper, drop, actions, tally)
    return readonly(actions), tally


@kernel
def find_refund(ticks: NDArray[np.int64], amounts: Any, keep: NDArray[np.uint8], lower: int, upper: int) -> int:
    """Return the first row inside the window whose amount is below zero, or -1."""
    for i in range(len(ticks)):
        inside = lower < ticks[i] <= upper and (len(keep) == 0 or keep[i] != 0)
        if inside and is_refund(amounts, i):
            return i
    return -1


@row_kernel
def clear_record(records: NDArray[np.void], i: int) -> None:
    """Write an empty record into records[i]."""
    records[i]["first_row"] = NEVER
    records[i]["first_tick"] = NEVER
    records[i]["last_tick"] = NO_PURCHASE
    records[i]["frequency"] = 0
    records[i]["low"] = 0
    records[i]["high"] = 0
    records[i]["first_value"] = 0
    records[i]["last_value"] = 0


@kernel
def clear_records(records: NDArray[np.void], start: int, stop: int) -> None:
    """Write empty records into records[start:stop]."""
    for i in range(start, stop):
        clear_record(records, i)


@row_kernel
def enter_dates(records: NDArray[np.void], number: int, first_tick: int, last_tick: int) -> None:
    """Widen the customer's purchase dates to these."""
    records[number]["first_tick"] = min(records[number]["first_tick"], first_tick)
    records[number]["last_tick"] = max(records[number]["last_tick"], last_tick)


@row_kernel
def _add_spare(records: NDArray[np.void], number: int, spare: Spare, amounts: Any, i: int) -> None:
    """Add what row i has to the customer's second sum."""
    value, none = spare.values[i], spare.none
    if amounts.ndim == 1:
        is_chosen = spare.of_amounts and not np.isnan(value)
        value = value if not is_chosen else amounts[i] if value != 0.0 else 0.0
    own = bits_float(records[number]["high"] ^ none)
    if none == 0 or not (np.isnan(value) or np.isnan(own)):
        own += value
    elif np.isnan(own):
        own = np.float64(value)
    records[number]["high"] = float_bits(own) ^ none


@row_kernel
def _enter_value(records: NDArray[np.void], number: int, value: int) -> bool:
    """Enter an occasion; tell whether only the pair set knows if it is new. A first one counts at once."""
    if records[number]["frequency"] == 0:
        records[number]["frequency"] = 1
        records[number]["first_value"] = value
        records[number]["last_value"] = value
        return False
    if value == records[number]["last_value"] or value == records[number]["first_value"]:
        return False
    records[number]["last_value"] = value
    return True


@kernel
def enter_rows(
    records: NDArray[np.void],
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    amounts: Any,
    first_row: int,
    values: NDArray[np.int64],
    out_numbers: NDArray[np.int32],
    out_values: NDArray[np.int64],
    out_latest: NDArray[np.int32],
    spare: Spare,
) -> tuple[int, bool, int]:
    """Enter each listed row, and the occasion values[rows[j]] if it is a purchase, into its customer's record.

    Return (pairs left for the pair set, whether a sum left 128 bits, rows in out_latest); the pairs are written to
    out_numbers and out_values (both [len(rows)]). To out_latest, int32[len(rows)] or [0] where nobody reads it, go the
    places j of the rows that are kept and not older than their customer's latest purchase before them.
    A second pass over the records, for the occasions alone, took as long as the first.
    The columns of a block are fetched first: else they queue behind the records, and the pass takes a fifth longer.
    """
    overflow, n, stop = False, np.uint64(0), np.uint64(len(rows))
    n_latest, lists_latest, adds = np.uint64(0), len(out_latest) != 0, amounts.ndim == 1 and len(spare.values) != 0
    for start in range(np.uint64(0), stop, BLOCK_ROWS):
        end = min(start + BLOCK_ROWS, stop)
        for j in range(start, end):
            at = np.int64(rows[j])
            prefetch(ticks, at)
            prefetch(amounts, at)
            prefetch(values, at)
            if adds:
                prefetch(spare.values, at)
        for j in range(start, end):
            if j + FAR_AHEAD < stop:
                prefetch(records, np.int64(numbers[j + FAR_AHEAD]))
            i, number = np.uint64(rows[j]), np.uint64(numbers[j])
            action = actions[i]
            if lists_latest:
                out_latest[n_latest] = j
                n_latest += np.uint64((action >= REFUND) & (ticks[i] >= records[number]["last_tick"]))
            if action >= REFUND:
                records[number]["first_row"] = min(records[number]["first_row"], first_row + np.int64(i))
                overflow |= add_amount(records, int(number), amounts, int(i))
                if adds and action >= spare.least and spare.lower < ticks[i] <= spare.upper:
                    _add_spare(records, int(number), spare, amounts, int(i))
            if action == PURCHASE:
                enter_dates(records, int(number), ticks[i], ticks[i])
                value = values[i]
                if records[number]["frequency"] == 0:
                    records[number]["frequency"] = 1
                    records[number]["first_value"] = value
                    records[number]["last_value"] = value
                else:  # as _enter_value, without a branch: whether a value is a third one cannot be foretold
                    last = records[number]["last_value"]
                    is_other = (value != last) & (value != records[number]["first_value"])
                    out_numbers[n] = numbers[j]
                    out_values[n] = value
                    n += np.uint64(is_other)
                    records[number]["last_value"] = value if is_other else last
    return int(np.int64(n)), overflow, int(np.int64(n_latest))


@kernel
def count_rows(
    records: NDArray[np.void],
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    amounts: Any,
    first_row: int,
    out_latest: NDArray[np.int32],
    spare: Spare,
) -> tuple[bool, int]:
    """Enter each listed row, counting every purchase as an occasion.

    Return (whether a sum left 128 bits, rows in out_latest, as enter_rows).
    """
    overflow, n_latest, lists_latest = False, np.uint64(0), len(out_latest) != 0
    adds = amounts.ndim == 1 and len(spare.values) != 0
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(records, int(numbers[j + AHEAD]))
        i, number = int(rows[j]), int(numbers[j])
        if lists_latest:
            out_latest[n_latest] = j
            n_latest += np.uint64((actions[i] >= REFUND) & (ticks[i] >= records[number]["last_tick"]))
        if actions[i] >= REFUND:
            records[number]["first_row"] = min(records[number]["first_row"], first_row + i)
            overflow |= add_amount(records, number, amounts, i)
            if adds and actions[i] >= spare.least and spare.lower < ticks[i] <= spare.upper:
                _add_spare(records, number, spare, amounts, i)
        if actions[i] == PURCHASE:
            records[number]["frequency"] += 1
            enter_dates(records, number, ticks[i], ticks[i])
    return overflow, int(np.int64(n_latest))


@kernel
def enter_values(
    records: NDArray[np.void],
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    values: NDArray[np.int64],
    out_numbers: NDArray[np.int32],
    out_values: NDArray[np.int64],
) -> int:
    """Enter the occasion values[rows[j]] of customer numbers[j]; return how many pairs are left for the pair set.

    Those pairs are written to out_numbers, out_values (both [len(rows)]).
    """
    n = 0
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(records, int(numbers[j + AHEAD]))
        value = values[rows[j]]
        if _enter_value(records, int(numbers[j]), value):
            out_numbers[n] = numbers[j]
            out_values[n] = value
            n += 1
    return n


@kernel
def count_new(records: NDArray[np.void], numbers: NDArray[np.int32], is_new: NDArray[np.uint8]) -> None:
    """Add one to a customer's frequency for each of its pairs that was new."""
    for j in range(len(numbers)):
        if is_new[j] != 0:
            records[int(numbers[j])]["frequency"] += 1


@kernel
def merge_records(
    records: NDArray[np.void],
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    first_rows: NDArray[np.int64],
    first_ticks: NDArray[np.int64],
    last_ticks: NDArray[np.int64],
    frequencies: NDArray[np.int64],
    sums: Any,
    count: bool,
) -> bool:
    """Merge customer rows[j] of another table into record numbers[j]; frequencies only if count. Tell of overflow."""
    overflow = False
    for j in range(len(rows)):
        i, number = int(rows[j]), int(numbers[j])
        records[number]["first_row"] = min(records[number]["first_row"], first_rows[i])
        overflow |= add_amount(records, number, sums, i)
        if last_ticks[i] != NO_PURCHASE:
            enter_dates(records, number, first_ticks[i], last_ticks[i])
        if count:
            records[number]["frequency"] += frequencies[i]
    return overflow


def new_records(n: int) -> NDArray[np.void]:
    """Return n uninitialised records, each on a cache line of its own."""
    raw = np.empty(n * RECORD.itemsize + 64, dtype=np.uint8)
    shift = -raw.ctypes.data % 64
    return raw[shift : shift + n * RECORD.itemsize].view(RECORD)


def grown(records: NDArray[np.void]) -> NDArray[np.void]:
    """Return two to four times as many records, the first as they were, the others uninitialised."""
    larger = new_records(len(records) * (2 if len(records) > 500_000 else 4))  # pages not written to cost nothing
    # as bytes: numpy copies structured arrays field by field, ten times slower
    larger.view(np.uint8)[: len(records) * RECORD.itemsize] = records.view(np.uint8)
    return larger


def with_room(records: NDArray[np.void], n_used: int, n: int) -> NDArray[np.void]:
    """Return records that hold at least n, the first n_used as they were, the others up to n empty."""
    while n > len(records):
        records = grown(records)
    if n > n_used:
        clear_records(records, n_used, n)
    return records
