"""Customers counted by rows: a table whose slots are the records themselves, found by a byte of the hash each.

A group (see groups.py) is 16 tags, compared at once (the layout of Abseil's Swiss tables), and their 16 records. The
tags of half a million customers fit into L2, so a row touches one cache line that is far away: its record, which holds
its id too. Nobody outside may keep a slot's number: growing moves it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import equal_of_16, kernel, lowest_one, prefetch, readonly, row_kernel
from kernels.groups import FREE, GROUP, home, larger, new_tags, room, spread, tag_of
from kernels.hashing import FixedKeys, Keys, WideKeys, seed_words
from kernels.money import plus_amount
from kernels.pages import reserve
from kernels.slots import ONE, ZERO

_AHEAD = np.uint64(32)  # records between a prefetch and its use
_TAGS_AHEAD = np.uint64(16)  # the same for tags, which in a table of a million customers are not in L2 any more
_BLOCK = np.uint64(256)  # rows looked up before any of them is entered
_LAST = np.uint64(15)
_NEW, _SLOT = np.uint32(1 << 31), np.uint32((1 << 31) - 1)  # a hint: the slot, and whether it was free
_FIRST_SLOTS = 128  # 8 KiB; a small request seldom has more customers
_MAPPED = 1 << 15  # slots; from here on records have room to grow into


@row_kernel
def _holds(records: NDArray[np.void], slot: np.uint64, words: Any, i: np.uint64) -> bool:
    """Tell whether the record's id is words[i]."""
    if words.ndim == 1:
        return bool(records[slot]["last_value"] == np.int64(words[i]))
    low, high = np.int64(words[i, 0]), np.int64(words[i, 1])
    return bool((records[slot]["last_value"] == low) & (records[slot]["first_value"] == high))


@row_kernel
def _is_same(words: Any, i: np.uint64, j: np.uint64) -> bool:
    """Tell whether two rows have the same id."""
    if words.ndim == 1:
        return bool(words[i] == words[j])
    return bool((words[i, 0] == words[j, 0]) & (words[i, 1] == words[j, 1]))


@row_kernel
def _enter_id(records: NDArray[np.void], slot: np.uint64, words: Any, i: np.uint64) -> None:
    """Write an empty record of the id words[i]."""
    rec.clear_record(records, int(slot))
    if words.ndim == 1:
        records[slot]["last_value"] = np.int64(words[i])
    else:
        records[slot]["last_value"] = np.int64(words[i, 0])
        records[slot]["first_value"] = np.int64(words[i, 1])


