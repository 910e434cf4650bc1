"""A few rows in one call, against the naive twin and, bit for bit, against the table for millions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels._jit import readonly
from kernels.few_rows import NO_VALUES, FewCustomers, FewPlan, aggregate_few, all_distinct
from kernels.keys import FixedKeys
from kernels.recency import recency_days, tenure_days
from kernels.rfm import Occasion, Plan, Refunds, RfmTable, Rows

from .aggregation_inputs import I64
from .naive_rfm import Row, naive_rfm

IDS = st.sampled_from([0, 1, -1, 5, 7919, I64.max, I64.min, 1 << 32])
AMOUNTS = st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, -0.1, 1e16, -5.5, 12.25, 1e308])
ROWS = st.lists(
    st.builds(Row, IDS, st.integers(-40, 40), AMOUNTS, st.sampled_from([0, 1, -1, I64.min]), st.just(True)),
    min_size=1,
    max_size=40,
)
UPPER, TICKS_PER_DAY, REST_NS = 38, 10, 7


def _ints(values: list[int]) -> Any:
    return readonly(np.array(values, dtype=np.int64))


def _few(rows: list[Row], occasion: Occasion, plan: FewPlan) -> FewCustomers | None:
    ticks = _ints([row.tick for row in rows])
    values = {Occasion.ROW: NO_VALUES, Occasion.TIME: ticks}.get(occasion, _ints([row.order for row in rows]))
    amounts = readonly(np.array([row.amount for row in rows]))
    return aggregate_few(_ints([row.customer for row in rows]), ticks, amounts, values, plan)


def _table_plan(few: FewPlan, occasion: Occasion, refunds: Refunds) -> Plan:
    zone = np.zeros(0, np.int64), np.zeros(1, np.int64)
    return Plan(occasion, refunds, few.lower_tick, few.upper_tick, few.ticks_per_day, *zone, "float", True, True)


@settings(deadline=None)
@given(
    ROWS,
    st.sampled_from([Occasion.ROW, Occasion.TIME, Occasion.ORDER]),
    st.sampled_from([Refunds.NET, Refunds.DROP]),
    st.sampled_from([I64.min, -39]),
    st.booleans(),
    st.booleans(),
)
def test_a_few_rows_are_what_the_table_and_the_naive_twin_make_of_them(
    rows: list[Row], occasion: Occasion, refunds: Refunds, lower: int, mean: bool, whole: bool
) -> None:
    few_plan = FewPlan(lower, UPPER, refunds == Refunds.NET, mean, REST_NS, TICKS_PER_DAY, whole)
    plan = _table_plan(few_plan, occasion, refunds)
    expected, counts = naive_rfm(rows, plan)
    plain = (
        counts["kept"] == len(rows)
        and all(c["ticks"] for c in expected.values())
        and all(np.isfinite(c["sum"]) for c in expected.values())
        and (refunds == Refunds.NET or not counts["refunds"])
    )
    found = _few(rows, occasion, few_plan)
    assert (found is not None) is plain
    if found is None:
        return
    table = RfmTable(plan)
    ids = FixedKeys(_ints([row.customer for row in rows]).view(np.uint64))
    ticks = _ints([row.tick for row in rows])
    amounts = readonly(np.array([row.amount for row in rows]))
    table.add(Rows(ids, ticks, amounts, FixedKeys(_ints([row.order for row in rows]).view(np.uint64))), 0)
    customers, n = table.finish(), found.n
    assert found.ids[:n].tolist() == list(expected) == customers.keys.bits.view(np.int64).tolist()
    assert found.frequencies[:n].tolist() == [len(c["occasions"]) for c in expected.values()]
    recency, frequency, monetary, tenure, revenue = found.features[:, :n]
    dated = (UPPER, REST_NS, TICKS_PER_DAY)
    assert np.array_equal(recency, recency_days(customers.last_tick, *dated, whole=whole))
    assert np.array_equal(tenure, tenure_days(customers.first_tick, *dated, whole=whole))
    assert revenue.tobytes() == customers.sums.tobytes()
    assert np.array_equal(frequency, found.frequencies[:n])
    assert monetary.tobytes() == (revenue / frequency if mean else revenue).tobytes()
    assert (found.refund_rows, found.zero_amount_rows) == (counts["refunds"], counts["zeros"])
    assert found.first_tick == table.counts.min_tick == min(row.tick for row in rows)


@pytest.mark.parametrize("amount", [np.nan, np.inf, -np.inf])
def test_an_amount_that_is_not_finite_is_no_plain_case(amount: float) -> None:
    plan = FewPlan(I64.min, UPPER, True, False, 0, 1, False)
    assert _few([Row(1, 0, 1.0, 0, True), Row(1, 0, amount, 0, True)], Occasion.ROW, plan) is None


@settings(deadline=None)
@given(st.lists(st.integers(I64.min, I64.max) | IDS, max_size=200))
def test_distinct_ids_are_told_from_others(ids: list[int]) -> None:
    assert all_distinct(_ints(ids)) is (len(set(ids)) == len(ids))


def test_many_customers_and_long_ids() -> None:
    ids = _ints(list(range(0, 4096 << 32, 1 << 32)))
    assert all_distinct(ids)
    plan = FewPlan(I64.min, UPPER, True, False, 0, 1, False)
    zeros = _ints([0] * 4096)
    found = aggregate_few(ids, zeros, readonly(np.ones(4096)), zeros, plan)
    assert found is not None
    assert found.n == 4096
    assert np.array_equal(found.ids, ids)
