"""retention against a naive twin, and worked by hand."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.schemes.shop import purchases, request, told

DAY = dt.date(2024, 6, 15)
ASKED = {"schemes": "retention", "retention.window": "10d"}


def naive(bought: list[tuple[int, int]]) -> str:
    now = any(ago < 10 and amount >= 0 for ago, amount in bought)
    before = any(10 <= ago < 20 and amount >= 0 for ago, amount in bought)
    return {(True, True): "retained", (True, False): "lapsed", (False, True): "gained"}.get((before, now), "absent")


BOUGHT = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([-8, 0, 5])), min_size=1, max_size=5)


@settings(max_examples=20)
@given(st.lists(BOUGHT, min_size=1, max_size=6))
def test_classes_and_rate_are_those_of_the_naive_twin(customers: list[list[tuple[int, int]]]) -> None:
    customers[0].append((0, 5))
    rows = [(f"c{i}", ago, amount) for i, bought in enumerate(customers) for ago, amount in bought]
    table = pa.table(
        {
            "customer_id": [customer for customer, _, _ in rows],
            "timestamp": pa.array([DAY - dt.timedelta(days=ago) for _, ago, _ in rows], pa.date32()),
            "amount": [amount for _, _, amount in rows],
        }
    )
    outcome = request(table, ASKED)
    wanted = [naive(bought) for bought in customers]
    assert [row["class"] for row in told(outcome, "retention").values()] == wanted
    assert outcome.summary.schemes is not None
    figures = outcome.summary.schemes["retention"].figures
    kept, lost = wanted.count("retained"), wanted.count("lapsed")
    assert figures["rate"] == (kept / (kept + lost) if kept + lost else None)


def test_worked_by_hand() -> None:
    """W = 10 days to the end of 15 June: now from the 6th, before from 27 May. A refund is no purchase."""
    table = purchases(
        *(("stays", "2024-05-27", 100), ("stays", "2024-06-06", 100), ("goes", "2024-06-05T23:59:59", 5)),
        *(("goes", "2024-06-10", -5), ("comes", "2024-06-15T23:00:00", 0), ("none", "2024-05-26T23:59:59", 9)),
    )
    outcome = request(table, ASKED)
    found = told(outcome, "retention")
    assert [row["class"] for row in found.values()] == ["retained", "lapsed", "gained", "absent"]
    assert (found["stays"]["purchases"], found["stays"]["purchases_before"]) == (1, 1)
    assert outcome.summary.schemes is not None
    figures = outcome.summary.schemes["retention"].figures
    assert (figures["buyers_before"], figures["retained"], figures["rate"]) == (2, 1, 0.5)
    assert sum(segment["buyers_before"] for segment in figures["segments"]) == 2
    assert len(figures["segments"]) == len(outcome.model.segments)


def test_a_single_customer_and_no_buyer_before() -> None:
    outcome = request(purchases(("a", "2024-06-14", 1)), ASKED)
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["retention"].figures["rate"] is None
