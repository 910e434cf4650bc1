"""Rows find their customer's record and enter it, for ids of 8 bytes or of 16; see customers.py for what lies where."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, lowest_one, prefetch, row_kernel
from kernels.groups import (
    FIRST_NUMBER,
    FREE,
    GROUP_BYTES,
    GROUP_WORDS,
    free_slot,
    home,
    is_full,
    next_group,
    put,
    slots_with,
    tag_of,
)
from kernels.money import add_amount, plus_amount
from kernels.slots import HALF, LOW_HALF, ONE, ZERO

BLOCK_RUNS = 256  # looked up before any of them is entered
AHEAD = np.uint64(32)  # records between a prefetch and its use
_GROUPS_AHEAD = np.uint64(24)  # the same for groups, which of a million customers are not in L2 any more
_BLOCK = np.uint64(BLOCK_RUNS)
_FEW_RUNS = np.uint64(64)  # the same where a run is several rows, so that their columns fit into L1
_LINE, _FETCHED = np.uint64(8), np.uint64(32)  # rows of a run that share a line, and that are fetched ahead
NEW, SLOT = np.uint32(1 << 31), np.uint32((1 << 31) - 1)  # a hint that is a free slot, not a customer's number


@row_kernel
def _holds(records: NDArray[np.void], number: np.uint64, words: Any, i: np.uint64) -> bool:
    """Tell whether the record's id is words[i]."""
    if words.ndim == 1:
        return bool(records[number]["last_value"] == np.int64(words[i]))
    low, high = np.int64(words[i, 0]), np.int64(words[i, 1])
    return bool((records[number]["last_value"] == low) & (records[number]["first_value"] == high))


@row_kernel
def enter_id(records: NDArray[np.void], number: np.uint64, words: Any, i: np.uint64) -> None:
    """Write an empty record of the id words[i]."""
    rec.clear_record(records, int(number))
    if words.ndim == 1:
        records[number]["last_value"] = np.int64(words[i])
    else:
        records[number]["last_value"] = np.int64(words[i, 0])
        records[number]["first_value"] = np.int64(words[i, 1])


@row_kernel
def find(
    tags: NDArray[np.uint8],
    numbers: NDArray[np.uint32],
    records: NDArray[np.void],
    words: Any,
    i: np.uint64,
    h: np.uint64,
) -> np.uint32:
    """Return the number of the id words[i] with hash h, or the free slot where it belongs, and NEW."""
    n_groups, tag = np.uint64(len(tags)) // GROUP_BYTES, tag_of(h)
    group = home(h, n_groups)
    while True:
        match = slots_with(tags, group, tag)
        while match != ZERO:
            number: np.uint32 = numbers[group * GROUP_WORDS + FIRST_NUMBER + lowest_one(match)]
            if _holds(records, np.uint64(number), words, i):
                return number
            match &= match - ONE
        if not is_full(tags, group):
            return np.uint32(free_slot(tags, group)) | NEW
        group = next_group(group, n_groups)


@row_kernel
def _look_up(tags: NDArray[np.uint8], numbers: NDArray[np.uint32], h: np.uint64) -> np.uint32:
    """Do as find as far as tags tell: return the number of the first one alike."""
    n_groups, tag = np.uint64(len(tags)) // GROUP_BYTES, tag_of(h)
    group = home(h, n_groups)
    match = slots_with(tags, group, tag)
    while match == ZERO and is_full(tags, group):
        group = next_group(group, n_groups)
        match = slots_with(tags, group, tag)
    if match == ZERO:
        return np.uint32(free_slot(tags, group)) | NEW
    number: np.uint32 = numbers[group * GROUP_WORDS + FIRST_NUMBER + lowest_one(match)]
    return number


@row_kernel
def _ahead(hint: np.uint32, n: int) -> np.int64:
    """Return the number of the record that a hint asks for: of a new customer about the next one."""
    return np.int64(n) if hint >= NEW else np.int64(hint)


