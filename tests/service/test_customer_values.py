"""The last value of each customer against a loop over rows, for any cut into batches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.keys import FixedKeys
from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.options import SegmentOptions, parse_options
from proto.schemas import resolve
from service.columns import keys_of
from service.customer_values import CustomerValues, TableValues
from service.filtering import RowFilter

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.none() | st.integers(0, 9), st.booleans()), max_size=15
)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(1, 5), st.none() | st.integers(0, 4))
def test_the_last_value_by_time_and_then_by_arrival(rows: list[Any], cut: int, as_of: int | None) -> None:
    table = pa.table(
        {
            "customer_id": pa.array([row[0] for row in rows], pa.int64()),
            "timestamp": pa.array([row[1] for row in rows], pa.int64()).cast(pa.timestamp("s")),
            "amount": pa.array([1.0] * len(rows), pa.float64()),
            "cost": pa.array([row[2] for row in rows], pa.int32()),
            "ok": pa.array([row[3] for row in rows], pa.bool_()),
        }
    )
    plan = resolve(table.schema, parse_options(SegmentOptions, []))
    columns: Any = {"cost_per_contact": ("cost", "number"), "consent": ("ok", "flag")}
    where = RowFilter("cost != 7 or cost is null", table.schema, {}, "UTC")
    values = CustomerValues(plan, table.schema, columns, as_of_tick=as_of, where=where, limits=Limits())
    for batch in table.to_batches(max_chunksize=cut):
        values.add(batch)
    found = values.of(FixedKeys(np.arange(5, dtype=np.uint64)))
    kept = [row for row in rows if row[2] != 7 and (as_of is None or row[1] <= as_of)]
    kept.sort(key=lambda row: row[1])
    for who in range(5):
        costs = [cost for customer, _, cost, _ in kept if customer == who and cost is not None]
        flags = [ok for customer, _, _, ok in kept if customer == who]
        cost, ok = found["cost_per_contact"][who], found["consent"][who]
        assert cost == costs[-1] if costs else math.isnan(cost)
        assert ok == flags[-1] if flags else math.isnan(ok)


def test_texts_of_a_customers_table_and_decimals() -> None:
    table = pa.table({"customer_id": ["a", "b", "c"], "visits": [1, 2, 3], "cost": pa.array(["0.5", None, "2"])})
    table = table.set_column(2, "cost", table["cost"].cast(pa.decimal128(5, 2)))
    plan = resolve(table.schema, parse_options(SegmentOptions, [("features", "visits")]))
    values = CustomerValues(
        plan, table.schema, {"cost_per_contact": ("cost", "number")}, as_of_tick=None, where=None, limits=Limits()
    )
    values.add(table.to_batches()[0])
    rows = TableValues(table.schema, {"cost_per_contact": ("cost", "number")})
    rows.add(table.to_batches()[0], None)
    rows.add(table.to_batches()[0], np.array([2, 1], np.int32))
    everyone = rows.of(keys_of(table["customer_id"].chunk(0)))["cost_per_contact"]
    assert np.array_equal(everyone, [0.5, np.nan, 2.0, 2.0, np.nan], equal_nan=True)
    found = values.of(keys_of(pa.array(["c", "b", "new", "a"])))["cost_per_contact"]
    assert found[[0, 3]].tolist() == [2.0, 0.5]
    assert np.isnan(found[[1, 2]]).all()


@pytest.mark.parametrize(("kind", "wanted"), [("number", "a number"), ("flag", "true or false, or an integer")])
def test_other_types_are_refused(kind: Any, wanted: str) -> None:
    schema = pa.schema({"customer_id": pa.int64(), "visits": pa.int64(), "note": pa.utf8()})
    plan = resolve(schema, parse_options(SegmentOptions, [("features", "visits")]))
    with pytest.raises(RequestError, match=wanted) as caught:
        CustomerValues(plan, schema, {"consent": ("note", kind)}, as_of_tick=None, where=None, limits=Limits())
    assert caught.value.code == ErrorCode.WRONG_TYPE
    assert caught.value.facts["column"] == "note"


def test_what_it_holds_is_told_before_and_after() -> None:
    n = 50_000
    table = pa.table({"customer_id": range(n), "timestamp": [0] * n, "amount": [1.0] * n, "cost": [0.5] * n})
    table = table.set_column(1, "timestamp", table["timestamp"].cast(pa.timestamp("s")))
    plan = resolve(table.schema, parse_options(SegmentOptions, []))
    columns: Any = {"cost_per_contact": ("cost", "number")}
    values = CustomerValues(plan, table.schema, columns, as_of_tick=None, where=None, limits=Limits())
    before = 0
    for batch in table.to_batches(max_chunksize=10_000):
        expected = values.growing_bytes(batch)
        values.add(batch)
        assert before <= values.held_bytes <= expected
        before = values.held_bytes
    assert before > n * 16
