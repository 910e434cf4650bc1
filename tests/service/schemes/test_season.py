"""season against a naive twin, and worked by hand."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import RequestError
from tests.service.schemes.shop import purchases, request, told

FIRST, LAST = dt.date(2023, 1, 10), dt.date(2024, 6, 15)


def naive_peaks(rows: list[tuple[str, dt.date, int]]) -> list[int]:
    """Revenue a day in each month of the year against that of all days, one by one."""
    days = [FIRST + dt.timedelta(days=i) for i in range((LAST - FIRST).days + 1)]
    total = sum(amount for _, _, amount in rows)
    peaks = []
    for month in range(1, 13):
        own = sum(amount for _, day, amount in rows if day.month == month)
        share = sum(day.month == month for day in days)
        if own / share / (total / len(days)) >= 1.2:
            peaks.append(month)
    return peaks


def naive(rows: list[tuple[str, dt.date, int]], customer: str, peaks: list[int]) -> str:
    own = [(day, amount) for who, day, amount in rows if who == customer]
    if len({day for day, _ in own}) < 3:
        return "unknown"
    share = sum(amount for day, amount in own if day.month in peaks) / sum(amount for _, amount in own)
    if not peaks:
        return "all_year"
    return "peak" if share >= 2 / 3 else "off_peak" if share <= 1 / 3 else "all_year"


ROW = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, (LAST - FIRST).days).map(lambda i: FIRST + dt.timedelta(days=i)),
    st.sampled_from([1, 2, 4, 64]),
)


@settings(max_examples=20)
@given(st.lists(ROW, max_size=20))
def test_classes_are_those_of_the_naive_twin(rows: list[tuple[str, dt.date, int]]) -> None:
    rows = [("z", FIRST, 1), *rows]
    table = pa.table(
        {
            "customer_id": [who for who, _, _ in rows],
            "timestamp": pa.array([day for _, day, _ in rows], pa.date32()),
            "amount": [amount for _, _, amount in rows],
        }
    )
    outcome = request(table, "season")
    peaks = naive_peaks(rows)
    assert outcome.model.schemes is not None
    assert outcome.model.schemes["season"].frozen["peak_months"] == peaks
    for customer, row in told(outcome, "season").items():
        assert row["class"] == naive(rows, customer, peaks)


def _year() -> pa.Table:
    """Two customers from July 2023 to June 2024: toys in December, and tea every month."""
    tea = [("tea", f"{2023 + (month > 12)}-{(month - 1) % 12 + 1:02}-10", 10.0) for month in range(6, 19)]
    toys = [("toys", day, 100.0) for day in ("2023-12-01", "2023-12-12", "2023-11-30")]
    return purchases(*tea, *toys, ("once", "2023-12-05", 5.0))


def test_worked_by_hand() -> None:
    """10 June 2023 to 15 June 2024: only November and December stand out; tea spends 20 of 130 there."""
    outcome = request(_year(), "season")
    assert outcome.model.schemes is not None
    assert outcome.model.schemes["season"].frozen["peak_months"] == [11, 12]
    found = told(outcome, "season")
    assert {customer: row["class"] for customer, row in found.items()} == {
        "tea": "off_peak",
        "toys": "peak",
        "once": "unknown",
    }
    assert found["tea"]["peak_share"] == pytest.approx(20 / 130)


def test_months_of_ones_own() -> None:
    outcome = request(_year(), {"schemes": "season", "season.peak": "12"})
    assert told(outcome, "season")["toys"] == {"class": "peak", "peak_share": pytest.approx(2 / 3)}
    with pytest.raises(RequestError, match="season"):
        request(_year(), {"schemes": "season", "season.peak": "13"})
    with pytest.raises(RequestError, match="11;12"):
        request(_year(), {"schemes": "season", "season.peak": "1.5"})


def test_less_than_a_year_says_nothing() -> None:
    table = purchases(*(("a", f"2024-0{month}-10", 10.0) for month in range(1, 6)))
    outcome = request(table, "season")
    assert told(outcome, "season")["a"] == {"class": "unknown", "peak_share": None}
    assert [notice.message for notice in outcome.summary.warnings if "364 days" in notice.message]


def test_a_shop_without_a_peak_is_told_so() -> None:
    table = purchases(*(("a", f"{2023 + i // 12}-{i % 12 + 1:02}-10", 10.0) for i in range(13)))
    outcome = request(table, {"schemes": "season", "season.index": "11"})
    assert told(outcome, "season")["a"]["class"] == "all_year"
    (warning,) = [notice for notice in outcome.summary.warnings if notice.code == "scheme"]
    assert "season.index" in warning.message
    assert warning.facts == {"scheme": "season", "peak_months": []}


def test_spend_that_came_to_nothing_is_unknown() -> None:
    extra = purchases(*(("zero", f"2023-1{i}-10", amount) for i, amount in enumerate((5.0, 5.0, 5.0))))
    refund = purchases(("zero", "2023-12-11", -15.0))
    table = pa.concat_tables([_year(), extra, refund])
    assert told(request(table, "season"), "season")["zero"] == {"class": "unknown", "peak_share": None}
    assert np.isfinite(table["amount"].to_numpy()).all()
