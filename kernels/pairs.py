"""Distinct (customer number, occasion value) pairs, compared exactly.

    frequency of a customer = how many of its pairs were new

A pair is one slot: the customer's number beside the tag, the value in the second word (see slots.py).
"""

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, prefetch, readonly
from kernels.hashing import PROCESS_SEED, hash_word, seed_words
from kernels.slots import (
    AHEAD,
    FIVE,
    FOUR,
    HALF,
    LOW_HALF,
    SIX,
    ZERO,
    bucket_mask,
    first_empty,
    first_equal,
    grown,
    home,
    new_slots,
    next_slot,
    room,
)


@kernel
def _hash_pairs(
    numbers: NDArray[np.int32],
    values: NDArray[np.int64],
    start: np.uint64,
    multiplier: np.uint64,
    out: NDArray[np.uint64],
) -> None:
    for i in range(len(numbers)):
        customer = hash_word(np.uint64(numbers[i]), start, multiplier)
        out[i] = hash_word(customer ^ np.uint64(values[i]), start, multiplier)


@kernel
def _add(
    slots: NDArray[np.uint64],
    n: int,
    numbers: NDArray[np.int32],
    values: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    done: int,
    is_new: NDArray[np.uint8],
) -> tuple[int, int]:
    """Add pairs[done:] until the slots are full, telling in is_new which were; return (pairs done, pairs held)."""
    mask = bucket_mask(slots)
    limit = room(slots)
    for j in range(done, len(numbers)):
        if j + AHEAD < len(numbers):
            prefetch(slots, np.int64(home(hashes[j + AHEAD], mask)))
        word = (hashes[j] & LOW_HALF) << HALF | np.uint64(numbers[j] + 1)
        value = np.uint64(values[j])
        slot = home(hashes[j], mask)
        slot += first_equal(slots[slot + FOUR], slots[slot + FIVE], slots[slot + SIX], value)
        while slots[slot] != ZERO and (slots[slot] != word or slots[slot + FOUR] != value):
            slot = next_slot(slot, mask)
        is_new[j] = slots[slot] == ZERO
        if is_new[j]:
            if n == limit:
                return j, n
            slot = first_empty(slots, slot)
            n += 1
            slots[slot] = word
            slots[slot + FOUR] = value
    return len(numbers), n


@kernel
def _list(slots: NDArray[np.uint64], numbers: NDArray[np.int32], values: NDArray[np.int64]) -> None:
    n = 0
    for i in range(0, len(slots), 8):
        for j in range(i, i + 4):
            if slots[j] != ZERO:
                numbers[n] = np.int64(slots[j] & LOW_HALF) - 1
                values[n] = np.int64(slots[j + 4])
                n += 1


class PairSet:
    """The distinct pairs of one shard."""

    def __init__(self, seed: int = PROCESS_SEED) -> None:
        self.n_pairs = 0
        self._slots = new_slots()
        self._start, self._multiplier = seed_words(seed)

    @property
    def nbytes(self) -> int:
        """The bytes this set holds."""
        return self._slots.nbytes

    def add(self, numbers: NDArray[np.int32], values: NDArray[np.int64], is_new: NDArray[np.uint8]) -> None:
        """Add pairs (numbers int32[m] ≥ 0, values int64[m]); write 1 into is_new uint8[m] where new, else 0."""
        hashes = np.empty(len(numbers), dtype=np.uint64)
        numbers, values, done = readonly(numbers), readonly(values), 0
        _hash_pairs(numbers, values, self._start, self._multiplier, hashes)
        hashes = readonly(hashes)
        while True:
            done, self.n_pairs = _add(self._slots, self.n_pairs, numbers, values, hashes, done, is_new)
            if done == len(numbers):
                return
            self._slots = grown(self._slots)

    def export(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return (numbers int32[n_pairs], values int64[n_pairs]), in no particular order."""
        numbers = np.empty(self.n_pairs, dtype=np.int32)
        values = np.empty(self.n_pairs, dtype=np.int64)
        _list(readonly(self._slots), numbers, values)
        return numbers, values
