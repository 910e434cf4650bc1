"""Ids become dense customer numbers: an exact hash table that numbers keys in the order they are first seen.

    number(key) = how many distinct keys came before it

Integers are compared in the slot itself, so one cache miss decides. Bytes live in one arena (4 bytes of length, then
the key) and are compared only where 32 bits of the hash agree: two cache misses, both fetched ahead.
"""

import numpy as np
from numpy.typing import NDArray

from kernels._jit import equal_bytes, kernel, load_u64, prefetch, readonly, store_u64
from kernels.hashing import (
    ByteKeys,
    FixedKeys,
    Keys,
    WideKeys,
    hash_keys,
    n_keys,
    stable_hash,
)
from kernels.slots import (
    AHEAD,
    BLOCK_ROWS,
    FAR_AHEAD,
    FIVE,
    FOUR,
    HALF,
    LOW_HALF,
    ONE,
    SIX,
    THREE,
    TWO,
    ZERO,
    bucket_mask,
    first_empty,
    first_equal,
    grown,
    home,
    new_slots,
    next_bucket,
    next_slot,
    room,
)

__all__ = [
    "ByteKeys",
    "FixedKeys",
    "KeyTable",
    "Keys",
    "WideKeys",
    "concatenate_keys",
    "hash_keys",
    "n_keys",
    "stable_hash",
    "take_keys",
]

_ARENA_START = 8  # the first entry leaves 8 bytes before it, so that a short key is read as the end of a word
_ARENA_SLACK = 8  # and as many after the last one: lengths are read and written as whole words, keys written so
_HEADER = 4


@kernel
def _number_fixed(
    slots: NDArray[np.uint64],
    n: int,
    bits: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int32],
    done: int,
    out: NDArray[np.int32],
) -> tuple[int, int]:
    """Number rows[done:] into out until the slots are full; return (rows done, keys in the table).

    One body, here and below: a called function with a loop counts references to its arrays, which cost 30 ns a row.
    The columns of a block are fetched first: else they queue behind the slots, and numbering takes a fifth longer.
    """
    mask, limit, stop = bucket_mask(slots), room(slots), np.uint64(len(rows))
    for start in range(np.uint64(done), stop, BLOCK_ROWS):
        end = min(start + BLOCK_ROWS, stop)
        for j in range(start, end):
            prefetch(bits, np.int64(rows[j]))
            prefetch(hashes, np.int64(rows[j]))
        for j in range(start, end):
            if j + FAR_AHEAD < stop:
                prefetch(slots, np.int64(home(hashes[np.uint64(rows[j + FAR_AHEAD])], mask)))
            i = np.uint64(rows[j])
            h, key = hashes[i], bits[i]
            slot = home(h, mask)
            slot += first_equal(slots[slot + FOUR], slots[slot + FIVE], slots[slot + SIX], key)
            while slots[slot] != ZERO and slots[slot + FOUR] != key:  # then it is the last one: the bucket is full
                slot = next_bucket(slot - THREE, mask)
                slot += first_equal(slots[slot + FOUR], slots[slot + FIVE], slots[slot + SIX], key)
            if slots[slot] == ZERO:
                slot = first_empty(slots, slot)
                if n == limit:
                    return int(np.int64(j)), n
                n += 1
                slots[slot] = (h & LOW_HALF) << HALF | np.uint64(n)
                slots[slot + FOUR] = key
            out[j] = np.int64(slots[slot] & LOW_HALF) - 1
    return len(rows), n


