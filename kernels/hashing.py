"""Hash customer and order ids.

    fold(a, b) = high(a·b) xor low(a·b)          h ← fold(h xor word, multiplier) over the key's 8-byte words

Source: the folded 128-bit multiplication of wyhash (Wang Yi) and foldhash (Peters). Start value and multiplier both
come from the seed, so that nobody who does not know it can craft ids that collide.
"""

import secrets
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import fold_multiply, kernel, load_u64, readonly, row_kernel

PROCESS_SEED = secrets.randbits(64)  # new in each process: nobody outside can craft ids that collide
STABLE_SEED = 0x5E65E7E  # fixed for ever: the order of the sample in a fit depends on it
_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
_M64 = (1 << 64) - 1


class FixedKeys(NamedTuple):
    """Integer ids."""

    bits: NDArray[np.uint64]  # [n] the id, sign-extended to 64 bits


class WideKeys(NamedTuple):
    """Ids of 16 bytes, or that fit into them together with their length: UUIDs, short texts."""

    words: NDArray[np.uint64]  # [n, 2]


class ByteKeys(NamedTuple):
    """Ids made of bytes: key i is data[starts[i] : starts[i] + lengths[i]]; keys may share bytes."""

    data: NDArray[np.uint8]  # [m]
    starts: NDArray[np.int64]  # [n]
    lengths: NDArray[np.int32]  # [n]


class EntryKeys(NamedTuple):
    """WideKeys of rows that point at the entries of a dictionary; see customer_entries.py."""

    words: NDArray[np.uint64]  # [n_entries, 2]
    entries: NDArray[np.int32]  # [n] read-only
    codes: NDArray[np.int32]  # [n] read-only: of each row's entry, what was known when the rows were looked at
    known: NDArray[np.int32]  # [n_entries] what is known of entries now; one table's alone


Keys = FixedKeys | WideKeys | ByteKeys
RowKeys = Keys | EntryKeys
"""What the rows of a batch may have; tables give back Keys."""


def n_keys(keys: RowKeys) -> int:
    """Return the number of keys."""
    if isinstance(keys, EntryKeys):
        return len(keys.entries)
    return len(keys.starts) if isinstance(keys, ByteKeys) else len(keys[0])


@lru_cache(maxsize=64)
def seed_words(seed: int) -> tuple[np.uint64, np.uint64]:
    """Return the start value and the odd multiplier that belong to a seed (splitmix64, Steele et al. 2014)."""
    words = []
    for step in (1, 2):
        z = (seed + step * int(_GOLDEN)) & _M64
        z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & _M64
        z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & _M64
        words.append(z ^ (z >> 31))
    return np.uint64(words[0]), np.uint64(words[1] | 1)


@row_kernel
def hash_word(word: np.uint64, start: np.uint64, multiplier: np.uint64) -> np.uint64:
    """Return the hash of one 64-bit word: two folds, so that every input bit reaches every output bit."""
    return fold_multiply(fold_multiply(word ^ start, multiplier) ^ start, _GOLDEN)


@row_kernel
def hash_words(low: np.uint64, high: np.uint64, start: np.uint64, multiplier: np.uint64) -> np.uint64:
    """Return the hash of two 64-bit words."""
    return fold_multiply(fold_multiply(fold_multiply(low ^ start, multiplier) ^ high, multiplier) ^ start, _GOLDEN)


@row_kernel
def short_word(data: NDArray[np.uint8], start: int, length: int) -> np.uint64:
    """Return data[start : start + length], 0 ≤ length < 8, as a little-endian word, reading nothing outside data."""
    if length == 0:
        return np.uint64(0)
    if start >= 8:
        return load_u64(data, start + length - 8) >> np.uint64(64 - 8 * length)
    if start + 8 <= len(data):
        return load_u64(data, start) & ((np.uint64(1) << np.uint64(8 * length)) - np.uint64(1))
    word = np.uint64(0)
    for i in range(length):
        word |= np.uint64(data[start + i]) << np.uint64(8 * i)
    return word


@row_kernel
def _hash_bytes1(
    data: NDArray[np.uint8], first: int, length: int, start: np.uint64, multiplier: np.uint64
) -> np.uint64:
    """Return the hash of one key; its length enters first, so that no key is another one's prefix."""
    h = start ^ (np.uint64(length) * _GOLDEN)
    full = length & ~7
    for i in range(0, full, 8):
        h = fold_multiply(h ^ load_u64(data, first + i), multiplier)
    h = fold_multiply(h ^ short_word(data, first + full, length - full), multiplier)
    return fold_multiply(h ^ start, _GOLDEN)


@kernel
def _hash_fixed(bits: NDArray[np.uint64], start: np.uint64, multiplier: np.uint64, out: NDArray[np.uint64]) -> None:
    for i in range(len(bits)):
        out[i] = hash_word(bits[i], start, multiplier)


@kernel
def _hash_wide(words: NDArray[np.uint64], start: np.uint64, multiplier: np.uint64, out: NDArray[np.uint64]) -> None:
    for i in range(len(words)):
        out[i] = hash_words(words[i, 0], words[i, 1], start, multiplier)


@kernel
def _hash_bytes(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int32],
    start: np.uint64,
    multiplier: np.uint64,
    out: NDArray[np.uint64],
) -> None:
    for i in range(len(starts)):
        out[i] = _hash_bytes1(data, starts[i], int(lengths[i]), start, multiplier)


def hash_keys(keys: Keys, seed: int) -> NDArray[np.uint64]:
    """Return uint64[n], the hash of each key under the seed; results never depend on the seed."""
    start, multiplier = seed_words(seed)
    out = np.empty(n_keys(keys), dtype=np.uint64)
    if isinstance(keys, FixedKeys):
        _hash_fixed(readonly(keys.bits), start, multiplier, out)
    elif isinstance(keys, WideKeys):
        _hash_wide(readonly(keys.words), start, multiplier, out)
    else:
        data, starts, lengths = readonly(keys.data), readonly(keys.starts), readonly(keys.lengths)
        _hash_bytes(data, starts, lengths, start, multiplier, out)
    return out


def stable_hash(keys: Keys) -> NDArray[np.uint64]:
    """Return uint64[n], a hash that depends on the key's value alone: the same in every process and version."""
    return hash_keys(keys, STABLE_SEED)


@row_kernel
def shard_of(h: np.uint64, n_shards: np.uint64) -> np.int64:
    """Return the shard of a hash: ⌊top half · n_shards / 2³²⌋; tables use the low half."""
    return np.int64(((h >> np.uint64(32)) * n_shards) >> np.uint64(32))
