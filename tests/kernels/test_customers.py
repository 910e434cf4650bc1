"""The table of customers: the exact customers whatever the hashes are, and every customer's rows in their order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import customers, groups, hashing, pages
from kernels._jit import fold_multiply, kernel, readonly
from kernels.customers import CustomerTable
from kernels.hashing import ByteKeys, FixedKeys, Keys, WideKeys, hash_keys, seed_words
from kernels.records import NEVER, OUTSIDE, PURCHASE, REFUND, SKIP, Batch, Columns

SEED = 3
Record = tuple[int, int, int, int, float]  # first row, first tick, last tick, frequency, sum
NO_TICK = np.iinfo(np.int64).min


def naive(ids: list[Any], actions: list[int], ticks: list[int], amounts: list[float]) -> dict[Any, Record]:
    found: dict[Any, Record] = {}
    for i, customer in enumerate(ids):
        first_row, first, last, n, total = found.get(customer, (NEVER, NEVER, NO_TICK, 0, 0.0))
        if actions[i] >= REFUND:
            first_row, total = min(first_row, i), total + amounts[i]
        if actions[i] == PURCHASE:
            first, last, n = min(first, ticks[i]), max(last, ticks[i]), n + 1
        found[customer] = first_row, first, last, n, total
    return found


def keys_of(ids: list[Any]) -> Keys:
    """Pairs of integers become wide keys."""
    if ids and isinstance(ids[0], tuple):
        return WideKeys(np.array(ids, dtype=np.uint64))
    return FixedKeys(np.array(ids, dtype=np.uint64))


def counted(table: CustomerTable, ids: list[Any], batch: tuple[Any, Any, Any], cut: int) -> None:
    keys = keys_of(ids)
    actions, ticks, amounts = batch
    columns = Batch(
        readonly(np.array(actions, dtype=np.uint8)),
        readonly(np.array(ticks, dtype=np.int64)),
        readonly(np.array(amounts, dtype=np.float64)),
    )
    hashes = hash_keys(keys, SEED)
    listed = np.flatnonzero(columns.actions != SKIP).astype(np.int32)
    for start in range(0, len(ids), cut):
        rows = listed[(listed >= start) & (listed < start + cut)]
        halves = hashes[rows] << np.uint64(32) | rows.astype(np.uint64)
        assert not table.count(keys, halves, columns, 0)


def found(table: CustomerTable) -> dict[Any, Record]:
    records = table.records[: table.n_keys]
    fields = [records[name].tolist() for name in ("first_row", "first_tick", "last_tick", "frequency")]
    keys: Any = table.keys_of(np.arange(table.n_keys, dtype=np.int32))
    ids = [tuple(key) if table.wide else key for key in keys[0].tolist()]
    assert len(set(ids)) == table.n_keys
    return dict(zip(ids, zip(*fields, records["low"].copy().view(np.float64).tolist(), strict=True), strict=True))


@kernel
def _fold(word: np.uint64, start: np.uint64, multiplier: np.uint64) -> np.uint64:
    return fold_multiply(word ^ start, multiplier)


def colliding(n: int) -> list[tuple[int, int]]:
    """Return n wide ids of one and the same hash: the second word undoes what the first one did."""
    words = [(i, int(_fold(np.uint64(i), *seed_words(SEED))) ^ 77) for i in range(n)]
    assert len(set(hash_keys(keys_of(words), SEED).tolist())) == 1
    return words


def near(n: int) -> list[int]:
    """Return n integers of few tags whose home is the last group of a small table, and one of the last of any."""
    ids = np.arange(500_000, dtype=np.uint64)
    hashes = hash_keys(FixedKeys(ids), SEED)
    alike = (hashes & np.uint64(0xFFFF_FFFF) > np.uint64(0xFE00_0000)) & (hashes & np.uint64(63) == 5)
    assert np.count_nonzero(alike) >= n
    return ids[alike][:n].tolist()  # type: ignore[no-any-return]


COLLIDING = colliding(90)
IDS = {
    "few": st.integers(0, 30) | st.sampled_from([(1 << 64) - 1, 1 << 63]),
    "many": st.integers(0, (1 << 64) - 1),
    "wide": st.tuples(st.integers(0, 3), st.integers(0, 3) | st.integers(0, (1 << 64) - 1)),
    "colliding": st.sampled_from(COLLIDING),
}


@st.composite
def batches(draw: Any) -> tuple[list[Any], tuple[list[int], list[int], list[float]]]:
    ids = draw(st.lists(IDS[draw(st.sampled_from(sorted(IDS)))], min_size=1, max_size=300))
    if draw(st.booleans()):  # rows of one customer that follow each other
        ids = [customer for customer in ids for _ in range(draw(st.integers(1, 4)))][:300]
    n = len(ids)
    action = st.sampled_from([PURCHASE, PURCHASE, PURCHASE, REFUND, OUTSIDE, SKIP])
    actions = draw(st.lists(action, min_size=n, max_size=n) | st.just([PURCHASE] * n))
    return ids, (actions, [(7 * i) % 31 - 15 for i in range(n)], [0.1 * i - 3.0 for i in range(n)])


@given(batches(), st.sampled_from([1, 7, 1000]))
@settings(max_examples=300, deadline=None)
def test_every_customer_gets_its_own_rows_in_order(case: tuple[list[Any], Any], cut: int) -> None:
    ids, batch = case  # sums depend on the order
    table = CustomerTable(isinstance(ids[0], tuple), SEED)
    counted(table, ids, batch, cut)
    kept = [i for i in range(len(ids)) if batch[0][i] != SKIP]
    expected = naive([i if j in set(kept) else None for j, i in enumerate(ids)], *batch)
    expected.pop(None, None)
    assert found(table) == expected


def grown(ids: list[Any], cut: int) -> CustomerTable:
    n, random = len(ids), np.random.default_rng(2)
    batch: Any = [PURCHASE] * n, random.integers(-9, 9, n).tolist(), random.normal(size=n).tolist()
    table = CustomerTable(isinstance(ids[0], tuple), SEED)
    counted(table, ids, batch, cut)
    assert found(table) == naive(ids, *batch)
    return table


@pytest.mark.parametrize("wide", [False, True])
def test_growth_within_a_batch_keeps_every_row(wide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_LARGE", 40)
    monkeypatch.setattr(customers, "_MAPPED", 2048)
    ids: list[Any] = np.random.default_rng(2).integers(0, 20_000, 40_000).tolist()
    table = grown([(i, i * i) for i in ids] if wide else ids, 40_000)
    assert table.nbytes < 80 * table.n_keys


def test_growth_keeps_customers_that_all_want_the_last_group() -> None:
    ids: list[Any] = near(45)
    grown(ids + list(range(1000)) + ids, 100)


def test_growth_keeps_customers_of_one_hash() -> None:
    ids: list[Any] = [*colliding(300), *((i, i) for i in range(700))]
    grown(ids + ids, 500)


@pytest.mark.parametrize("view_held", [False, True])
def test_records_grow_in_their_place_and_beyond(view_held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customers, "_MAPPED", 512)
    monkeypatch.setattr(pages, "_FACTORS", (3,))
    ids = list(range(9000))
    table, views = CustomerTable(False, SEED), []
    for start in range(0, 9000, 100):
        views.append(table.records if view_held else None)
        counted(table, ids[start : start + 100], ([PURCHASE] * 100, [0] * 100, [1.0] * 100), 100)
    assert {customer: record[3:] for customer, record in found(table).items()} == dict.fromkeys(ids, (1, 1.0))


def test_merging_adds_up() -> None:
    n = 3000
    keys, table = FixedKeys(np.arange(n, dtype=np.uint64)), CustomerTable(False, SEED)
    numbers = np.arange(n, dtype=np.int64)
    columns = Columns(*(readonly(column) for column in (numbers, numbers - 5, numbers + 5, numbers % 7, numbers + 0.5)))  # type: ignore[arg-type,type-var]
    for rows in (numbers[: n // 2], numbers, numbers[n // 2 :]):
        assert not table.merge(keys, hash_keys(keys, SEED), rows.astype(np.int32), columns)
    assert found(table) == {i: (i, i - 5, i + 5, 2 * (i % 7), 2 * (i + 0.5)) for i in range(n)}


@pytest.mark.parametrize("wide", [False, True])
def test_one_table_holds_one_kind_of_key(wide: bool) -> None:
    nothing = np.zeros(0, dtype=np.int64)
    keys = ByteKeys(nothing.view(np.uint8), nothing, nothing.astype(np.int32))
    batch = Batch(nothing.view(np.uint8), nothing, nothing.view(np.float64))
    with pytest.raises(TypeError, match=f"found ByteKeys, wanted {'Wide' if wide else 'Fixed'}Keys"):
        CustomerTable(wide, SEED).count(keys, nothing.view(np.uint64), batch, 0)


def test_records_are_hashed_as_their_ids() -> None:
    assert groups.hash_word is hashing.hash_word
    assert groups.hash_words is hashing.hash_words
