"""Listing by rank and by sorting: the same customers in the order of their first kept row."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import listing
from kernels._jit import readonly
from kernels.hashing import FixedKeys, Keys, WideKeys, hash_keys, stable_hash
from kernels.keys import ByteKeys, take_keys
from kernels.listing import Customers, list_all, list_in_order
from kernels.parts import part_rows
from kernels.records import NEVER, Columns
from kernels.shard import Shard

from .aggregation_inputs import run_on_pool

NO_TICK = np.iinfo(np.int64).min


def keys_of(kind: str, ids: list[int]) -> Keys:
    bits = np.array(ids, dtype=np.uint64)
    if kind in ("fixed", "numbered"):
        return FixedKeys(bits)
    if kind == "wide":
        return WideKeys(np.stack([bits % 3, bits], axis=1))
    return ByteKeys(bits.view(np.uint8), 8 * np.arange(len(ids)), np.full(len(ids), 8, dtype=np.int32))


def rows_of(keys: Keys) -> list[Any]:
    if isinstance(keys, ByteKeys):
        data = keys.data.tobytes()
        return [data[start : start + 8] for start in keys.starts.tolist()]
    return [tuple(key) if isinstance(keys, WideKeys) else key for key in keys[0].tolist()]


def shards_of(
    kind: str, first_rows: list[int], decimal: bool, n_shards: int, seed: int
) -> tuple[list[Shard], Customers]:
    """Return shards that hold customers with these first rows, and the customers as they were put in."""
    n = len(first_rows)
    numbers = np.arange(n, dtype=np.int64)
    keys = keys_of(kind, (numbers * 7919).tolist())
    first = np.array(first_rows, dtype=np.int64)
    last = np.where(numbers % 5 == 0, NO_TICK, numbers)  # refunds only
    ticks = np.where(numbers % 5 == 0, NEVER, numbers - 3)
    sums: Any = np.stack([numbers, -numbers], axis=1) if decimal else numbers + 0.5
    hashes = hash_keys(keys, seed)
    parts = part_rows(hashes, n_shards)
    shards = [
        Shard(kind in ("fixed", "numbered"), kind == "wide", kind == "numbered", False, seed) for _ in range(n_shards)
    ]
    for shard, own in zip(shards, parts, strict=True):
        columns = Columns(first, ticks, last, numbers * 2, sums)
        for column in columns:
            column.flags.writeable = False
        shard.merge(keys, hashes, own, columns)
    # records of numbered customers count occasions, which merging columns alone does not bring
    frequency = numbers * 0 if kind == "numbered" else numbers * 2
    return shards, Customers(keys, first, np.where(last == NO_TICK, NO_TICK, ticks), last, frequency, sums)


def reordered(customers: Customers, order: list[int]) -> Customers:
    places = np.array(order, dtype=np.int64)
    return Customers(take_keys(customers.keys, places), *(column[places] for column in customers[1:]))  # type: ignore[arg-type]


def same(found: Customers, expected: Customers) -> None:
    assert rows_of(found.keys) == rows_of(expected.keys)
    for a, b in zip(found[1:], expected[1:], strict=True):
        assert a.tolist() == b.tolist()


ROWS = st.lists(st.integers(0, 400) | st.just(NEVER), unique_by=lambda row: (row, object()) if row == NEVER else row)
FAR = st.lists(st.integers(-(10**12), 10**12), unique=True)
CLASHING = st.lists(st.integers(0, 6) | st.just(NEVER), max_size=40)


@given(
    ROWS | FAR | CLASHING,
    st.sampled_from(["fixed", "wide", "numbered", "bytes"]),
    st.booleans(),
    st.integers(1, 4),
    st.integers(0, 9),
)
@settings(max_examples=300, deadline=None)
def test_customers_are_listed_by_first_row_then_by_stable_hash(
    first_rows: list[int], kind: str, decimal: bool, n_shards: int, seed: int
) -> None:
    shards, customers = shards_of(kind, first_rows, decimal, n_shards, seed)
    hashes = stable_hash(customers.keys).tolist()
    kept = [i for i, row in enumerate(first_rows) if row != NEVER]
    order = sorted(kept, key=lambda i: (first_rows[i], hashes[i]))
    same(list_in_order(shards, not decimal, run_on_pool(2)), reordered(customers, order))
    every = list_all(shards, not decimal)
    place = {key: i for i, key in enumerate(rows_of(customers.keys))}
    same(every, reordered(customers, [place[key] for key in rows_of(every.keys)]))
    assert len(every.first_row) == len(first_rows)


@pytest.mark.parametrize("kind", ["fixed", "wide", "bytes"])
def test_both_ways_agree(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first_rows = np.random.default_rng(1).permutation(20_000).tolist()
    shards, customers = shards_of(kind, first_rows, False, 3, 5)
    ranked = list_in_order(shards, True, run_on_pool(3))
    monkeypatch.setattr(listing, "_ranked", lambda parts, run: None)
    same(ranked, reordered(customers, np.argsort(first_rows).tolist()))
    same(list_in_order(shards, True), ranked)


def test_ties_are_ordered_by_what_the_keys_mean() -> None:
    shards, customers = shards_of("fixed", [4] * 9, False, 2, 3)

    def identify(keys: Keys) -> Keys:
        assert isinstance(keys, FixedKeys)
        return FixedKeys(keys.bits * np.uint64(31) % np.uint64(1009))

    order = np.argsort(stable_hash(identify(customers.keys)))
    assert order.tolist() != np.argsort(stable_hash(customers.keys)).tolist()
    same(list_in_order(shards, True, identify=identify), reordered(customers, order.tolist()))


@given(st.permutations(range(40)), st.integers(1, 3))
def test_rows_are_listed_at_their_places(order: list[int], n_columns: int) -> None:
    values = np.arange(50.0 * n_columns).reshape(50, n_columns)
    slots, places = np.arange(5, 45, dtype=np.int32), np.array(order)
    out = np.full((40, n_columns), -1.0)
    listing.list_rows(readonly(values), readonly(slots), readonly(places), out)
    assert [out[place].tolist() for place in order] == values[5:45].tolist()