@kernel
def _number_bytes(
    slots: NDArray[np.uint64],
    arena: NDArray[np.uint8],
    n: int,
    used: int,
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int32],
    done: int,
    out: NDArray[np.int32],
) -> tuple[int, int, int]:
    """Number rows[done:] until slots or arena are full; return (rows done, keys, bytes used in the arena)."""
    mask = bucket_mask(slots)
    limit = room(slots)
    for j in range(done, len(rows)):
        if j + 2 * AHEAD < len(rows):
            prefetch(slots, np.int64(home(hashes[rows[j + 2 * AHEAD]], mask)))
            h = hashes[rows[j + AHEAD]]
            slot = home(h, mask)
            first, second, third = slots[slot] >> HALF, slots[slot + ONE] >> HALF, slots[slot + TWO] >> HALF
            slot += first_equal(first, second, third, h & LOW_HALF)
            prefetch(arena, np.int64(slots[slot + FOUR]))
        row = rows[j]
        length = int(lengths[row])
        tag = hashes[row] & LOW_HALF
        slot = home(tag, mask)
        first, second, third = slots[slot] >> HALF, slots[slot + ONE] >> HALF, slots[slot + TWO] >> HALF
        slot += first_equal(first, second, third, tag)
        while slots[slot] != ZERO:
            entry = np.int64(slots[slot + FOUR])
            alike = slots[slot] >> HALF == tag and np.int64(load_u64(arena, entry) & LOW_HALF) == length
            if alike and equal_bytes(arena, entry + _HEADER, data, starts[row], length):
                break
            slot = next_slot(slot, mask)
        if slots[slot] == ZERO:
            slot = first_empty(slots, slot)
            if n == limit or used + _HEADER + length + _ARENA_SLACK > len(arena):
                return j, n, used
            n += 1
            slots[slot] = tag << HALF | np.uint64(n)
            slots[slot + FOUR] = np.uint64(used)
            store_u64(arena, used, np.uint64(length))
            if starts[row] + length + 8 <= len(data):
                for i in range(0, length, 8):
                    store_u64(arena, used + _HEADER + i, load_u64(data, starts[row] + i))
            else:
                for i in range(length):
                    arena[used + _HEADER + i] = data[starts[row] + i]
            used += _HEADER + length
        out[j] = np.int64(slots[slot] & LOW_HALF) - 1
    return len(rows), n, used


@kernel
def _list_fixed(slots: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    """Write the keys into out uint64[n_keys] by number."""
    for i in range(0, len(slots), 8):
        for j in range(i, i + 4):
            if slots[j] != ZERO:
                out[np.int64(slots[j] & LOW_HALF) - 1] = slots[j + 4]


@kernel
def _list_bytes(arena: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int32]) -> None:
    """Write where the keys stand in the arena: entries follow each other in the order of their numbers."""
    entry = _ARENA_START
    for i in range(len(starts)):
        length = int(load_u64(arena, entry) & LOW_HALF)
        starts[i] = entry + _HEADER
        lengths[i] = length
        entry += _HEADER + length