@row_kernel
def _find(tags: NDArray[np.uint8], records: NDArray[np.void], words: Any, i: np.uint64, h: np.uint64) -> np.uint64:
    """Return the slot of the id words[i] with hash h, or the free one where it belongs."""
    size, tag = np.uint64(len(tags)), tag_of(h)
    group = home(h, size // GROUP) * GROUP
    while True:
        match = equal_of_16(tags, np.int64(group), tag)
        while match != ZERO:
            slot = group + lowest_one(match)
            if _holds(records, slot, words, i):
                return slot
            match &= match - ONE
        if tags[group + _LAST] == FREE:
            return group + lowest_one(equal_of_16(tags, np.int64(group), FREE))
        group += GROUP
        if group == size:
            group = ZERO


@row_kernel
def _look_up(tags: NDArray[np.uint8], h: np.uint64) -> np.uint32:
    """Return the slot of the id with hash h as far as tags tell: of the first one alike, or the free one, and _NEW."""
    size, tag = np.uint64(len(tags)), tag_of(h)
    group = home(h, size // GROUP) * GROUP
    match = equal_of_16(tags, np.int64(group), tag)
    while match == ZERO and tags[group + _LAST] != FREE:
        group += GROUP
        if group == size:
            group = ZERO
        match = equal_of_16(tags, np.int64(group), tag)
    if match == ZERO:
        return np.uint32(group + lowest_one(equal_of_16(tags, np.int64(group), FREE))) | _NEW
    return np.uint32(group + lowest_one(match))


@row_kernel
def _enter_run(
    records: NDArray[np.void],
    slot: np.uint64,
    rows: NDArray[np.int32],
    first: np.uint64,
    stop: np.uint64,
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    amounts: Any,
    first_row: int,
) -> bool:
    """Enter rows[first:stop], all of one customer, into its record; tell whether the sum left 128 bits.

    In registers, amount by amount, so that sums have the bits of rows entered one by one: where a customer's rows
    follow each other, each would wait for what the one before wrote.
    """
    kept, frequency, overflow = records[slot]["first_row"], records[slot]["frequency"], False
    first_tick, last_tick = records[slot]["first_tick"], records[slot]["last_tick"]
    low, high = records[slot]["low"], records[slot]["high"]
    for j in range(first, stop):
        i = np.uint64(rows[j])
        if actions[i] >= rec.REFUND:
            kept = min(kept, first_row + np.int64(i))
            low, high, over = plus_amount(low, high, amounts, int(i))
            overflow |= over
            if actions[i] == rec.PURCHASE:
                frequency += 1
                first_tick, last_tick = min(first_tick, ticks[i]), max(last_tick, ticks[i])
    records[slot]["first_row"], records[slot]["frequency"] = kept, frequency
    records[slot]["first_tick"], records[slot]["last_tick"] = first_tick, last_tick
    records[slot]["low"] = low
    if amounts.ndim == 2:
        records[slot]["high"] = high
    return overflow


@kernel
def count_rows(
    tags: NDArray[np.uint8],
    records: NDArray[np.void],
    n: int,
    words: Any,
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int32],
    done: int,
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    amounts: Any,
    first_row: int,
    hints: NDArray[np.uint32],
    begins: NDArray[np.uint64],
) -> tuple[int, int, bool]:
    """Do as count_rows in records.py for rows[done:], until the table is full.

    words uint64[n] or [n, 2], the ids; hints uint32[256] and begins uint64[257], overwritten. Return (rows done,
    customers, whether a sum left 128 bits). A block is looked up first, which brings its tags and columns into L1 while
    nothing else is under way; then its rows are entered, each with one line to wait for, and fetched 32 ahead. Looking
    up and entering row by row was 1.5 times slower: columns queued behind records. A hint only tells which record to
    fetch. Rows of one id that follow each other are one run, which is looked up once, and whose record is fetched and
    written once: rows sorted by customer take three quarters of the time.
    """
    n_groups, limit, stop = np.uint64(len(tags)) // GROUP, room(tags), np.uint64(len(rows))
    overflow = False
    for start in range(np.uint64(done), stop, _BLOCK):
        end, n_runs, before = min(start + _BLOCK, stop), ZERO, np.uint64(rows[start])
        for j in range(start, end):
            if j + _TAGS_AHEAD < end:
                prefetch(tags, np.int64(home(hashes[np.uint64(rows[j + _TAGS_AHEAD])], n_groups) * GROUP))
            i = np.uint64(rows[j])
            prefetch(ticks, np.int64(i))
            prefetch(amounts, np.int64(i))
            prefetch(actions, np.int64(i))
            if n_runs != ZERO and _is_same(words, i, before):
                continue
            hints[n_runs] = _look_up(tags, hashes[i])
            begins[n_runs] = j
            n_runs += ONE
            before = i
        begins[n_runs] = end
        for r in range(min(_AHEAD, n_runs)):
            prefetch(records, np.int64(hints[r] & _SLOT))
        for r in range(n_runs):
            if r + _AHEAD < n_runs:
                prefetch(records, np.int64(hints[r + _AHEAD] & _SLOT))
            i, slot = np.uint64(rows[begins[r]]), np.uint64(hints[r] & _SLOT)
            if hints[r] >= _NEW or not _holds(records, slot, words, i):
                if tags[slot] != FREE and not _holds(records, slot, words, i):
                    slot = _find(tags, records, words, i, hashes[i])
                if tags[slot] == FREE:  # as when the id was looked up: it would have come here, had it come since
                    if n == limit:
                        return int(np.int64(begins[r])), n, overflow
                    n += 1
                    tags[slot] = tag_of(hashes[i])
                    _enter_id(records, slot, words, i)
            overflow |= _enter_run(records, slot, rows, begins[r], begins[r + ONE], actions, ticks, amounts, first_row)
    return len(rows), n, overflow


@kernel
def find_slots(
    tags: NDArray[np.uint8],
    records: NDArray[np.void],
    n: int,
    words: Any,
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int32],
    done: int,
    out: NDArray[np.int32],
) -> tuple[int, int]:
    """Write the slots of rows[done:] to out, entering new ids, until the table is full.

    Return (rows done, customers).
    """
    limit = room(tags)
    for j in range(done, len(rows)):
        i = np.uint64(rows[j])
        slot = _find(tags, records, words, i, hashes[i])
        if tags[slot] == FREE:
            if n == limit:
                return j, n
            n += 1
            tags[slot] = tag_of(hashes[i])
            _enter_id(records, slot, words, i)
        out[j] = np.int32(slot)
    return len(rows), n


