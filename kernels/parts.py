"""Hash a batch's ids and part its rows into shards, in one pass.

    shard = ⌊top half of the hash · n_shards / 2³²⌋

Each shard gets room for all rows, so nothing is counted before: pages that are not written to cost nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, mask_bytes, readonly
from kernels.hashing import ByteKeys, Keys, hash_keys, hash_word, hash_words, n_keys, seed_words, shard_of


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


def hash_and_part(
    keys: Keys, seed: int, n_shards: int, keep: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.uint64], list[NDArray[np.int32]]]:
    """Return (hashes uint64[n], for each shard its kept rows int32[…], ascending); keep bool[n], None: all."""
    if isinstance(keys, ByteKeys):
        hashes = readonly(hash_keys(keys, seed))
        return hashes, part_rows(hashes, n_shards, keep)
    rows, ends = _room(n_keys(keys), n_shards)
    hashes = np.empty(n_keys(keys), dtype=np.uint64)
    _hash_and_part(readonly(keys[0]), mask_bytes(keep), *seed_words(seed), hashes, rows, ends)
    return readonly(hashes), _cut(rows, ends)


def part_rows(
    hashes: NDArray[np.uint64], n_shards: int, keep: NDArray[np.bool_] | None = None
) -> list[NDArray[np.int32]]:
    """Return for each shard its kept rows int32[…], ascending; hashes uint64[n]; keep bool[n], None: all."""
    rows, ends = _room(len(hashes), n_shards)
    _part(readonly(hashes), mask_bytes(keep), rows, ends)
    return _cut(rows, ends)


def _room(n: int, n_shards: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return room for n rows in each shard, and the shards' ends."""
    return np.empty((n_shards, n), dtype=np.int32), np.zeros(n_shards, dtype=np.int64)


def _cut(rows: NDArray[np.int32], ends: NDArray[np.int64]) -> list[NDArray[np.int32]]:
    """Return each shard's rows."""
    return [readonly(own[:end]) for own, end in zip(rows, ends.tolist(), strict=True)]
