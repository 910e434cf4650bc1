"""lifecycle against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.schemes.shop import purchases, request, told

RATES = {0: 0.06, 1: 0.15, 2: 0.5}


def naive(orders: int, spend: float, mean_order: float | None, margin: float | None) -> tuple[str, float | None]:
    name = ("prospect", "first_time", "repeat")[min(orders, 2)]
    own = spend / orders if orders else mean_order
    expected = None if own is None or own <= 0 else RATES[min(orders, 2)] * own
    return name, expected if margin is None or expected is None else expected * margin


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-20, 80)), min_size=1, max_size=8), st.sampled_from([None, 0.25])
)
def test_classes_and_values_are_those_of_the_naive_twin(customers: list[tuple[int, int]], margin: float | None) -> None:
    ids = [f"c{i}" for i in range(len(customers))]
    orders, spend = [n for n, _ in customers], [float(x) for _, x in customers]
    table = pa.table({"customer_id": ids, "frequency": orders, "monetary": spend, "visits": range(len(ids))})
    total, n = sum(x for k, x in customers if k), sum(orders)
    mean = total / n if n and total > 0 else None
    asked = {"schemes": "lifecycle"} | ({} if margin is None else {"lifecycle.margin": str(margin)})
    found = told(request(table, asked, features="visits"), "lifecycle")
    name = "expected_revenue" if margin is None else "expected_profit"
    for row, (k, x) in zip(found.values(), customers, strict=True):
        label, expected = naive(k, x, mean, margin)
        assert row["class"] == label
        assert row[name] == (None if expected is None else pytest.approx(expected))


def test_worked_by_hand() -> None:
    """a: two orders of 30 on average, b: one of 40, c: only gave back; the mean order is 100 ÷ 3."""
    table = purchases(
        ("a", "2024-01-01", 20), ("a", "2024-02-01", 40), ("b", "2024-01-05", 40), ("c", "2024-01-06", -4)
    )
    outcome = request(table, "lifecycle")
    assert told(outcome, "lifecycle") == {
        "a": {"class": "repeat", "expected_revenue": 15.0},
        "b": {"class": "first_time", "expected_revenue": 6.0},
        "c": {"class": "prospect", "expected_revenue": pytest.approx(2.0)},
    }
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["lifecycle"].figures["expected_revenue"] == pytest.approx(23.0)


def test_a_margin_of_ones_own_comes_before_the_parameter() -> None:
    table = purchases(
        ("a", "2024-01-01", 20), ("a", "2024-02-01", 40), ("b", "2024-01-05", 40), margin=[0.1, 0.5, None]
    )
    own = told(request(table, "lifecycle"), "lifecycle")
    assert (own["a"]["expected_profit"], own["b"]["expected_profit"]) == (7.5, None)
    both = told(request(table, {"schemes": "lifecycle", "lifecycle.margin": "0.2"}), "lifecycle")
    assert both["b"]["expected_profit"] == pytest.approx(1.2)


def test_a_single_customer_whose_orders_came_to_nothing() -> None:
    table = purchases(("a", "2024-01-01", 20), ("a", "2024-02-01", -20))
    assert told(request(table, "lifecycle"), "lifecycle")["a"] == {"class": "first_time", "expected_revenue": None}
