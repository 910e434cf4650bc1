"""growth against a naive twin, and worked by hand."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.schemes.shop import purchases, request, told

DAY = dt.date(2024, 6, 15)


def naive(bought: list[tuple[int, int]], window: int, back: int, shop: float | None) -> str:
    """bought: (days before as_of, amount) of whole days, as_of itself at 0."""
    purchases_ = [ago for ago, amount in bought if amount >= 0]
    recent = sum(amount for ago, amount in bought if ago < window)
    earlier = sum(amount for ago, amount in bought if back - window <= ago < back)
    if not purchases_:
        return "unknown"
    if max(purchases_) < back:
        return "new"
    if recent <= 0 and earlier <= 0:
        return "inactive"
    if earlier <= 0:
        return "reactivated"
    if shop is None:
        return "unknown"
    ratio = recent / earlier / shop
    return "fast" if ratio >= 1.2 else "steady" if ratio >= 0.8 else "declining"


def dated(customers: list[list[tuple[int, int]]]) -> pa.Table:
    rows = [(f"c{i}", ago, amount) for i, bought in enumerate(customers) for ago, amount in bought]
    return pa.table(
        {
            "customer_id": [customer for customer, _, _ in rows],
            "timestamp": pa.array([DAY - dt.timedelta(days=ago) for _, ago, _ in rows], pa.date32()),
            "amount": [amount for _, _, amount in rows],
        }
    )


BOUGHT = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([-8, 1, 2, 4, 8, 16])), min_size=1, max_size=6)


@settings(max_examples=25)
@given(st.lists(BOUGHT, min_size=1, max_size=6), st.booleans())
def test_classes_are_those_of_the_naive_twin(customers: list[list[tuple[int, int]]], relative: bool) -> None:
    customers[0].append((0, 0))  # a purchase, so that there is somebody to fit
    rows = [row for bought in customers for row in bought]
    recent = sum(amount for ago, amount in rows if ago < 10)
    earlier = sum(amount for ago, amount in rows if 10 <= ago < 20)
    shop = (recent / earlier if recent > 0 and earlier > 0 else None) if relative else 1.0
    asked = {"schemes": "growth", "growth.window": "10d", "growth.relative": str(relative).lower()}
    found = told(request(dated(customers), asked), "growth")
    for i, bought in enumerate(customers):
        assert found[f"c{i}"]["class"] == naive(bought, 10, 20, shop)


def test_worked_by_hand() -> None:
    """W = 10 days to the end of 15 June: recent from the 6th, earlier from 27 May to the 5th. The shop: 42 ÷ 28."""
    table = purchases(
        *(("grows", "2024-05-01", 1), ("grows", "2024-06-01", 10), ("grows", "2024-06-10", 30)),
        *(("fades", "2024-05-01", 1), ("fades", "2024-05-30", 18), ("fades", "2024-06-15", 6)),
        *(("back", "2024-01-01", 1), ("back", "2024-06-06", 6)),
        *(("asleep", "2024-01-01", 5), ("new", "2024-06-01", 0)),
    )
    outcome = request(table, {"schemes": "growth", "growth.window": "10d"})
    found = told(outcome, "growth")
    assert [row["class"] for row in found.values()] == ["fast", "declining", "reactivated", "inactive", "new"]
    assert found["grows"]["ratio"] == pytest.approx(3 / 1.5)
    assert (found["fades"]["recent"], found["fades"]["earlier"]) == (6.0, 18.0)
    assert outcome.model.schemes is not None
    assert outcome.model.schemes["growth"].frozen == {"shop_ratio": 1.5}


def test_the_same_days_a_year_ago() -> None:
    """2024-06-15 less 365 days is 2023-06-16: the ten days up to its end."""
    table = purchases(
        *(("a", "2023-06-01", 1), ("a", "2023-06-16", 10), ("a", "2024-06-10", 10)),
        *(("b", "2023-06-06", 99), ("b", "2023-06-07", 10), ("b", "2024-06-10", 5)),
    )
    asked = {"schemes": "growth", "growth.window": "10d", "growth.compare": "year_ago", "growth.relative": "false"}
    found = told(request(table, asked), "growth")
    assert [row["class"] for row in found.values()] == ["steady", "declining"]
    assert found["b"]["earlier"] == 10.0


def test_without_a_ratio_of_the_shop_nobody_is_compared() -> None:
    table = purchases(("a", "2024-01-01", 1), ("a", "2024-06-01", 10))  # nothing in the last ten days
    assert told(request(table, {"schemes": "growth", "growth.window": "10d"}), "growth")["a"]["class"] == "unknown"
