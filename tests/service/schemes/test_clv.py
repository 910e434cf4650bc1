"""clv against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import RequestError
from tests.service.schemes.shop import purchases, request, told
from tests.service.schemes.test_growth import dated

ASKED = {"schemes": "clv", "clv.margin": "0.25", "clv.years": "4"}


def naive_annual(bought: list[tuple[int, int]], revenue: str) -> float | None:
    """bought: (days before as_of, amount)."""
    days = sorted({ago for ago, amount in bought if amount >= 0})
    if not days:
        return None
    if revenue == "year":
        return float(sum(amount for ago, amount in bought if ago < 365))
    if len(days) < 3:
        return None
    mean_order = sum(amount for _, amount in bought) / len(days)
    return mean_order * 365 / ((days[-1] - days[0]) / (len(days) - 1))


BOUGHT = st.lists(st.tuples(st.integers(0, 500), st.sampled_from([-8, 0, 1, 16, 128])), min_size=1, max_size=6)


@settings(max_examples=40)
@given(st.lists(BOUGHT, min_size=1, max_size=5), st.sampled_from(["year", "cycle"]))
def test_figures_are_those_of_the_naive_twin(customers: list[list[tuple[int, int]]], revenue: str) -> None:
    customers[0].append((0, 0))  # a purchase, so that there is somebody to fit
    found = told(request(dated(customers), {**ASKED, "clv.revenue": revenue}), "clv")
    for i, bought in enumerate(customers):
        row, annual = found[f"c{i}"], naive_annual(bought, revenue)
        assert row["annual_revenue"] == (None if annual is None else pytest.approx(annual))
        assert row["lifetime_value"] == (None if annual is None else pytest.approx(annual))  # × 4 × ¼
        assert row["ratio"] == (None if annual is None else pytest.approx(annual / 2000))
        pays = annual is not None and annual > 0
        assert row["payback_years"] == (pytest.approx(2000 / (annual / 4)) if pays and annual else None)
        first = max((ago for ago, amount in bought if amount >= 0), default=None)
        if revenue == "year":
            assert row["short_history"] == (first is not None and first < 365)
        else:
            assert "short_history" not in row


def test_worked_by_hand() -> None:
    """182,500 ÷ 365 × 4 = 2,000. Only a's later two purchases are within 365 days; b began in the spring."""
    table = purchases(
        *(("a", "2023-06-16", 999), ("a", "2023-06-17", 1000), ("a", "2024-06-15", 3000)),
        *(("b", "2024-04-01", 500), ("lapsed", "2022-01-01", 700), ("back", "2024-01-01", -5)),
    )
    outcome = request(table, ASKED)
    assert told(outcome, "clv") == {
        "a": {
            "annual_revenue": 4000.0,
            "short_history": False,
            "lifetime_value": 4000.0,
            "ratio": 2.0,
            "payback_years": 2.0,
        },
        "b": {
            "annual_revenue": 500.0,
            "short_history": True,
            "lifetime_value": 500.0,
            "ratio": 0.25,
            "payback_years": 16.0,
        },
        "lapsed": {
            "annual_revenue": 0.0,
            "short_history": False,
            "lifetime_value": 0.0,
            "ratio": 0.0,
            "payback_years": None,
        },
        "back": {
            "annual_revenue": None,
            "short_history": False,
            "lifetime_value": None,
            "ratio": None,
            "payback_years": None,
        },
    }
    assert outcome.summary.schemes is not None
    summary = outcome.summary.schemes["clv"]
    assert (summary.classes, summary.unknown) == ([], 1)
    assert summary.figures == {
        "acquisition_cost": 2000.0,
        "retention_cost": 400.0,
        "lifetime_value": 4500.0,
        "mean_lifetime_value": 1500.0,
        "customers_valued": 3,
        "customers_below_acquisition": 2,
        "customers_short_history": 1,
    }


def test_by_the_cycle_of_orders() -> None:
    """a: 3 orders of 20 on average, 73 days apart: 5 a year. Two orders, or three at once, are no cycle."""
    table = purchases(
        *(("a", "2024-01-01", 10), ("a", "2024-03-01", 30), ("a", "2024-05-26", 20)),
        *(("b", "2024-01-01", 10), ("b", "2024-03-01", 30)),
        *(("c", "2024-01-01", 10), ("c", "2024-01-01", 10), ("c", "2024-01-01", 10)),
    )
    found = told(request(table, {**ASKED, "clv.revenue": "cycle"}, occasion="row"), "clv")
    assert [row["annual_revenue"] for row in found.values()] == [pytest.approx(100.0), None, None]


def test_own_margin_and_years_come_before_the_parameters() -> None:
    bought = [(name, "2024-06-01", 100) for name in "abc"]
    table = purchases(*bought, margin=[0.5, None, 0.1], years=pa.array([None, 2, 10], pa.int64()))
    found = told(request(table, {**ASKED, "clv.annual_selling_cost": "0"}), "clv")
    assert [row["lifetime_value"] for row in found.values()] == pytest.approx([200.0, 50.0, 100.0])
    assert {row["ratio"] for row in found.values()} == {None}  # costs nothing to win
    alone = told(request(table, "clv"), "clv")  # the columns will do
    assert [row["lifetime_value"] for row in alone.values()] == [None, None, pytest.approx(100.0)]


def test_margin_and_years_are_needed() -> None:
    table = purchases(("a", "2024-06-01", 100))
    with pytest.raises(RequestError, match=r"no column 'margin' \(schemes=clv without clv\.margin= needs it\)"):
        request(table, {"schemes": "clv", "clv.years": "4"})
    with pytest.raises(RequestError, match=r"no column 'years' \(schemes=clv without clv\.years= needs it\)"):
        request(table, {"schemes": "clv", "clv.margin": "0.2"})


def test_the_cycle_needs_no_explicit_as_of() -> None:
    table = purchases(("a", "2024-01-01", 10), ("a", "2024-01-11", 10), ("a", "2024-01-21", 10))
    found = told(request(table, {**ASKED, "clv.revenue": "cycle"}, as_of="max"), "clv")
    assert found["a"]["annual_revenue"] == pytest.approx(365.0)
    with pytest.raises(RequestError, match="explicit as_of"):
        request(table, ASKED, as_of="max")
