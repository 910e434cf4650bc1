"""Open-addressing slots shared by the key tables and the pair sets.

A slot is two words of one cache line: word 0 = tag << 32 | number + 1 (0 means empty), word 1 = the key or its place.
The tag is the low half of the hash and the home slot is tag & mask, so growing needs nothing but the slots.
Linear probing (Knuth, The Art of Computer Programming, vol. 3, §6.4): at five eighths full a hit takes 1.8 probes.
"""

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel

AHEAD = 16  # rows between a prefetch and its use; 8 and 32 were slower
FIRST_CAPACITY = 512  # slots of a fresh table: 8 KiB, so that a small request pays nothing for it

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
HALF = np.uint64(32)
LOW_HALF = np.uint64(0xFFFF_FFFF)


def new_slots(capacity: int = FIRST_CAPACITY) -> NDArray[np.uint64]:
    """Return uint64[2·capacity] of empty slots; capacity is a power of two."""
    return np.zeros(2 * capacity, dtype=np.uint64)


@kernel
def room(slots: NDArray[np.uint64]) -> int:
    """Return how many keys these slots may hold: five eighths of them."""
    return len(slots) // 16 * 5


@kernel
def _rehash(old: NDArray[np.uint64], new: NDArray[np.uint64]) -> None:
    """Write old's entries into new. Slot i moves to i or i + capacity, so both tables are read and written in order."""
    mask = np.uint64(len(new) // 2 - 1)
    for i in range(0, len(old), 2):
        if old[i] != ZERO:
            slot = (old[i] >> HALF) & mask
            while new[slot * TWO] != ZERO:
                slot = (slot + ONE) & mask
            new[slot * TWO] = old[i]
            new[slot * TWO + ONE] = old[i + 1]


def grown(slots: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return twice as many slots with the same entries; four times as many while they are few."""
    capacity = len(slots) // 2
    new = new_slots(capacity * (2 if capacity > 16_384 else 4))
    _rehash(slots, new)
    return new
