"""Open-addressing slots shared by the key tables and the pair sets, four to a bucket of one cache line.

    home bucket of a hash = its low half & mask,  then the next bucket, …

Words 0 … 3 of a bucket are tag << 32 | number + 1 (0 means empty, filled from the left), words 4 … 7 the keys or their
places. The tag is the low half of the hash, so growing needs nothing but the slots. Buckets are searched without a
branch per slot: at five eighths full 1 key in 12 lies outside its home bucket, where linear probing by single slots
(Knuth, The Art of Computer Programming, vol. 3, §6.4) mispredicts for 1 in 3.
"""

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, row_kernel

AHEAD = 16  # rows between a prefetch and its use; 8 and 32 were slower
FAR_AHEAD = np.uint64(32)  # the same where a block's columns are fetched before
BLOCK_ROWS = np.uint64(64)  # whose columns are fetched at once: they fit into L1 beside what was fetched ahead
FIRST_CAPACITY = 512  # slots of a fresh table: 8 KiB, so that a small request pays nothing for it

ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX = (np.uint64(i) for i in range(7))
BUCKET = np.uint64(8)  # words
HALF = np.uint64(32)
LOW_HALF = np.uint64(0xFFFF_FFFF)


def new_slots(capacity: int = FIRST_CAPACITY) -> NDArray[np.uint64]:
    """Return uint64[2·capacity] of empty slots, bucket by bucket a cache line; capacity is a power of two."""
    raw = np.zeros(2 * capacity + 7, dtype=np.uint64)
    shift = -raw.ctypes.data % 64 // 8
    return raw[shift : shift + 2 * capacity]


@kernel
def room(slots: NDArray[np.uint64]) -> int:
    """Return how many keys these slots may hold: five eighths of them."""
    return len(slots) // 16 * 5


@row_kernel
def bucket_mask(slots: NDArray[np.uint64]) -> np.uint64:
    """Return the number of buckets less one."""
    return np.uint64(len(slots) // 8 - 1)


@row_kernel
def home(h: np.uint64, mask: np.uint64) -> np.uint64:
    """Return the place of the first word of the home bucket of hash h."""
    return (h & LOW_HALF & mask) * BUCKET


@row_kernel
def next_bucket(bucket: np.uint64, mask: np.uint64) -> np.uint64:
    """Return the place of the bucket after this one, the first after the last."""
    return (bucket + BUCKET) & (mask * BUCKET)


@row_kernel
def first_equal(a: np.uint64, b: np.uint64, c: np.uint64, word: np.uint64) -> np.uint64:
    """Return which of the three is the first that equals word, 3 when none does.

    Of words, not of an array: the caller's loop would count references to it, 10 ns a row.
    """
    not_a = np.uint64(a != word)
    not_b = not_a & np.uint64(b != word)
    return not_a + not_b + (not_b & np.uint64(c != word))


@row_kernel
def next_slot(slot: np.uint64, mask: np.uint64) -> np.uint64:
    """Return the slot after this one, in the same bucket or the next."""
    slot += ONE
    return slot if slot & THREE != ZERO else next_bucket(slot - FOUR, mask)


@row_kernel
def first_empty(slots: NDArray[np.uint64], slot: np.uint64) -> np.uint64:
    """Return the first empty slot of the bucket that this empty one is in."""
    bucket = slot & ~THREE
    return bucket + first_equal(slots[bucket], slots[bucket + ONE], slots[bucket + TWO], ZERO)


@kernel
def _rehash(old: NDArray[np.uint64], new: NDArray[np.uint64]) -> None:
    """Write old's entries into new. Bucket i splits into i and i + n, so both tables are read and written in order."""
    mask = bucket_mask(new)
    for i in range(0, len(old), 8):
        for j in range(i, i + 4):
            if old[j] != ZERO:
                bucket = home(old[j] >> HALF, mask)
                while new[bucket + THREE] != ZERO:
                    bucket = next_bucket(bucket, mask)
                slot = first_empty(new, bucket + THREE)
                new[slot] = old[j]
                new[slot + FOUR] = old[j + 4]


def grown(slots: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return twice as many slots with the same entries; four times as many while they are few."""
    capacity = len(slots) // 2
    new = new_slots(capacity * (2 if capacity > 16_384 else 4))
    _rehash(slots, new)
    return new
