"""The aggregation against its naive twin, and the same bits for every cut, shard count and thread."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels._run import run_serially
from kernels.keys import ByteKeys, FixedKeys
from kernels.rfm import (
    RECORD,
    Occasion,
    Plan,
    Refunds,
    RfmTable,
    Rows,
)

from .aggregation_inputs import I64, batch_of, bytes_of, ints_of, run_on_pool, values_of
from .naive_rfm import Row, naive_rfm

KINDS = ("float", "integer", "decimal")
INT_IDS = st.sampled_from([0, 1, -1, 5, 7919, I64.max, I64.min, 1 << 32])
TEXT_IDS = st.sampled_from(["", "a", "b", "cust-1", "cust-10", "12345678", "123456789", "é" * 9, "x" * 40, "x" * 41])


def rows_of(customers: Any, orders: Any, amounts: Any) -> Any:
    row = st.builds(Row, customers, st.integers(-40, 40), amounts, orders, st.booleans() | st.just(True))
    return st.lists(row, max_size=40)


def amounts_of(kind: str) -> Any:
    if kind == "float":
        return st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, -0.1, 1e16, -5.5, 12.25])
    if kind == "integer":
        return st.sampled_from([0, 1, -1, 7, I64.max, I64.min])
    return st.sampled_from([0, 1, -1, 1 << 64, -(1 << 64), (1 << 64) - 1, 10**30, -(10**30)])


@st.composite
def cases(draw: Any) -> tuple[Plan, list[Row]]:
    kind = draw(st.sampled_from(KINDS))
    fixed_ids, fixed_orders = draw(st.booleans()), draw(st.booleans())
    transitions = sorted(draw(st.sets(st.integers(-40, 40), max_size=3)))
    offsets = draw(st.lists(st.integers(-9, 9), min_size=len(transitions) + 1, max_size=len(transitions) + 1))
    plan = Plan(
        draw(st.sampled_from(Occasion)),
        draw(st.sampled_from(Refunds)),
        draw(st.sampled_from([I64.min, -10, 0])),
        draw(st.sampled_from([I64.max, 10, 0])),
        10,
        np.array(transitions, dtype=np.int64),
        np.array(offsets, dtype=np.int64),
        kind,
        fixed_ids,
        fixed_orders,
    )
    ids, orders = (INT_IDS if fixed else TEXT_IDS for fixed in (fixed_ids, fixed_orders))
    rows = draw(rows_of(ids, orders, amounts_of(kind)))
    # keys_of tells the kind by the values: an empty list of texts would be taken for integers, so tests skip it
    return plan, rows


def filled(plan: Plan, rows: list[Row], cut: int, n_shards: int = 1, run: Any = run_serially, **named: Any) -> RfmTable:
    table = RfmTable(plan, n_shards, **named)
    for start in range(0, len(rows), cut):
        table.add(batch_of(rows[start : start + cut], plan.amount_kind), start, run)
    return table


def check(table: RfmTable, plan: Plan, rows: list[Row]) -> None:
    expected, counts = naive_rfm(rows, plan)
    found = table.finish()
    ids = values_of(found.keys) if expected else []
    assert ids == list(expected)
    assert found.first_row.tolist() == [c["first_row"] for c in expected.values()]
    assert found.frequency.tolist() == [len(c["occasions"]) for c in expected.values()]
    assert found.last_tick.tolist() == [max(c["ticks"], default=I64.min) for c in expected.values()]
    assert found.first_tick.tolist() == [min(c["ticks"], default=I64.min) for c in expected.values()]
    sums = found.sums.tolist() if plan.amount_kind == "float" else ints_of(found.sums)
    assert sums == [c["sum"] for c in expected.values()]
    got = table.counts
    assert (got.rows, got.rows_kept) == (len(rows), counts["kept"])
    assert (got.rows_after_as_of, got.rows_before_window) == (counts["late"], counts["early"])
    assert (got.refund_rows, got.zero_amount_rows) == (counts["refunds"], counts["zeros"])
    assert got.first_refund_row == counts["first_refund"]
    assert table.n_outside_window == counts["outside"]
    assert table.n_customers == len(expected) + counts["outside"]
    assert not got.overflow


@given(cases())
@settings(max_examples=300, deadline=None)
def test_agrees_with_the_naive_twin(case: tuple[Plan, list[Row]]) -> None:
    plan, rows = case
    check(filled(plan, rows, 7), plan, rows)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_no_cut_shard_count_or_seed_changes_a_bit(case: tuple[Plan, list[Row]]) -> None:
    plan, rows = case
    if not rows:
        return
    reference = bytes_of(filled(plan, rows, len(rows)).finish())
    for cut, n_shards in product((1, 7), (1, 2, 4)):
        assert bytes_of(filled(plan, rows, cut, n_shards, seed=cut * n_shards).finish()) == reference


@given(cases(), st.integers(0, 40), st.sampled_from([1, 3]))
@settings(max_examples=150, deadline=None)
def test_merged_parts_equal_the_whole(case: tuple[Plan, list[Row]], cut: int, n_shards: int) -> None:
    plan, rows = case
    if not rows:
        return
    cut = min(cut, len(rows))
    first = filled(plan, rows[:cut], 7, n_shards)
    second = RfmTable(plan)
    if cut < len(rows):
        second.add(batch_of(rows[cut:], plan.amount_kind), cut)
    merged = RfmTable(plan, n_shards)
    for part in (second.export(), first.export()):  # in the wrong order on purpose
        merged.merge(part)
    whole = filled(plan, rows, len(rows))
    a, b = merged.finish(), whole.finish()
    assert values_of(a.keys) == values_of(b.keys)
    for name in ("first_row", "first_tick", "last_tick", "frequency"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist()
    if plan.amount_kind == "float":
        np.testing.assert_allclose(a.sums, b.sums, rtol=1e-12, atol=1e3)  # sums of 1e16 that cancel
    else:
        assert a.sums.tolist() == b.sums.tolist()
    assert merged.counts == whole.counts
    assert merged.n_outside_window == whole.n_outside_window
    # and going on after a merge, or merging twice what adds nothing new, counts no occasion twice
    merged.merge(first.export())
    if plan.occasion != Occasion.ROW:
        assert merged.finish().frequency.tolist() == b.frequency.tolist()


def large(n: int, n_customers: int, fixed: bool, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    numbers = random.integers(0, n_customers, n)
    if fixed:
        ids: Any = FixedKeys((numbers * 7919 - 1_000_000).astype(np.int64).view(np.uint64))
    else:
        width = np.array([f"customer-{i}" for i in range(n_customers)], dtype="S")
        data = np.frombuffer(width.tobytes(), dtype=np.uint8)
        lengths = np.char.str_len(width).astype(np.int32)
        ids = ByteKeys(data, numbers * width.dtype.itemsize, lengths[numbers])  # as from a dictionary
    orders = FixedKeys(random.integers(0, 50, n).astype(np.uint64))
    return Rows(ids, random.integers(0, 10**6, n), random.normal(20, 15, n), orders)


def plan_of(occasion: Occasion, fixed: bool, kind: Any = "float", fixed_orders: bool = True) -> Plan:
    zone = np.zeros(0, dtype=np.int64), np.array([3600])
    return Plan(occasion, Refunds.NET, I64.min, I64.max, 86_400, *zone, kind, fixed, fixed_orders)


def cut_rows(rows: Rows, start: int, stop: int) -> Rows:
    keys = rows.customers
    ids: Any = (
        FixedKeys(keys.bits[start:stop])
        if isinstance(keys, FixedKeys)
        else ByteKeys(keys.data, keys.starts[start:stop], keys.lengths[start:stop])
    )
    assert isinstance(rows.orders, FixedKeys)
    return Rows(ids, rows.ticks[start:stop], rows.amounts[start:stop], FixedKeys(rows.orders.bits[start:stop]))


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("occasion", [Occasion.ROW, Occasion.ORDER, Occasion.DAY])
def test_threads_and_growth_change_nothing(fixed: bool, occasion: Occasion) -> None:
    n, plan = 30_000, plan_of(occasion, fixed)
    rows = large(n, 9_000, fixed)
    found = []
    for n_shards, run, cut in ((1, run_serially, n), (2, run_on_pool(2), 4096), (4, run_on_pool(4), 10_000)):
        table = RfmTable(plan, n_shards)
        for start in range(0, n, cut):
            table.add(cut_rows(rows, start, min(n, start + cut)), start, run)
        found.append(bytes_of(table.finish()))
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_growth_agrees_with_numpy() -> None:
    rows = large(20_000, 6_000, True)
    table = RfmTable(plan_of(Occasion.ORDER, True))
    table.add(rows, 0)
    found = table.finish()
    assert isinstance(rows.customers, FixedKeys)
    assert isinstance(rows.orders, FixedKeys)
    bits, orders, bought = rows.customers.bits, rows.orders.bits, rows.amounts >= 0
    ids, first, inverse = np.unique(bits, return_index=True, return_inverse=True)
    order = np.argsort(first)
    assert (found.keys[0] == ids[order]).all()
    np.testing.assert_allclose(found.sums, np.bincount(inverse, rows.amounts)[order], rtol=1e-9, atol=1e-9)
    pairs = np.unique(np.stack([bits[bought], orders[bought]]), axis=1)
    frequency = {int(i): int(c) for i, c in zip(*np.unique(pairs[0], return_counts=True), strict=True)}
    assert found.frequency.tolist() == [frequency.get(int(i), 0) for i in found.keys[0]]


def test_memory_grows_with_customers_not_with_rows() -> None:
    few, many = (RfmTable(plan_of(Occasion.ROW, True)) for _ in range(2))
    few.add(large(2_000, 100, True), 0)
    many.add(large(60_000, 100, True), 0)
    assert few.nbytes == many.nbytes
    assert RECORD.itemsize == 64


def test_empty_and_one_row() -> None:
    plan = plan_of(Occasion.TIME, True)
    table = RfmTable(plan, 2)
    assert len(table.finish().first_row) == 0
    assert table.n_customers == table.n_pairs == 0
    table.add(batch_of([], "float"), 0)
    table.merge(RfmTable(plan).export())
    assert len(table.finish().first_row) == 0
    row = Row(-5, I64.min + 1, 2.5, 1, True)
    table.add(batch_of([row], "float"), 17)
    found = table.finish()
    assert values_of(found.keys) == [-5]
    assert (found.first_row[0], found.last_tick[0], found.frequency[0], found.sums[0]) == (17, I64.min + 1, 1, 2.5)


def test_sums_that_leave_128_bits_are_told() -> None:
    plan = plan_of(Occasion.ROW, True, "decimal")
    for amount in ((1 << 127) - 1, -(1 << 127)):
        table = RfmTable(plan)
        table.add(batch_of([Row(1, 0, amount, 1, True)], "decimal"), 0)
        assert not table.counts.overflow
        table.add(batch_of([Row(1, 0, 1 if amount > 0 else -1, 1, True)], "decimal"), 0)
        assert table.counts.overflow
        merged = RfmTable(plan)
        merged.merge(table.export())
        assert merged.counts.overflow


def test_min_and_max_tick_are_those_of_kept_rows() -> None:
    plan = plan_of(Occasion.ROW, True)._replace(upper_tick=10, refunds=Refunds.DROP)
    rows = [Row(1, 99, 1.0, 1, True), Row(1, 10, 1.0, 1, True), Row(2, -3, 1.0, 1, True), Row(2, -9, -1.0, 1, True)]
    counts = filled(plan, rows, 2).counts
    assert (counts.max_tick, counts.min_tick) == (10, -3)


def test_rows_numbered_twice_are_ordered_by_id_not_by_seed() -> None:
    plan = plan_of(Occasion.ROW, True)
    found = set()
    for seed in range(5):
        table = RfmTable(plan, 4, seed=seed)
        for customer in range(20):
            part = RfmTable(plan)
            part.add(batch_of([Row(customer, 0, 1.0, 1, True)], "float"), 0)
            table.merge(part.export())
        found.add(tuple(values_of(table.finish().keys)))
    assert len(found) == 1


def test_arguments_are_checked() -> None:
    plan = plan_of(Occasion.ORDER, True)
    row = [Row(1, 0, 1.0, 1, True)]
    with pytest.raises(ValueError, match="n_shards: found 0"):
        RfmTable(plan, 0)
    with pytest.raises(ValueError, match="lower_tick: found 5"):
        RfmTable(plan._replace(lower_tick=5, upper_tick=4))
    with pytest.raises(ValueError, match="fixed_orders: found None"):
        RfmTable(plan._replace(fixed_orders=None))
    table = RfmTable(plan)
    with pytest.raises(ValueError, match="amounts: found int64"):
        table.add(batch_of(row, "integer"), 0)
    with pytest.raises(ValueError, match="orders: found none"):
        table.add(batch_of(row, "float")._replace(orders=None), 0)
    with pytest.raises(ValueError, match="rows: found columns"):
        table.add(batch_of(row, "float")._replace(keep=np.zeros(2, dtype=np.bool_)), 0)
    with pytest.raises(TypeError, match="orders: found ByteKeys"):
        table.add(batch_of([row[0]._replace(order="x")], "float"), 0)
    with pytest.raises(TypeError, match="keys: found ByteKeys"):
        table.add(batch_of([row[0]._replace(customer="x")], "float"), 0)
