"""Groups of 16 slots: where an id belongs in a table of customers, and how a table that grows moves its records.

    home group of a hash = ⌊low half · n_groups / 2³²⌋,  then the next group, …;  tag = a byte of the high half, never 0

Any number of groups will do, and groups keep the order of the hashes, so that the table grows by half in its place.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, prefetch, row_kernel
from kernels.hashing import hash_word, hash_words
from kernels.slots import HALF, LOW_HALF, ONE, ZERO

FREE = np.uint8(0)  # the tag of a slot without a customer
GROUP = np.uint64(16)
_BEHIND = np.int64(64)  # records fetched before their turn where a table is gone through backwards: half the time
_LARGE = 1 << 17  # slots; up to here growing four times as large costs nobody anything


@row_kernel
def home(h: np.uint64, n_groups: np.uint64) -> np.uint64:
    """Return the home group of hash h."""
    return ((h & LOW_HALF) * n_groups) >> HALF


@row_kernel
def tag_of(h: np.uint64) -> np.uint8:
    """Return the tag of hash h: of its bits, neither the shard (the top ones) nor the group depends on these."""
    return max(np.uint8((h >> HALF) & np.uint64(255)), np.uint8(1))


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
def spread(
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
            slot = old_group * GROUP + np.uint64(n_taken - n_stashed)
            if old[slot] == FREE:
                break
            prefetch(records, max(np.int64(slot) - _BEHIND, np.int64(0)))
            stash[n_taken] = records[slot]
            n_taken += 1
        first, n_kept = n_stashed, n_stashed
        for k in range(first, n_taken):
            h = _hash_id(stash[k], wide, start, multiplier)
            group = home(h, n_groups)
            while counts[group] == 16:
                group += ONE
                if group == n_groups:
                    group = ZERO
            if group < old_group:
                stash[n_kept] = stash[k]
                n_kept += 1
            else:
                slot = group * GROUP + np.uint64(counts[group])
                counts[group] += 1
                tags[slot] = tag_of(h)
                prefetch(records, max(np.int64(slot) - _BEHIND, np.int64(0)))
                records[slot] = stash[k]
        n_stashed = n_kept
    for k in range(n_stashed):
        h = _hash_id(stash[k], wide, start, multiplier)
        group = home(h, n_groups)
        while counts[group] == 16:
            group += ONE
            if group == n_groups:
                group = ZERO
        slot = group * GROUP + np.uint64(counts[group])
        counts[group] += 1
        tags[slot] = tag_of(h)
        records[slot] = stash[k]
    return 0, 0


def new_tags(n: int) -> NDArray[np.uint8]:
    """Return uint8[n] of empty slots, from the start of a cache line."""
    raw = np.zeros(n + 64, dtype=np.uint8)
    shift = -raw.ctypes.data % 64
    return raw[shift : shift + n]


def larger(n: int) -> int:
    """Return how many slots follow n: by three quarters where they take memory that counts."""
    return n * 4 if n < _LARGE else n * 7 // 64 * 16
