"""Customers counted by rows: a table whose slots are the records themselves, found by a byte of the hash each.

    home group of a hash = ⌊low half · n_groups / 2³²⌋,  then the next group, …;  tag = a byte of the high half, never 0

A group is 16 tags, compared at once (the layout of Abseil's Swiss tables), and their 16 records. The tags of half a
million customers fit into L2, so a row touches one cache line that is far away: its record, which holds its id too.
Any number of groups will do, and groups keep the order of the hashes, so that the table grows by half in its place.
Nobody outside may keep a slot's number: growing moves it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import equal_of_16, kernel, lowest_one, prefetch, readonly, row_kernel
from kernels.hashing import FixedKeys, Keys, WideKeys, hash_word, hash_words, seed_words
from kernels.money import add_amount
from kernels.pages import reserve
from kernels.slots import HALF, LOW_HALF, ONE, ZERO

_AHEAD = np.uint64(32)  # rows between a prefetch and its use; 16 was slower where a customer's rows follow each other
_BLOCK = np.uint64(256)  # rows looked up before any of them is entered
_GROUP = np.uint64(16)
_LAST = np.uint64(15)
_FREE = np.uint8(0)
_NEW, _SLOT = np.uint32(1 << 31), np.uint32((1 << 31) - 1)  # a hint: the slot, and whether it was free
_BEHIND = np.int64(
    64
)  # records fetched before their turn where a table is gone through backwards: twice as fast as without
_FIRST_SLOTS = 128  # 8 KiB; a small request seldom has more customers
_LARGE = 1 << 17  # slots; up to here growing four times as large costs nobody anything
_MAPPED = 1 << 15  # slots; from here on records have room to grow into


@row_kernel
def _home(h: np.uint64, n_groups: np.uint64) -> np.uint64:
    """Return the home group of hash h."""
    return ((h & LOW_HALF) * n_groups) >> HALF


@row_kernel
def _tag(h: np.uint64) -> np.uint8:
    """Return the tag of hash h: of its bits, neither the shard (the top ones) nor the group depends on these."""
    return max(np.uint8((h >> HALF) & np.uint64(255)), np.uint8(1))


@row_kernel
def _holds(records: NDArray[np.void], slot: np.uint64, words: Any, i: np.uint64) -> bool:
    """Tell whether the record's id is words[i]."""
    if words.ndim == 1:
        return bool(records[slot]["last_value"] == np.int64(words[i]))
    low, high = np.int64(words[i, 0]), np.int64(words[i, 1])
    return bool((records[slot]["last_value"] == low) & (records[slot]["first_value"] == high))


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
    size, tag = np.uint64(len(tags)), _tag(h)
    group = _home(h, size // _GROUP) * _GROUP
    while True:
        match = equal_of_16(tags, np.int64(group), tag)
        while match != ZERO:
            slot = group + lowest_one(match)
            if _holds(records, slot, words, i):
                return slot
            match &= match - ONE
        if tags[group + _LAST] == _FREE:
            return group + lowest_one(equal_of_16(tags, np.int64(group), _FREE))
        group += _GROUP
        if group == size:
            group = ZERO


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
) -> tuple[int, int, bool]:
    """Do as count_rows in records.py for rows[done:], until the table is full.

    words uint64[n] or [n, 2], the ids; hints uint32[256], overwritten. Return (rows done, customers, whether a sum
    left 128 bits). A block is looked up first, which brings its tags and columns into L1 while nothing else is under
    way; then its rows are entered, each with one line to wait for, and fetched 32 rows ahead. Looking up and entering
    row by row was 1.5 times slower: columns queued behind records. A hint only tells which record to fetch.
    """
    size, limit, stop = np.uint64(len(tags)), room(tags), np.uint64(len(rows))
    overflow = False
    for start in range(np.uint64(done), stop, _BLOCK):
        end = min(start + _BLOCK, stop)
        for j in range(start, end):
            i = np.uint64(rows[j])
            prefetch(words, np.int64(i))
            prefetch(ticks, np.int64(i))
            prefetch(amounts, np.int64(i))
            prefetch(actions, np.int64(i))
            group, tag = _home(hashes[i], size // _GROUP) * _GROUP, _tag(hashes[i])
            match = equal_of_16(tags, np.int64(group), tag)
            while match == ZERO and tags[group + _LAST] != _FREE:
                group += _GROUP
                if group == size:
                    group = ZERO
                match = equal_of_16(tags, np.int64(group), tag)
            if match == ZERO:
                match = equal_of_16(tags, np.int64(group), _FREE)
                hints[j - start] = np.uint32(group + lowest_one(match)) | _NEW
            else:
                hints[j - start] = np.uint32(group + lowest_one(match))
        for j in range(start, min(start + _AHEAD, end)):
            prefetch(records, np.int64(hints[j - start] & _SLOT))
        for j in range(start, end):
            if j + _AHEAD < end:
                prefetch(records, np.int64(hints[j + _AHEAD - start] & _SLOT))
            i, slot = np.uint64(rows[j]), np.uint64(hints[j - start] & _SLOT)
            if hints[j - start] >= _NEW or not _holds(records, slot, words, i):
                if tags[slot] != _FREE and not _holds(records, slot, words, i):
                    slot = _find(tags, records, words, i, hashes[i])
                if tags[slot] == _FREE:  # as when the id was looked up: it would have come here, had it come since
                    if n == limit:
                        return int(np.int64(j)), n, overflow
                    n += 1
                    tags[slot] = _tag(hashes[i])
                    _enter_id(records, slot, words, i)
            if actions[i] >= rec.REFUND:
                records[slot]["first_row"] = min(records[slot]["first_row"], first_row + np.int64(i))
                overflow |= add_amount(records, int(slot), amounts, int(i))
                if actions[i] == rec.PURCHASE:
                    records[slot]["frequency"] += 1
                    rec.enter_dates(records, int(slot), ticks[i], ticks[i])
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
        if tags[slot] == _FREE:
            if n == limit:
                return j, n
            n += 1
            tags[slot] = _tag(hashes[i])
            _enter_id(records, slot, words, i)
        out[j] = np.int32(slot)
    return len(rows), n


@kernel
def room(tags: NDArray[np.uint8]) -> int:
    """Return how many customers these slots may hold: seven eighths of them."""
    return len(tags) // 8 * 7


@row_kernel
def _hash_id(record: Any, wide: bool, start: np.uint64, multiplier: np.uint64) -> np.uint64:
    """Return the hash of a record's id, as hash_keys does."""
    low, high = np.uint64(record["last_value"]), np.uint64(record["first_value"])
    return hash_words(low, high, start, multiplier) if wide else hash_word(low, start, multiplier)


@kernel
def _spread(
    old: NDArray[np.uint8],
    tags: NDArray[np.uint8],
    counts: NDArray[np.uint8],
    records: NDArray[np.void],
    wide: bool,
    start: np.uint64,
    multiplier: np.uint64,
    n_left: int,
    stash: NDArray[np.void],
    n_stashed: int,
) -> tuple[int, int]:
    """Move the records of the n_left first groups of old to their groups in tags, from the last to the first.

    records are both tables', those of old at the start; tags and counts (uint8[n_groups], the records in each group)
    come as zeros. No home lies below the old one, so nothing is overwritten, but a record that was displaced or goes
    round the end may want a group not emptied yet: it is stashed. Return (groups left, stashed) when there may be no
    room for a group in stash. Counting takes what reading the tags would: a byte just written, 16 read, is a stall.
    """
    n_groups = np.uint64(len(counts))
    for g in range(n_left):
        if n_stashed + 16 > len(stash):
            return n_left - g, n_stashed
        old_group = np.uint64(n_left - 1 - g)
        n_taken = n_stashed
        while n_taken < n_stashed + 16:
            slot = old_group * _GROUP + np.uint64(n_taken - n_stashed)
            if old[slot] == _FREE:
                break
            prefetch(records, max(np.int64(slot) - _BEHIND, np.int64(0)))
            stash[n_taken] = records[slot]
            n_taken += 1
        first, n_kept = n_stashed, n_stashed
        for k in range(first, n_taken):
            h = _hash_id(stash[k], wide, start, multiplier)
            group = _home(h, n_groups)
            while counts[group] == 16:
                group += ONE
                if group == n_groups:
                    group = ZERO
            if group < old_group:
                stash[n_kept] = stash[k]
                n_kept += 1
            else:
                slot = group * _GROUP + np.uint64(counts[group])
                counts[group] += 1
                tags[slot] = _tag(h)
                prefetch(records, max(np.int64(slot) - _BEHIND, np.int64(0)))
                records[slot] = stash[k]
        n_stashed = n_kept
    for k in range(n_stashed):
        h = _hash_id(stash[k], wide, start, multiplier)
        group = _home(h, n_groups)
        while counts[group] == 16:
            group += ONE
            if group == n_groups:
                group = ZERO
        slot = group * _GROUP + np.uint64(counts[group])
        counts[group] += 1
        tags[slot] = _tag(h)
        records[slot] = stash[k]
    return 0, 0


def _new_tags(n: int) -> NDArray[np.uint8]:
    """Return uint8[n] of empty slots, from the start of a cache line."""
    raw = np.zeros(n + 64, dtype=np.uint8)
    shift = -raw.ctypes.data % 64
    return raw[shift : shift + n]


def _larger(n: int) -> int:
    """Return how many slots follow n: by three quarters where they take memory that counts."""
    return n * 4 if n < _LARGE else n * 7 // 64 * 16


class CustomerTable:
    """The customers of one shard and their records, for ids of 8 bytes, or of 16 (wide)."""

    def __init__(self, wide: bool, seed: int) -> None:
        self.wide = wide
        self.n_keys = 0
        self.tags = _new_tags(_FIRST_SLOTS)
        self.records = rec.new_records(_FIRST_SLOTS)
        self._seed = seed
        self._room = self.records.view(np.uint8)
        self._hints = np.empty(int(_BLOCK), dtype=np.uint32)

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
            done, self.n_keys, over = count_rows(
                self.tags, self.records, self.n_keys, words, hashes, rows, done, *batch, first_row, self._hints
            )
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
        n = _larger(len(self.tags))
        old, self.tags = readonly(self.tags), _new_tags(n)
        self._resize(n)
        counts, stash = np.zeros(n // 16, dtype=np.uint8), rec.new_records(64)
        seed, n_left, n_stashed = seed_words(self._seed), len(old) // 16, 0
        while n_left:
            n_left, n_stashed = _spread(
                old, self.tags, counts, self.records, self.wide, *seed, n_left, stash, n_stashed
            )
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