@row_kernel
def _is_free(tags: NDArray[np.uint8], slot: np.uint64) -> bool:
    """Tell whether a slot, counted by words, is nobody's."""
    return bool(tags[slot // GROUP_WORDS * GROUP_BYTES + slot % GROUP_WORDS - FIRST_NUMBER] == FREE)


@row_kernel
def enter_row(records: NDArray[np.void], number: np.uint64, batch: rec.Batch, i: np.uint64, first_row: int) -> bool:
    """Enter row i of a batch into its customer's record; tell whether the sum left 128 bits."""
    action = batch.actions[i]
    if action < rec.REFUND:
        return False
    records[number]["first_row"] = min(records[number]["first_row"], first_row + np.int64(i))
    if action == rec.PURCHASE:
        records[number]["frequency"] += 1
        rec.enter_dates(records, int(number), batch.ticks[i], batch.ticks[i])
    return add_amount(records, int(number), batch.amounts, int(i))


@row_kernel
def _enter_run(
    records: NDArray[np.void], number: np.uint64, batch: rec.Batch, first: np.uint64, stop: np.uint64, first_row: int
) -> bool:
    """Enter rows first … stop of a batch, all of one customer, into its record; tell whether the sum left 128 bits.

    In registers, amount by amount, so that sums have the bits of rows entered one by one: each row would wait for what
    the one before wrote.
    """
    actions, ticks, amounts = batch
    kept, frequency, overflow = records[number]["first_row"], records[number]["frequency"], False
    first_tick, last_tick = records[number]["first_tick"], records[number]["last_tick"]
    low, high = records[number]["low"], records[number]["high"]
    for i in range(first, stop):
        if actions[i] >= rec.REFUND:
            kept = min(kept, first_row + np.int64(i))
            low, high, over = plus_amount(low, high, amounts, int(i))
            overflow |= over
            if actions[i] == rec.PURCHASE:
                frequency += 1
                first_tick, last_tick = min(first_tick, ticks[i]), max(last_tick, ticks[i])
    records[number]["first_row"], records[number]["frequency"] = kept, frequency
    records[number]["first_tick"], records[number]["last_tick"] = first_tick, last_tick
    records[number]["low"] = low
    if amounts.ndim == 2:
        records[number]["high"] = high
    return overflow


@kernel
def count_rows(
    tags: NDArray[np.uint8],
    numbers: NDArray[np.uint32],
    records: NDArray[np.void],
    n: int,
    words: Any,
    starts: NDArray[np.int32],
    listed: NDArray[np.uint64],
    done: int,
    batch: rec.Batch,
    first_row: int,
    hints: NDArray[np.uint32],
) -> tuple[int, int, bool]:
    """Do as count_rows in records.py for the runs listed[done:], until the table is full.

    words uint64[n] or [n, 2] are the ids of runs, run k the rows starts[k] … starts[k + 1], or row k alone with starts
    int32[0]; listed is low half of the hash << 32 | k; hints uint32[256], overwritten. Return (runs done, customers,
    whether a sum left 128 bits). A block is looked up first, which brings its groups and columns into L1 while nothing
    else is under way; then its runs are entered, each with one line to wait for, and fetched 32 ahead. Looking up and
    entering row by row was 1.5 times slower: columns queued behind records. A hint only tells which record to fetch.
    """
    n_groups, limit, stop = np.uint64(len(tags)) // GROUP_BYTES, len(records), np.uint64(len(listed))
    overflow, by_row = False, len(starts) == 0
    block = _BLOCK if by_row else _FEW_RUNS
    for start in range(np.uint64(done), stop, block):
        n_block = min(block, stop - start)
        for j in range(n_block):
            if start + j + _GROUPS_AHEAD < stop:  # also of the next block
                ahead = home(listed[start + j + _GROUPS_AHEAD] >> HALF, n_groups)
                prefetch(tags, np.int64(ahead * GROUP_BYTES))
            k = listed[start + j] & LOW_HALF
            if by_row:
                prefetch(batch.ticks, np.int64(k))
                prefetch(batch.amounts, np.int64(k))
                prefetch(batch.actions, np.int64(k))
            else:
                first = np.uint64(starts[k])
                for i in range(first, min(np.uint64(starts[k + ONE]), first + _FETCHED), _LINE):
                    prefetch(batch.ticks, np.int64(i))
                    prefetch(batch.amounts, np.int64(i))
            hints[j] = _look_up(tags, numbers, listed[start + j] >> HALF)
        for j in range(min(AHEAD, n_block)):
            prefetch(records, _ahead(hints[j], n))
        for j in range(n_block):
            if j + AHEAD < n_block:
                prefetch(records, _ahead(hints[j + AHEAD], n))
            k, h, hint = listed[start + j] & LOW_HALF, listed[start + j] >> HALF, hints[j]
            if hint >= NEW:
                if not _is_free(tags, np.uint64(hint & SLOT)):  # else the id would have come here, had it come since
                    hint = find(tags, numbers, records, words, k, h)
            elif not _holds(records, np.uint64(hint), words, k):
                hint = find(tags, numbers, records, words, k, h)
            if hint >= NEW:
                if n == limit:
                    return int(np.int64(start + j)), n, overflow
                put(tags, numbers, np.uint64(hint & SLOT), tag_of(h), n)
                hint = np.uint32(n)
                enter_id(records, np.uint64(n), words, k)
                n += 1
            if by_row:
                overflow |= enter_row(records, np.uint64(hint), batch, k, first_row)
            else:
                first, end = np.uint64(starts[k]), np.uint64(starts[k + ONE])
                overflow |= _enter_run(records, np.uint64(hint), batch, first, end, first_row)
    return len(listed), n, overflow


@kernel
def find_numbers(
    tags: NDArray[np.uint8],
    numbers: NDArray[np.uint32],
    records: NDArray[np.void],
    n: int,
    words: Any,
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int32],
    done: int,
    out: NDArray[np.int32],
) -> tuple[int, int]:
    """Write the numbers of rows[done:] to out, entering new ids, until the table is full.

    Return (rows done, customers).
    """
    limit = len(records)
    for j in range(done, len(rows)):
        i = np.uint64(rows[j])
        hint = find(tags, numbers, records, words, i, hashes[i])
        if hint >= NEW:
            if n == limit:
                return j, n
            put(tags, numbers, np.uint64(hint & SLOT), tag_of(hashes[i]), n)
            hint = np.uint32(n)
            enter_id(records, np.uint64(n), words, i)
            n += 1
        out[j] = np.int32(hint)
    return len(rows), n
