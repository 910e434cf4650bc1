"""credit against a naive twin, and worked by hand."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.schemes.shop import AS_OF, purchases, request, told

START = dt.date(2024, 6, 1)


def naive(orders: dict[int, list[tuple[dt.date | None, dt.date | None]]]) -> tuple[str, int, int]:
    n_due = n_late = 0
    for dates in orders.values():
        with_due = [(due, paid) for due, paid in dates if due is not None]
        if not with_due:
            continue
        due = max(due for due, _ in with_due)
        paid = max((paid for _, paid in with_due if paid is not None), default=None)
        if due <= dt.date.fromisoformat(AS_OF):
            n_due += 1
            n_late += paid is None or paid > due
    if not n_due:
        return "unknown", 0, 0
    share = n_late / n_due
    return "high" if share <= 0.05 else "ordinary" if share <= 0.2 else "low", n_due, n_late


DATES = st.none() | st.integers(0, 20).map(lambda days: START + dt.timedelta(days=days))
ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6), DATES, DATES), min_size=1, max_size=12)


@pytest.mark.parametrize("by_id", [True, False])
@given(rows=ROWS)
def test_classes_are_those_of_the_naive_twin(
    by_id: bool, rows: list[tuple[str, int, dt.date | None, dt.date | None]]
) -> None:
    table = purchases(
        *((who, f"2024-05-0{order}", 1) for who, order, *_ in rows),
        due_date=pa.array([due for *_, due, _ in rows], pa.date32()),
        paid_date=pa.array([paid for *_, paid in rows], pa.date32()),
    )
    if by_id:
        table = table.append_column("order_id", [[order for _, order, *_ in rows]])
    for who, row in told(request(table, "credit"), "credit").items():
        orders: dict[int, list[tuple[dt.date | None, dt.date | None]]] = {}
        for other, order, *dates in rows:
            if other == who:
                orders.setdefault(order, []).append(tuple(dates))  # type: ignore[arg-type]
        assert (row["class"], row["due_orders"], row["late_orders"]) == naive(orders)


def test_worked_by_hand() -> None:
    """a pays on the due date, at any hour; b pays one of two late; c is due after as_of; d has not paid."""
    day = dt.datetime(2024, 6, 1)
    table = purchases(
        *(("a", "2024-05-01", 1), ("b", "2024-05-01", 1), ("b", "2024-05-02", 1), ("c", "2024-05-01", 1)),
        *(("d", "2024-05-01", 1),),
        order_id=[1, 1, 2, 1, 1],
        due_date=pa.array([day.date()] * 3 + [dt.date(2024, 6, 16), day.date()]),
        paid_date=pa.array([day.replace(hour=23), day, day.replace(day=2), None, None], pa.timestamp("us")),
    )
    outcome = request(table, "credit")
    found = told(outcome, "credit")
    assert found["a"] == {"class": "high", "late_share": 0.0, "due_orders": 1, "late_orders": 0}
    assert found["b"] == {"class": "low", "late_share": 0.5, "due_orders": 2, "late_orders": 1}
    assert found["c"] == {"class": "unknown", "late_share": None, "due_orders": 0, "late_orders": 0}
    assert found["d"]["class"] == "low"
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["credit"].figures == {"due_orders": 4, "late_orders": 2, "late_share": 0.5}
