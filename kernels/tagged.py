"""Integer customers counted by rows: a table that finds a customer by the hash's tag and checks the id in its record.

    candidate = the newest customer of the home bucket with the row's tag;  it is the row's if its record holds the id

A bucket is a cache line of 8 tags (the low half of the hash) and their 8 numbers + 1 (0 means empty, filled from the
left), and all are compared at once. The id stands in the record that the row updates anyway, so a row touches two
cache lines, and one bucket in 50 overflows. The few rows whose candidate is another customer are left to an exact
search: all rows of one customer in one call, as a call's candidates are chosen before any of them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, largest_of_8, prefetch, readonly, row_kernel
from kernels.hashing import FixedKeys, Keys
from kernels.money import add_amount
from kernels.slots import AHEAD, LOW_HALF, new_slots

_FIRST_TAGS = 1024  # slots of a fresh table: 8 KiB
_FIRST_RECORDS = 128  # 8 KiB; a small request seldom has more customers


@row_kernel
def _home(h: np.uint64, size: int) -> int:
    """Return the place of the home bucket of hash h in tags of this size."""
    return int(h & LOW_HALF & np.uint64(size // 16 - 1)) * 16


@row_kernel
def _next(bucket: int, size: int) -> int:
    """Return the place of the bucket after this one, the first after the last."""
    return (bucket + 16) & (size - 1)


@row_kernel
def _enter(
    tags: NDArray[np.uint32], slot: int, tag: np.uint32, records: NDArray[np.void], n: int, key: np.int64
) -> None:
    """Enter customer n, with an empty record, into an empty slot."""
    tags[slot] = tag
    tags[slot + 8] = n + 1
    rec.clear_record(records, n)
    records[n]["last_value"] = key


@kernel
def choose_candidates(
    tags: NDArray[np.uint32],
    records: NDArray[np.void],
    n: int,
    bits: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int32],
    out: NDArray[np.int32],
) -> tuple[int, int]:
    """Write the rows' candidates to out until the table is full; a tag not seen before is a new customer.

    Return (rows done, customers). All in one body: a called function with a loop counts references, 30 ns a row.
    """
    limit, size = min(room(tags), len(records)), len(tags)
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(tags, _home(hashes[rows[j + AHEAD]], size))
        tag = np.uint32(hashes[rows[j]])
        bucket = _home(hashes[rows[j]], size)
        found = int(largest_of_8(tags, bucket, tag))
        while found == 0 and tags[bucket + 15] != 0:
            bucket = _next(bucket, size)
            found = int(largest_of_8(tags, bucket, tag))
        if found == 0:
            if n == limit:
                return j, n
            while tags[bucket + 8] != 0:
                bucket += 1
            _enter(tags, bucket, tag, records, n, np.int64(bits[rows[j]]))
            n += 1
            found = n
        out[j] = found - 1
    return len(rows), n


@kernel
def count_candidates(
    records: NDArray[np.void],
    rows: NDArray[np.int32],
    candidates: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    amounts: Any,
    first_row: int,
    bits: NDArray[np.uint64],
) -> tuple[int, bool]:
    """Do as count_rows in records.py for the rows whose candidate has the row's id.

    The other rows are listed at the start of candidates. Return (how many those are, whether a sum left 128 bits).
    """
    overflow, n_left = False, 0
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(records, int(candidates[j + AHEAD]))
        i, number = int(rows[j]), int(candidates[j])
        if records[number]["last_value"] != np.int64(bits[i]):
            candidates[n_left] = i
            n_left += 1
        elif actions[i] >= rec.REFUND:
            records[number]["first_row"] = min(records[number]["first_row"], first_row + i)
            overflow |= add_amount(records, number, amounts, i)
            if actions[i] == rec.PURCHASE:
                records[number]["frequency"] += 1
                rec.enter_dates(records, number, ticks[i], ticks[i])
    return n_left, overflow


@kernel
def number_exactly(
    tags: NDArray[np.uint32],
    records: NDArray[np.void],
    n: int,
    bits: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int32],
    done: int,
    out: NDArray[np.int32],
) -> tuple[int, int]:
    """Write the numbers of rows[done:] to out, comparing ids wherever tags agree. Return (rows done, customers)."""
    limit, size = min(room(tags), len(records)), len(tags)
    for j in range(done, len(rows)):
        tag = np.uint32(hashes[rows[j]])
        key = np.int64(bits[rows[j]])
        slot = _home(hashes[rows[j]], size)
        while tags[slot + 8] != 0:
            if tags[slot] == tag and records[np.int64(tags[slot + 8]) - 1]["last_value"] == key:
                break
            slot = slot + 1 if slot % 16 < 7 else _next(slot - 7, size)
        if tags[slot + 8] == 0:
            if n == limit:
                return j, n
            _enter(tags, slot, tag, records, n, key)
            n += 1
        out[j] = np.int64(tags[slot + 8]) - 1
    return len(rows), n


@kernel
def room(tags: NDArray[np.uint32]) -> int:
    """Return how many customers these slots may hold: five eighths of them."""
    return len(tags) // 16 * 5


@kernel
def _rehash(old: NDArray[np.uint32], new: NDArray[np.uint32]) -> None:
    """Write old's entries into new; both are read and written in order, as in slots.py."""
    for i in range(0, len(old), 16):
        for j in range(i, i + 8):
            if old[j + 8] != 0:
                slot = _home(np.uint64(old[j]), len(new))
                while new[slot + 8] != 0:
                    slot = slot + 1 if slot % 16 < 7 else _next(slot - 7, len(new))
                new[slot] = old[j]
                new[slot + 8] = old[j + 8]


