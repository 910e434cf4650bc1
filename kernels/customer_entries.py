"""Rows whose ids are entries of a dictionary: once an entry's customer is known, none of its rows is looked up again.

    code of an entry = number of its customer << bits | shard,  −1 as long as no row of it was entered

Numbers of customers stay, so a code does. Rows read 4 bytes instead of the text's two words, and need neither hash nor
group: half the time. Which shard a code is of is told to parts.py as a hash that belongs there.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.customer_rows import AHEAD, NEW, SLOT, enter_id, enter_row, find
from kernels.groups import GROUP_BYTES, home, put, tag_of
from kernels.hashing import EntryKeys, hash_words, seed_words
from kernels.slots import HALF, LOW_HALF

_BLOCK = np.uint64(256)  # rows whose columns are fetched before any of them is entered
_WORDS_AHEAD = 16  # rows between a prefetch of an entry's words and its use
_SIGN = np.int64(31)  # bits of a code that may be used


@kernel
def _hash_entries(
    words: NDArray[np.uint64],
    entries: NDArray[np.int32],
    codes: NDArray[np.int32],
    firsts: NDArray[np.uint64],
    bits: int,
    start: np.uint64,
    multiplier: np.uint64,
    unknown: NDArray[np.int32],
    hashes: NDArray[np.uint64],
) -> None:
    """Write the hash of each row's entry, or firsts[shard] where its customer is known; firsts uint64[2 ** bits].

    unknown int32[n] is overwritten: which rows are not known cannot be foretold, so they are listed first.
    """
    shards, n, ahead = np.int32((1 << bits) - 1), np.uint64(0), np.uint64(_WORDS_AHEAD)
    for i in range(np.uint64(len(entries))):
        hashes[i] = firsts[np.uint64(codes[i] & shards)]
        unknown[n] = i
        n += np.uint64(codes[i] < 0)
    for j in range(n):
        if j + ahead < n:
            prefetch(words, np.int64(entries[np.uint64(unknown[j + ahead])]))
        row = np.uint64(unknown[j])
        entry = np.uint64(entries[row])
        hashes[row] = hash_words(words[entry, 0], words[entry, 1], start, multiplier)


def code_bits(n_shards: int) -> int:
    """Return how many bits of a code tell the shard."""
    return (n_shards - 1).bit_length()


def hash_entries(keys: EntryKeys, seed: int, n_shards: int, hashes: NDArray[np.uint64]) -> None:
    """Write hashes uint64[n] that part rows as those of their entries do; exact ones where codes are unknown."""
    bits = code_bits(n_shards)
    firsts = np.array([-(-(shard << 32) // n_shards) % (1 << 32) for shard in range(1 << bits)], dtype=np.uint64)
    firsts <<= np.uint64(32)
    rows, unknown = (keys.entries, keys.codes), np.empty(len(keys.entries), dtype=np.int32)
    _hash_entries(readonly(keys.words), *rows, readonly(firsts), bits, *seed_words(seed), unknown, hashes)


class Entered(NamedTuple):
    """EntryKeys as a shard takes them."""

    words: NDArray[np.uint64]
    entries: NDArray[np.int32]
    codes: NDArray[np.int32]
    known: NDArray[np.int32]
    shard: int
    bits: int  # of a code that tell the shard


@kernel
def count_entries(
    tags: NDArray[np.uint8],
    numbers: NDArray[np.uint32],
    records: NDArray[np.void],
    n: int,
    ids: Entered,
    listed: NDArray[np.uint64],
    done: int,
    batch: rec.Batch,
    first_row: int,
) -> tuple[int, int, bool]:
    """Do as count_rows in customer_rows.py for rows whose ids are words[entries[i]]; new codes are written to known.

    A block's columns are fetched first, then records, 32 rows ahead.
    """
    words, entries, codes, known, shard, bits = ids
    limit, stop, shift = len(records), np.uint64(len(listed)), np.int32(bits)
    n_groups = np.uint64(len(tags)) // GROUP_BYTES
    overflow = False
    for start in range(np.uint64(done), stop, _BLOCK):
        end = min(start + _BLOCK, stop)
        for j in range(start, end):
            i = listed[j] & LOW_HALF
            prefetch(batch.ticks, np.int64(i))
            prefetch(batch.amounts, np.int64(i))
            prefetch(batch.actions, np.int64(i))
            if codes[i] < 0:
                prefetch(known, np.int64(entries[i]))
                prefetch(words, np.int64(entries[i]))
                prefetch(tags, np.int64(home(listed[j] >> HALF, n_groups) * GROUP_BYTES))
        for j in range(start, end):
            if j + AHEAD < stop:
                prefetch(records, np.int64(max(codes[listed[j + AHEAD] & LOW_HALF], 0) >> shift))
            i, h = listed[j] & LOW_HALF, listed[j] >> HALF
            code, entry = codes[i], np.uint64(entries[i])
            if code < 0:
                code = known[entry]
            if code >= 0:
                number = np.uint64(code >> shift)
            else:
                hint = find(tags, numbers, records, words, entry, h)
                if hint >= NEW:
                    if n == limit:
                        return int(np.int64(j)), n, overflow
                    put(tags, numbers, np.uint64(hint & SLOT), tag_of(h), n)
                    hint = np.uint32(n)
                    enter_id(records, np.uint64(n), words, entry)
                    n += 1
                number = np.uint64(hint)
                if np.int64(number) < np.int64(1) << (_SIGN - np.int64(bits)):
                    known[entry] = np.int32(np.int64(number) << np.int64(bits) | np.int64(shard))
            overflow |= enter_row(records, number, batch, i, first_row)
    return len(listed), n, overflow
