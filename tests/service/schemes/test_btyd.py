"""btyd against a naive twin, worked by hand, and against the figures that others published of CDNOW."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.schemes.shop import purchases, request, told

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def naive(bought: list[tuple[int, float]], as_of_day: int) -> tuple[int, float, float, float]:
    """x, t_x, T, mean spend of purchases (day, amount), as the papers define them."""
    days = sorted({day for day, _ in bought})
    x = len(days) - 1
    by_day = {day: sum(amount for other, amount in bought if other == day) for day in days[1:]}
    return x, (days[-1] - days[0]) / 7, (as_of_day - days[0]) / 7, sum(by_day.values()) / x if x else 0.0


PURCHASES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9).map(float)), min_size=1, max_size=9)


@given(st.lists(PURCHASES, min_size=1, max_size=4), st.integers(0, 20))
def test_figures_are_those_of_the_naive_twin(customers: list[list[tuple[int, float]]], later: int) -> None:
    start = dt.date(2024, 1, 1)
    as_of = max(day for bought in customers for day, _ in bought) + later
    rows = [(f"c{i}", day, amount) for i, bought in enumerate(customers) for day, amount in bought]
    table = pa.table(
        {
            "customer_id": [customer for customer, _, _ in rows],
            "timestamp": pa.array([start + dt.timedelta(days=day) for _, day, _ in rows], pa.date32()),
            "amount": [amount for _, _, amount in rows],
        }
    )
    found = told(request(table, "btyd", as_of=str(start + dt.timedelta(days=as_of))), "btyd")
    for i, bought in enumerate(customers):
        assert tuple(found[f"c{i}"].values()) == pytest.approx(naive(bought, as_of), rel=1e-12)


def test_worked_by_hand() -> None:
    """a: 3 days, two purchases on the first and on the last; b: one day; c only gave back."""
    table = purchases(
        *(("a", "2024-01-01", 10), ("a", "2024-01-15T09:00", 4), ("a", "2024-01-01T20:00", 5)),
        *(("a", "2024-01-29", 7), ("a", "2024-01-29T10:00", 9), ("a", "2024-02-01", -3)),
        *(("b", "2024-06-08", 5), ("c", "2024-01-02", -1)),
    )
    outcome = request(table, "btyd")
    assert told(outcome, "btyd") == {
        "a": {"x": 2, "t_x_weeks": 4.0, "t_weeks": 166 / 7, "mean_repeat_spend": 10.0},
        "b": {"x": 0, "t_x_weeks": 0.0, "t_weeks": 1.0, "mean_repeat_spend": 0.0},
        "c": {"x": None, "t_x_weeks": None, "t_weeks": None, "mean_repeat_spend": None},
    }
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["btyd"].unknown == 1
    assert outcome.summary.schemes["btyd"].figures == {
        "customers": 2,
        "customers_that_came_back": 1,
        "share_that_came_back": 0.5,
        "repeat_days": 2,
    }


def test_cdnow_equals_what_btyd_computes() -> None:
    published = SHARED / "cdnow_cbs_published.parquet"
    if not published.exists():
        pytest.skip("BTYD's exact figures are not part of the project")
    theirs = pq.read_table(published).sort_by("sample_id")
    rows = pq.read_table(SHARED / "cdnow_transactions.parquet")
    sample = rows.filter(rows["sample_id"].is_valid()).select(["sample_id", "date", "amount"])
    table = sample.rename_columns(["customer_id", "timestamp", "amount"])
    found = told(request(table, "btyd", as_of="1997-09-30"), "btyd")
    ours = [found[customer] for customer in theirs["sample_id"].to_pylist()]
    assert len(ours) == len(found) == 2_357
    assert [row["x"] for row in ours] == theirs["btyd_x"].to_pylist() == theirs["x"].to_pylist()
    names = {"t_x_weeks": "btyd_t_x", "t_weeks": "btyd_T_cal", "mean_repeat_spend": "btyd_m_x"}
    printed = {"t_x_weeks": "t_x_2dp", "t_weeks": "T_2dp", "mean_repeat_spend": "zbar_2dp"}
    for name in names:
        figures = np.array([row[name] for row in ours])
        np.testing.assert_allclose(figures, theirs[names[name]], rtol=1e-9, atol=1e-9)
        # two printed decimals: half a unit of the last place, and the float's own error
        assert np.abs(figures - theirs[printed[name]].to_numpy()).max() <= 0.005 + 1e-9