@kernel
def _list_keys(records: NDArray[np.void], out: NDArray[np.uint64]) -> None:
    """Write the ids into out uint64[n_keys] by number."""
    for i in range(len(out)):
        out[i] = np.uint64(records[i]["last_value"])


class TaggedTable:
    """The customers of one shard, numbered from 0, and their records."""

    def __init__(self) -> None:
        self.n_keys = 0
        self.records = rec.new_records(_FIRST_RECORDS)
        self._tags = new_slots(_FIRST_TAGS // 2).view(np.uint32)

    @property
    def nbytes(self) -> int:
        """The bytes this table holds, without the records."""
        return self._tags.nbytes

    def count(
        self, keys: FixedKeys, hashes: NDArray[np.uint64], rows: NDArray[np.int32], batch: rec.Batch, first_row: int
    ) -> bool:
        """Enter the listed rows, counting every purchase as an occasion; tell whether a sum left 128 bits."""
        bits, hashes = readonly(keys.bits), readonly(hashes)
        found, done = np.empty(len(rows), dtype=np.int32), 0
        while done < len(rows):  # from the start after growth: a customer's rows need the same candidate
            done, self.n_keys = choose_candidates(self._tags, self.records, self.n_keys, bits, hashes, rows, found)
            if done < len(rows):
                self._grow()
        n_left, overflow = count_candidates(self.records, rows, found, *batch, first_row, bits)
        if n_left:
            left = readonly(found[:n_left].copy())
            numbers = readonly(self.number(keys, hashes, left))
            overflow |= rec.count_rows(self.records, left, numbers, *batch, first_row)
        return bool(overflow)

    def number(self, keys: Keys, hashes: NDArray[np.uint64], rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return int32[len(rows)], the number of each row's customer."""
        if not isinstance(keys, FixedKeys):
            raise TypeError(f"keys: found {type(keys).__name__}, wanted FixedKeys; one table holds one kind of key")
        out, done = np.empty(len(rows), dtype=np.int32), 0
        bits, hashes, rows = readonly(keys.bits), readonly(hashes), readonly(rows)
        while True:
            done, self.n_keys = number_exactly(self._tags, self.records, self.n_keys, bits, hashes, rows, done, out)
            if done == len(rows):
                return out
            self._grow()

    def _grow(self) -> None:
        """Make room for more customers where there is none."""
        if self.n_keys == len(self.records):
            self.records = rec.grown(self.records)
        if self.n_keys == room(self._tags):
            capacity = len(self._tags) // 2
            larger = new_slots(capacity // 2 * (2 if capacity > 32_768 else 4)).view(np.uint32)
            _rehash(readonly(self._tags), larger)
            self._tags = larger

    def keys(self) -> Keys:
        """Return the ids in the order of their numbers."""
        bits = np.empty(self.n_keys, dtype=np.uint64)
        _list_keys(self.records, bits)
        return FixedKeys(bits)