class CustomerTable:
    """The customers of one shard and their records, for ids of 8 bytes, or of 16 (wide)."""

    def __init__(self, wide: bool, seed: int) -> None:
        self.wide = wide
        self.n_keys = 0
        self.tags = new_tags(_FIRST_SLOTS)
        self.records = rec.new_records(_FIRST_SLOTS)
        self._seed = seed
        self._room = self.records.view(np.uint8)
        self._hints = np.empty(int(_BLOCK), dtype=np.uint32)
        self._begins = np.empty(int(_BLOCK) + 1, dtype=np.uint64)

    @property
    def nbytes(self) -> int:
        """The bytes this table holds."""
        return self.tags.nbytes + self.records.nbytes

    def count(
        self, keys: Keys, hashes: NDArray[np.uint64], rows: NDArray[np.int32], batch: rec.Batch, first_row: int
    ) -> bool:
        """Enter the listed rows, counting every purchase as an occasion; tell whether a sum left 128 bits.

        hashes uint64[n] are those of hash_keys under the table's seed.
        """
        words, hashes, rows, overflow, done = self._words(keys), readonly(hashes), readonly(rows), False, 0
        while True:
            table, scratch = (self.tags, self.records, self.n_keys), (self._hints, self._begins)
            done, self.n_keys, over = count_rows(*table, words, hashes, rows, done, *batch, first_row, *scratch)
            overflow |= over
            if done == len(rows):
                return overflow
            self._grow()

    def merge(self, keys: Keys, hashes: NDArray[np.uint64], rows: NDArray[np.int32], columns: rec.Columns) -> bool:
        """Merge the listed customers of another table; tell whether a sum left 128 bits."""
        words, hashes, rows, overflow, done = self._words(keys), readonly(hashes), readonly(rows), False, 0
        slots = np.empty(len(rows), dtype=np.int32)
        while True:
            start = done
            done, self.n_keys = find_slots(self.tags, self.records, self.n_keys, words, hashes, rows, done, slots)
            overflow |= rec.merge_records(self.records, rows[start:done], readonly(slots[start:done]), *columns, True)
            if done == len(rows):
                return overflow
            self._grow()

    def keys_at(self, slots: NDArray[np.int32]) -> Keys:
        """Return the ids in these slots."""
        low = self.records["last_value"][slots].view(np.uint64)
        if not self.wide:
            return FixedKeys(low)
        return WideKeys(np.stack([low, self.records["first_value"][slots].view(np.uint64)], axis=1))

    def _words(self, keys: Keys) -> NDArray[np.uint64]:
        """Return the ids as the kernels take them."""
        if not isinstance(keys, WideKeys if self.wide else FixedKeys):
            wanted = "WideKeys" if self.wide else "FixedKeys"
            raise TypeError(f"keys: found {type(keys).__name__}, wanted {wanted}; one table holds one kind of key")
        return readonly(keys[0])

    def _grow(self) -> None:
        """Make room for more customers: more slots, the records spread over them."""
        n = larger(len(self.tags))
        old, self.tags = readonly(self.tags), new_tags(n)
        self._resize(n)
        counts, stash = np.zeros(n // 16, dtype=np.uint8), rec.new_records(64)
        seed, n_left, n_stashed = seed_words(self._seed), len(old) // 16, 0
        while n_left:
            n_left, n_stashed = spread(old, self.tags, counts, self.records, self.wide, *seed, n_left, stash, n_stashed)
            if n_left:
                stash = rec.grown(stash)

    def _resize(self, n: int) -> None:
        """Make the records n, the first as they were; those of many grow in their place."""
        size = n * rec.RECORD.itemsize
        if size > len(self._room):
            room = reserve(size) if n >= _MAPPED else rec.new_records(n).view(np.uint8)
            # as bytes: numpy copies structured arrays field by field, ten times slower
            room[: self.records.nbytes] = self.records.view(np.uint8)
            self._room = room
        self.records = self._room[:size].view(rec.RECORD)
