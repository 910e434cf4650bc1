"""loyalty against a naive twin, and worked by hand."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.schemes.shop import purchases, request, told


def naive(days: list[dt.date], as_of: dt.date) -> tuple[str, float | None, float | None]:
    """(class, share, longest gap) of purchase days; months as (year, month), walked one by one."""
    days = sorted(set(days))
    gaps = [float((b - a).days) for a, b in zip(days, days[1:], strict=False)]  # noqa: RUF007
    month, months = days[0].replace(day=1), []
    while True:
        following = (month + dt.timedelta(days=31)).replace(day=1)
        if following > as_of + dt.timedelta(days=1):
            break
        months.append((month.year, month.month))
        month = following
    active = len({(day.year, day.month) for day in days} & set(months))
    share = active / len(months) if months else None
    if len(months) < 3 or share is None:
        name = "too_new"
    else:
        name = "sustained" if share >= 0.5 else "intermittent" if share >= 0.2 else "not_loyal"
    return name, share, max(gaps, default=None)


START = dt.date(2022, 11, 20)
DAYS = st.lists(st.integers(0, 500).map(lambda days: START + dt.timedelta(days=days)), min_size=1, max_size=12)


@settings(max_examples=25)
@given(st.lists(DAYS, min_size=1, max_size=4), st.integers(0, 70), st.booleans())
def test_classes_are_those_of_the_naive_twin(customers: list[list[dt.date]], later: int, dates: bool) -> None:
    as_of = max(day for days in customers for day in days) + dt.timedelta(days=later)
    rows = [(f"c{i}", day) for i, days in enumerate(customers) for day in days]
    times = pa.array([day for _, day in rows], pa.date32())
    table = pa.table(
        {
            "customer_id": [customer for customer, _ in rows],
            "timestamp": times if dates else times.cast(pa.timestamp("s")),
            "amount": [1.0] * len(rows),
        }
    )
    found = told(request(table, "loyalty", as_of=as_of.isoformat()), "loyalty")
    for i, days in enumerate(customers):
        row = found[f"c{i}"]
        assert (row["class"], row["share"], row["longest_gap_days"]) == naive(days, as_of)


def test_worked_by_hand() -> None:
    """As of 15 June the last whole month is May. a: January to May, in four of them; b: in one of five."""
    table = purchases(
        *(("a", "2024-01-31", 1), ("a", "2024-02-01", 1), ("a", "2024-04-01", 1), ("a", "2024-05-31", 1)),
        *(("a", "2024-06-01", 1), ("b", "2024-01-05", 1), ("c", "2024-04-30", 1), ("d", "2024-01-01", -1)),
    )
    found = told(request(table, "loyalty"), "loyalty")
    assert found["a"] == {
        "class": "sustained",
        "share": 0.8,
        "months": 5,
        "active_months": 4,
        "longest_gap_days": 60.0,
    }
    assert (found["b"]["class"], found["b"]["share"]) == ("intermittent", 0.2)
    assert found["b"]["longest_gap_days"] is None
    assert (found["c"]["class"], found["c"]["months"]) == ("too_new", 2)
    assert found["d"] == {
        "class": "unknown",
        "share": None,
        "months": None,
        "active_months": None,
        "longest_gap_days": None,
    }


@pytest.mark.parametrize(("as_of", "months"), [("2024-05-30", 4), ("2024-05-31", 5), ("2024-06-01", 5)])
def test_a_month_is_over_with_its_last_day(as_of: str, months: int) -> None:
    found = told(request(purchases(("a", "2024-01-05", 1)), "loyalty", as_of=as_of), "loyalty")
    assert found["a"]["months"] == months


def test_months_are_those_of_the_shop() -> None:
    """23:30 in UTC on 31 January is February in Berlin."""
    table = purchases(("a", "2024-01-31T23:30:00", 1))
    assert told(request(table, "loyalty"), "loyalty")["a"]["months"] == 5
    assert told(request(table, "loyalty", tz="Europe/Berlin"), "loyalty")["a"]["months"] == 4