@kernel
def _copy_bytes(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int32],
    out_starts: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Copy key i from data to out[out_starts[i]:], word by word: what is written too much the next key overwrites."""
    for i in range(len(starts)):
        start, out_start, length = starts[i], out_starts[i], int(lengths[i])
        if start + length + 8 <= len(data):
            for b in range(0, length, 8):
                store_u64(out, out_start + b, load_u64(data, start + b))
        else:
            for b in range(length):
                out[out_start + b] = data[start + b]


def take_keys(keys: Keys, order: NDArray[np.int64] | None = None) -> Keys:
    """Return keys[order] (all keys when order is None), the bytes of a ByteKeys one after the other without gaps."""
    if isinstance(keys, FixedKeys):
        return keys if order is None else FixedKeys(keys.bits[order])
    if isinstance(keys, WideKeys):
        return keys if order is None else WideKeys(keys.words[order])
    starts, lengths = keys.starts, keys.lengths
    if order is not None:
        starts, lengths = starts[order], lengths[order]
    ends = np.cumsum(lengths, dtype=np.int64)
    n_bytes = int(ends[-1]) if len(ends) else 0
    data = np.empty(n_bytes + 8, dtype=np.uint8)
    out_starts = ends - lengths
    _copy_bytes(readonly(keys.data), readonly(starts), readonly(lengths), readonly(out_starts), data)
    return ByteKeys(data[:n_bytes], out_starts, lengths)


def concatenate_keys(parts: list[Keys]) -> Keys:
    """Return the keys of all parts (at least one, all of one kind), in order."""
    if len(parts) == 1:
        return parts[0]
    fixed = [part for part in parts if isinstance(part, FixedKeys)]
    if fixed:
        return FixedKeys(np.concatenate([part.bits for part in fixed]))
    wide = [part for part in parts if isinstance(part, WideKeys)]
    if wide:
        return WideKeys(np.concatenate([part.words for part in wide]))
    byte = [part for part in parts if isinstance(part, ByteKeys)]
    shifts = np.cumsum([0] + [len(part.data) for part in byte])
    return ByteKeys(
        np.concatenate([part.data for part in byte]),
        np.concatenate([part.starts + shift for part, shift in zip(byte, shifts, strict=False)]),
        np.concatenate([part.lengths for part in byte]),
    )


class KeyTable:
    """The distinct keys of one shard, numbered from 0 in the order they were first seen."""

    def __init__(self, fixed: bool) -> None:
        self.fixed = fixed
        self.n_keys = 0
        self._slots = new_slots()
        self._arena = np.empty(0 if fixed else 4096, dtype=np.uint8)
        self._used = _ARENA_START

    @property
    def nbytes(self) -> int:
        """The bytes this table holds."""
        return self._slots.nbytes + self._arena.nbytes

    @property
    def text_bytes(self) -> int:
        """The bytes of the keys themselves, where they are made of bytes."""
        return self._used - _ARENA_START - _HEADER * self.n_keys if not self.fixed else 0

    def number(self, keys: Keys, hashes: NDArray[np.uint64], rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return int32[len(rows)], the number of each listed row's key; a new key gets the next number.

        hashes uint64[n]: equal for equal keys, from one seed for the life of the table; rows int32[m]: which keys.
        """
        if isinstance(keys, WideKeys) or isinstance(keys, FixedKeys) != self.fixed:
            raise TypeError(
                f"keys: found {type(keys).__name__}, wanted {'FixedKeys' if self.fixed else 'ByteKeys'}; "
                "one table holds one kind of key"
            )
        out = np.empty(len(rows), dtype=np.int32)
        hashes, rows = readonly(hashes), readonly(rows)
        if isinstance(keys, FixedKeys):
            self._number_fixed(keys, hashes, rows, out)
        else:
            self._number_bytes(keys, hashes, rows, out)
        return out

    def _number_fixed(
        self, keys: FixedKeys, hashes: NDArray[np.uint64], rows: NDArray[np.int32], out: NDArray[np.int32]
    ) -> None:
        bits, done = readonly(keys.bits), 0
        while True:
            done, self.n_keys = _number_fixed(self._slots, self.n_keys, bits, hashes, rows, done, out)
            if done == len(rows):
                return
            self._slots = grown(self._slots)

    def _number_bytes(
        self, keys: ByteKeys, hashes: NDArray[np.uint64], rows: NDArray[np.int32], out: NDArray[np.int32]
    ) -> None:
        data, starts, lengths, done = readonly(keys.data), readonly(keys.starts), readonly(keys.lengths), 0
        while True:
            done, self.n_keys, self._used = _number_bytes(
                self._slots, self._arena, self.n_keys, self._used, data, starts, lengths, hashes, rows, done, out
            )
            if done == len(rows):
                return
            if self.n_keys == room(self._slots):
                self._slots = grown(self._slots)
            else:
                need = self._used + _HEADER + int(lengths[rows[done]]) + _ARENA_SLACK
                self._arena.resize(max(need, len(self._arena) * 3 // 2), refcheck=False)

    def keys(self) -> Keys:
        """Return the keys in the order of their numbers: FixedKeys, or ByteKeys without gaps."""
        if self.fixed:
            bits = np.empty(self.n_keys, dtype=np.uint64)
            _list_fixed(readonly(self._slots), bits)
            return FixedKeys(bits)
        return take_keys(self.places())

    def places(self) -> ByteKeys:
        """Return keys made of bytes by number, where they stand in the table, until another one comes."""
        starts = np.empty(self.n_keys, dtype=np.int64)
        lengths = np.empty(self.n_keys, dtype=np.int32)
        _list_bytes(readonly(self._arena), starts, lengths)
        return ByteKeys(self._arena, starts, lengths)
