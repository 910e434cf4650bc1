"""Numbering keys: first-seen order, exact comparison, whatever the hashes are."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.hashing import n_keys
from kernels.keys import (
    ByteKeys,
    FixedKeys,
    KeyTable,
    concatenate_keys,
    hash_keys,
    stable_hash,
    take_keys,
)

from .aggregation_inputs import I64, keys_of, values_of

INTS = st.lists(st.integers(I64.min, I64.max) | st.integers(-3, 3), min_size=1, max_size=60)
TEXTS = st.lists(st.text(max_size=20) | st.sampled_from(["", "\0", "\0\0", "a", "a\0"]), min_size=1, max_size=60)


def naive_numbers(values: list[Any]) -> list[int]:
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]


@given(INTS | TEXTS, st.integers(0, 1 << 64), st.sampled_from([1, 7, 60]), st.sampled_from(["seeded", "equal", "two"]))
@settings(max_examples=300, deadline=None)
def test_numbers_are_exact_for_any_hash(values: list[Any], seed: int, cut: int, hashing: str) -> None:
    keys = keys_of(values)
    hashes = hash_keys(keys, seed)
    if hashing == "equal":
        hashes[:] = np.uint64((1 << 64) - 1)  # every key has the same tag and the last slot as its home
    elif hashing == "two":
        hashes &= np.uint64(1)
    table = KeyTable(isinstance(keys, FixedKeys))
    found = []
    for start in range(0, len(values), cut):
        rows = np.arange(start, min(len(values), start + cut), dtype=np.int32)
        found += table.number(keys, hashes, rows).tolist()
    assert found == naive_numbers(values)
    assert values_of(table.keys()) == list(dict.fromkeys(values))
    assert table.n_keys == len(set(values))


@pytest.mark.parametrize("collide", [False, True])
@pytest.mark.parametrize("text", [False, True])
def test_growth_keeps_every_key(text: bool, collide: bool) -> None:
    n = 2_000 if collide else 50_000
    values: list[Any] = [f"id-{i % (n // 2):0{i % 30}d}" if text else i % (n // 2) * 3 - 7 for i in range(n)]
    keys = keys_of(values)
    hashes = hash_keys(keys, 3)
    if collide:
        hashes &= np.uint64(0xF)
    table = KeyTable(not text)
    found = table.number(keys, hashes, np.arange(n, dtype=np.int32))
    assert found.tolist() == naive_numbers(values)
    assert values_of(table.keys()) == list(dict.fromkeys(values))
    assert 0 < table.nbytes < 200 * n


def test_a_key_longer_than_the_arena_fits() -> None:
    values = ["x" * 100_000, "y", "x" * 100_000, "x" * 99_999]
    table = KeyTable(fixed=False)
    keys = keys_of(values)
    assert table.number(keys, hash_keys(keys, 1), np.arange(4, dtype=np.int32)).tolist() == [0, 1, 0, 2]
    assert values_of(table.keys()) == ["x" * 100_000, "y", "x" * 99_999]


@given(TEXTS, st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_a_hash_depends_on_the_bytes_not_on_their_place(values: list[str], shift: int) -> None:
    keys = keys_of([*values, "end"])
    assert isinstance(keys, ByteKeys)
    data = np.frombuffer(b"\xff" * shift + keys.data.tobytes() + b"\xff" * shift, dtype=np.uint8)
    moved = ByteKeys(data, keys.starts + shift, keys.lengths)
    assert stable_hash(moved).tolist() == stable_hash(keys).tolist()
    alone = [int(stable_hash(keys_of([value]))[0]) for value in values]
    assert stable_hash(keys)[:-1].tolist() == alone
    assert len(set(alone)) == len(set(values))


def test_the_stable_hash_never_changes() -> None:
    assert stable_hash(keys_of([0, 5, -1])).tolist() == STABLE_INTS
    assert stable_hash(keys_of(["", "5", "customer-0001"])).tolist() == STABLE_TEXTS


STABLE_INTS = [13732106430356822621, 16182414324569164951, 1626933337411969607]
STABLE_TEXTS = [13732106430356822621, 4396605375141645403, 1011654657375174180]


def test_hashes_spread_regular_ids() -> None:
    ids = np.arange(100_000, dtype=np.uint64) << np.uint64(20)
    hashes = hash_keys(FixedKeys(ids), 12)
    for bits in (hashes & np.uint64(255), hashes >> np.uint64(56)):
        assert np.bincount(bits.astype(np.int64), minlength=256).max() < 600


@given(INTS | TEXTS, st.randoms())
@settings(max_examples=100, deadline=None)
def test_keys_are_taken_and_concatenated(values: list[Any], random: Any) -> None:
    order = random.choices(range(len(values)), k=10)
    taken = take_keys(keys_of(values), np.array(order, dtype=np.int64))
    assert values_of(taken) == [values[i] for i in order]
    assert n_keys(taken) == 10
    both = concatenate_keys([taken, take_keys(keys_of(values))])
    assert values_of(both) == [values[i] for i in order] + values
    assert n_keys(take_keys(taken, np.zeros(0, dtype=np.int64))) == 0
