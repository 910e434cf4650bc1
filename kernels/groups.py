"""Groups of twelve slots, a cache line each: which customers a hash may be of.

    home group of a hash = ⌊low half · n_groups / 2³²⌋,  then the next group, …;  tag = its lowest byte, never 0

Words 0 … 2 of a group's 16 are twelve tags, compared at once, words 4 … 15 the numbers of their customers (the layout
of F14's tables, Facebook 2019). Slots are filled from the left, and no customer leaves, so that the first group with a
free slot is where a search ends. Records lie elsewhere, by number: a table that grows fills new groups and moves none.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels._jit import equal_of_16, kernel, lowest_one, prefetch, row_kernel
from kernels.hashing import hash_word, hash_words
from kernels.slots import HALF, LOW_HALF, ONE, ZERO

FREE = np.uint8(0)  # the tag of a slot without a customer
GROUP_BYTES, GROUP_WORDS = np.uint64(64), np.uint64(16)
LAST, FIRST_NUMBER = np.uint64(11), np.uint64(4)  # places of a group's last tag, and of its first number
_SLOTS = np.uint64((1 << 12) - 1)  # the bits of a comparison that are a slot's
_MOST = 10  # customers for each group: more, and searches go on to the next one too often
_BLOCK = 64  # records hashed, and their groups fetched, at once
_LARGE = 1 << 10  # groups; up to here growing four times as large costs nobody anything


@row_kernel
def home(h: np.uint64, n_groups: np.uint64) -> np.uint64:
    """Return the home group of hash h."""
    return ((h & LOW_HALF) * n_groups) >> HALF


@row_kernel
def next_group(group: np.uint64, n_groups: np.uint64) -> np.uint64:
    """Return the group after this one, the first after the last."""
    following = group + ONE
    return following if following < n_groups else ZERO


@row_kernel
def tag_of(h: np.uint64) -> np.uint8:
    """Return the tag of hash h: of the bits that tables use, those that the group depends on least."""
    return max(np.uint8(h & np.uint64(255)), np.uint8(1))


@row_kernel
def slots_with(tags: NDArray[np.uint8], group: np.uint64, tag: np.uint8) -> np.uint64:
    """Return 12 bits: which of the group's slots have this tag."""
    return equal_of_16(tags, np.int64(group * GROUP_BYTES), tag) & _SLOTS


@row_kernel
def is_full(tags: NDArray[np.uint8], group: np.uint64) -> bool:
    """Tell whether all of the group's slots are taken."""
    return bool(tags[group * GROUP_BYTES + LAST] != FREE)


@row_kernel
def put(tags: NDArray[np.uint8], numbers: NDArray[np.uint32], slot: np.uint64, tag: np.uint8, number: int) -> None:
    """Take a free slot, counted by words, for a customer."""
    group = slot // GROUP_WORDS
    tags[group * GROUP_BYTES + slot % GROUP_WORDS - FIRST_NUMBER] = tag
    numbers[slot] = np.uint32(number)


@row_kernel
def free_slot(tags: NDArray[np.uint8], group: np.uint64) -> np.uint64:
    """Return the first free slot of a group that is not full, counted by words."""
    return group * GROUP_WORDS + FIRST_NUMBER + lowest_one(slots_with(tags, group, FREE))


@row_kernel
def _hash_id(record: Any, wide: bool, start: np.uint64, multiplier: np.uint64) -> np.uint64:
    """Return the hash of a record's id, as hash_keys does."""
    low, high = np.uint64(record["last_value"]), np.uint64(record["first_value"])
    return hash_words(low, high, start, multiplier) if wide else hash_word(low, start, multiplier)


@kernel
def fill(
    tags: NDArray[np.uint8],
    numbers: NDArray[np.uint32],
    records: NDArray[np.void],
    n: int,
    wide: bool,
    start: np.uint64,
    multiplier: np.uint64,
) -> None:
    """Put the customers of records[:n] into groups that come empty."""
    n_groups, hashes = np.uint64(len(tags)) // GROUP_BYTES, np.empty(_BLOCK, dtype=np.uint64)
    for first in range(0, n, _BLOCK):
        stop = min(first + _BLOCK, n)
        for i in range(first, stop):
            h = _hash_id(records[i], wide, start, multiplier)
            hashes[i - first] = h
            prefetch(tags, np.int64(home(h, n_groups) * GROUP_BYTES))
        for i in range(first, stop):
            h = hashes[i - first]
            group = home(h, n_groups)
            while is_full(tags, group):
                group = next_group(group, n_groups)
            put(tags, numbers, free_slot(tags, group), tag_of(h), i)


def new_groups(n: int) -> NDArray[np.uint8]:
    """Return the bytes of n groups without a customer, from the start of a cache line."""
    size = n * int(GROUP_BYTES)
    raw = np.zeros(size + 64, dtype=np.uint8)
    shift = -raw.ctypes.data % 64
    return raw[shift : shift + size]


def room(tags: NDArray[np.uint8]) -> int:
    """Return how many customers these groups may hold."""
    return len(tags) // int(GROUP_BYTES) * _MOST


def larger(n: int) -> int:
    """Return how many groups follow n."""
    return n * 4 if n < _LARGE else n * 2
