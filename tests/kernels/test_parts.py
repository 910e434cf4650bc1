"""Parting a batch by the hashes of its ids: every kept row once, in order, in the shard its hash names."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.hashing import FixedKeys, WideKeys, hash_keys
from kernels.parts import Room, hash_and_list, hash_and_part, part_rows

from .aggregation_inputs import I64, keys_of

INTS = st.lists(st.integers(I64.min, I64.max) | st.integers(-3, 3), max_size=60)
TEXTS = st.lists(st.text(max_size=20) | st.sampled_from(["", "a", "b"]), min_size=1, max_size=60)


@given(INTS | TEXTS, st.booleans(), st.integers(0, 1 << 64), st.sampled_from([1, 2, 3, 8]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_rows_are_parted_in_order(values: list[Any], wide: bool, seed: int, n_shards: int, masked: bool) -> None:
    keys = keys_of(values or [0])
    if wide and values and isinstance(values[0], int):
        words = np.array([[v & (1 << 64) - 1, i % 3] for i, v in enumerate(values)], dtype=np.uint64)
        keys = WideKeys(words)
    n = len(values or [0])
    keep = np.arange(n) % 3 != 1 if masked else None
    hashes, parts = hash_and_part(keys, seed, n_shards, keep)
    assert hashes.tolist() == hash_keys(keys, seed).tolist()
    for shard, part in enumerate(parts):
        kept = [i for i in range(n) if keep is None or keep[i]]
        assert part.tolist() == [i for i in kept if (int(hashes[i]) >> 32) * n_shards >> 32 == shard]


@given(INTS, st.booleans(), st.integers(0, 1 << 64), st.sampled_from([1, 2, 3, 8]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_rows_are_listed_with_half_of_their_hashes(
    values: list[int], wide: bool, seed: int, n_shards: int, masked: bool
) -> None:
    words = np.array([[v & (1 << 64) - 1, i % 3] for i, v in enumerate(values)], dtype=np.uint64).reshape(-1, 2)
    keys = WideKeys(words) if wide else FixedKeys(words[:, 0].copy())
    keep = np.arange(len(values)) % 3 != 1 if masked else None
    hashes, parts = hash_and_part(keys, seed, n_shards, keep)
    listed = hash_and_list(keys, seed, n_shards, keep, Room(True).take(len(values), n_shards))
    for part, own in zip(parts, listed, strict=True):
        assert own.tolist() == [(int(hashes[i]) & 0xFFFF_FFFF) << 32 | i for i in part.tolist()]


def test_bytes_are_not_listed() -> None:
    with pytest.raises(TypeError, match="found ByteKeys"):
        hash_and_list(keys_of(["a"]), 1, 2, None, Room(True).take(1, 2))


@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=50), st.sampled_from([1, 2, 3, 8]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_rows_are_parted_by_given_hashes(values: list[int], n_shards: int, with_keep: bool) -> None:
    hashes = np.array(values, dtype=np.uint64)
    keep = hashes % np.uint64(3) != 0 if with_keep else None
    parts = part_rows(hashes, n_shards, keep)
    assert len(parts) == n_shards
    for shard, part in enumerate(parts):
        expected = [
            i for i, h in enumerate(values) if (h >> 32) * n_shards >> 32 == shard and (not with_keep or h % 3 != 0)
        ]
        assert part.tolist() == expected


def test_no_rows() -> None:
    hashes, parts = hash_and_part(WideKeys(np.zeros((0, 2), dtype=np.uint64)), 1, 3)
    assert len(hashes) == 0
    assert [len(part) for part in parts] == [0, 0, 0]


def test_room_is_used_again_where_it_is_enough() -> None:
    room = Room()
    first, second = room.take(10, 2), room.take(10, 2)
    assert first.hashes is not second.hashes
    room.give(first)
    assert room.take(7, 2) is first
    room.give(first)
    assert room.take(11, 2).rows.shape == (2, 11)
    room.give(first)
    assert room.take(5, 3).rows.shape == (3, 5)
    room.give(first)
    room.clear()
    assert room.take(10, 2) is not first


@given(INTS | TEXTS, st.sampled_from([1, 2, 3]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_rows_are_parted_into_used_room(values: list[Any], n_shards: int, masked: bool) -> None:
    keys, n = keys_of(values or [0]), len(values or [0])
    keep, used = np.arange(n) % 3 != 1 if masked else None, Room().take(n + 5, n_shards)
    used.hashes.fill(7)
    used.rows.fill(7)
    hashes, parts = hash_and_part(keys, 1, n_shards, keep)
    again, same_parts = hash_and_part(keys, 1, n_shards, keep, used)
    assert again.tolist() == hashes.tolist()
    assert [part.tolist() for part in same_parts] == [part.tolist() for part in parts]
