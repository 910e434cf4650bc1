"""Hash a batch's ids and part its rows into shards, in one pass.

    shard = ⌊top half of the hash · n_shards / 2³²⌋

Each shard gets room for all rows, so nothing is counted before: pages that are not written to cost nothing. A table
that needs only half of a hash gets it with the row, as low half of the hash << 32 | row: 8 bytes that it reads one
after the other, instead of 4, and 8 more of which the next but one is another shard's.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import Scalar, kernel, mask_bytes, readonly
from kernels.customer_entries import hash_entries
from kernels.hashing import (
    ByteKeys,
    EntryKeys,
    Keys,
    RowKeys,
    hash_keys,
    hash_word,
    hash_words,
    n_keys,
    seed_words,
    shard_of,
)
from kernels.slots import HALF


@kernel
def _hash_and_part(
    words: Any,
    keep: NDArray[np.uint8],
    start: np.uint64,
    multiplier: np.uint64,
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int32],
    ends: NDArray[np.int64],
) -> None:
    """Write the hashes, and the kept rows of shard s to rows[s, : ends[s]]; words uint64[n] or uint64[n, 2].

    keep is uint8[n], or uint8[0] for all; ends comes as zeros.
    """
    n_shards = np.uint64(len(ends))
    for i in range(len(words)):
        if words.ndim == 1:
            h = hash_word(words[i], start, multiplier)
        else:
            h = hash_words(words[i, 0], words[i, 1], start, multiplier)
        hashes[i] = h
        shard = np.uint64(shard_of(h, n_shards))
        end = ends[shard]
        rows[shard, np.uint64(end)] = i  # written over by the next row where this one is not kept
        ends[shard] = end + (1 if len(keep) == 0 else np.int64(keep[i] != 0))


@kernel
def _hash_and_halve(
    words: Any,
    keep: NDArray[np.uint8],
    start: np.uint64,
    multiplier: np.uint64,
    hashes: NDArray[np.uint64],
    rows: NDArray[np.int32],
    ends: NDArray[np.int64],
) -> None:
    """Do as _hash_and_part for two shards: three quarters of the time, for no row waits for an end in memory.

    Every row is written to both, and stays in one.
    """
    n, n_second = np.uint64(0), np.uint64(0)
    for i in range(np.uint64(len(words))):
        if words.ndim == 1:
            h = hash_word(words[i], start, multiplier)
        else:
            h = hash_words(words[i, 0], words[i, 1], start, multiplier)
        hashes[i] = h
        rows[0, n - n_second] = i
        rows[1, n_second] = i
        there = np.uint64(1) if len(keep) == 0 else np.uint64(keep[i] != 0)
        n += there
        n_second += there & (h >> np.uint64(63))  # shard_of the hash
    ends[0], ends[1] = np.int64(n - n_second), np.int64(n_second)


@kernel
def _hash_and_list(
    words: Any,
    keep: NDArray[np.uint8],
    start: np.uint64,
    multiplier: np.uint64,
    listed: NDArray[np.uint64],
    ends: NDArray[np.int64],
) -> None:
    """Do as _hash_and_part, but write half of the hash and the row to listed[s, : ends[s]]."""
    n_shards = np.uint64(len(ends))
    for i in range(len(words)):
        if words.ndim == 1:
            h = hash_word(words[i], start, multiplier)
        else:
            h = hash_words(words[i, 0], words[i, 1], start, multiplier)
        shard = np.uint64(shard_of(h, n_shards))
        end = ends[shard]
        listed[shard, np.uint64(end)] = (h << HALF) | np.uint64(i)
        ends[shard] = end + (1 if len(keep) == 0 else np.int64(keep[i] != 0))


@kernel
def _hash_and_list_halves(
    words: Any,
    keep: NDArray[np.uint8],
    start: np.uint64,
    multiplier: np.uint64,
    listed: NDArray[np.uint64],
    ends: NDArray[np.int64],
) -> None:
    """Do as _hash_and_list for two shards, in the way of _hash_and_halve."""
    n, n_second = np.uint64(0), np.uint64(0)
    for i in range(np.uint64(len(words))):
        if words.ndim == 1:
            h = hash_word(words[i], start, multiplier)
        else:
            h = hash_words(words[i, 0], words[i, 1], start, multiplier)
        one = (h << HALF) | i
        listed[0, n - n_second] = one
        listed[1, n_second] = one
        there = np.uint64(1) if len(keep) == 0 else np.uint64(keep[i] != 0)
        n += there
        n_second += there & (h >> np.uint64(63))  # shard_of the hash
    ends[0], ends[1] = np.int64(n - n_second), np.int64(n_second)


@kernel
def _list(
    hashes: NDArray[np.uint64], keep: NDArray[np.uint8], listed: NDArray[np.uint64], ends: NDArray[np.int64]
) -> None:
    """Do as _hash_and_list for hashes that are there already."""
    n_shards = np.uint64(len(ends))
    for i in range(len(hashes)):
        shard = np.uint64(shard_of(hashes[i], n_shards))
        end = ends[shard]
        listed[shard, np.uint64(end)] = (hashes[i] << HALF) | np.uint64(i)
        ends[shard] = end + (1 if len(keep) == 0 else np.int64(keep[i] != 0))


@kernel
def _list_halves(
    hashes: NDArray[np.uint64], keep: NDArray[np.uint8], listed: NDArray[np.uint64], ends: NDArray[np.int64]
) -> None:
    """Do as _list for two shards, in the way of _hash_and_halve."""
    n, n_second = np.uint64(0), np.uint64(0)
    for i in range(np.uint64(len(hashes))):
        h = hashes[i]
        listed[0, n - n_second] = (h << HALF) | i
        listed[1, n_second] = (h << HALF) | i
        there = np.uint64(1) if len(keep) == 0 else np.uint64(keep[i] != 0)
        n += there
        n_second += there & (h >> np.uint64(63))
    ends[0], ends[1] = np.int64(n - n_second), np.int64(n_second)


@kernel
def _part(
    hashes: NDArray[np.uint64], keep: NDArray[np.uint8], rows: NDArray[np.int32], ends: NDArray[np.int64]
) -> None:
    """Write the kept rows of shard s to rows[s, : ends[s]], as _hash_and_part."""
    n_shards = np.uint64(len(ends))
    for i in range(len(hashes)):
        shard = np.uint64(shard_of(hashes[i], n_shards))
        end = ends[shard]
        rows[shard, np.uint64(end)] = i
        ends[shard] = end + (1 if len(keep) == 0 else np.int64(keep[i] != 0))


class Room:
    """Arrays for the hashes and parts of batches, used again by batches of later rounds. In any thread.

    Taken from the allocator each time they came back from the system now and then, whose pages cost as much to touch as
    hashing and parting.
    """

    def __init__(self, lists: bool = False) -> None:
        self._lists = lists  # for hash_and_list, or for hash_and_part
        self._idle: list[Arrays] = []  # appending and popping are atomic

    def take(self, n: int, n_shards: int) -> "Arrays":
        """Return room for the hashes of n rows, and for all of them in each shard."""
        try:
            arrays = self._idle.pop()
        except IndexError:
            arrays = _NO_ROOM
        if len(arrays.hashes) < n or arrays.rows.shape[0] != n_shards:
            rows, listed = (n_shards, 0 if self._lists else n), (n_shards, n if self._lists else 0)
            arrays = Arrays(np.empty(n, np.uint64), np.empty(rows, np.int32), np.empty(listed, np.uint64))
        return arrays

    def give(self, arrays: "Arrays") -> None:
        """Take back what nobody reads any more."""
        self._idle.append(arrays)

    def clear(self) -> None:
        """Let go of all that is idle."""
        self._idle.clear()


class Arrays(NamedTuple):
    """Room for one batch."""

    hashes: NDArray[np.uint64]  # [n or more]
    rows: NDArray[np.int32]  # [n_shards, n or more], or
    listed: NDArray[np.uint64]  # [n_shards, n or more]; the other one [n_shards, 0]


_NO_ROOM = Arrays(np.empty(0, np.uint64), np.empty((0, 0), np.int32), np.empty((0, 0), np.uint64))


def hash_and_part(
    keys: Keys, seed: int, n_shards: int, keep: NDArray[np.bool_] | None = None, room: Arrays | None = None
) -> tuple[NDArray[np.uint64], list[NDArray[np.int32]]]:
    """Return (hashes uint64[n], for each shard its kept rows int32[…], ascending); keep bool[n], None: all.

    room: where to write them; None: new arrays. Of ByteKeys only the parts are written there.
    """
    n = n_keys(keys)
    if room is None:
        room = Room().take(n, n_shards)
    if isinstance(keys, ByteKeys):
        hashes = readonly(hash_keys(keys, seed))
        return hashes, _parts(hashes, keep, room.rows)
    hashes, ends = room.hashes[:n], np.zeros(n_shards, dtype=np.int64)
    part = _hash_and_halve if n_shards == 2 else _hash_and_part
    part(readonly(keys[0]), mask_bytes(keep), *seed_words(seed), hashes, room.rows, ends)
    return readonly(hashes), _cut(room.rows, ends)


def hash_and_list(
    keys: RowKeys, seed: int, n_shards: int, keep: NDArray[np.bool_] | None, room: Arrays
) -> list[NDArray[np.uint64]]:
    """Return for each shard low half of the hash << 32 | row of its kept rows, in order; not of ByteKeys."""
    n, ends, kept = n_keys(keys), np.zeros(n_shards, dtype=np.int64), mask_bytes(keep)
    if isinstance(keys, EntryKeys):
        hash_entries(keys, seed, n_shards, room.hashes[:n])
        listing = _list_halves if n_shards == 2 else _list
        listing(readonly(room.hashes[:n]), kept, room.listed, ends)
    elif isinstance(keys, ByteKeys):
        raise TypeError("keys: found ByteKeys, wanted FixedKeys, WideKeys or EntryKeys")
    else:
        hashing = _hash_and_list_halves if n_shards == 2 else _hash_and_list
        hashing(readonly(keys[0]), kept, *seed_words(seed), room.listed, ends)
    return _cut(room.listed, ends)


def part_rows(
    hashes: NDArray[np.uint64], n_shards: int, keep: NDArray[np.bool_] | None = None
) -> list[NDArray[np.int32]]:
    """Return for each shard its kept rows int32[…], ascending; hashes uint64[n]; keep bool[n], None: all."""
    return _parts(hashes, keep, np.empty((n_shards, len(hashes)), dtype=np.int32))


def _parts(
    hashes: NDArray[np.uint64], keep: NDArray[np.bool_] | None, rows: NDArray[np.int32]
) -> list[NDArray[np.int32]]:
    """Write each shard's kept rows to rows int32[n_shards, n or more], and return them."""
    ends = np.zeros(len(rows), dtype=np.int64)
    _part(readonly(hashes), mask_bytes(keep), rows, ends)
    return _cut(rows, ends)


def _cut(rows: NDArray[Scalar], ends: NDArray[np.int64]) -> list[NDArray[Scalar]]:
    """Return each shard's rows."""
    return [readonly(own[:end]) for own, end in zip(rows, ends.tolist(), strict=True)]
