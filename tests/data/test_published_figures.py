"""Figures that others printed of real transactions: BTYD's and lifetimes' of CDNOW, completejourney's of its year."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.data.jobs import rows, run

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

CALIBRATION = {
    "as_of": "1997-09-30",
    "occasion": "day",
    "fields": "customer_id,frequency,tenure_days,first_at,last_at",
}


@pytest.fixture(scope="module")
def calibrated(cdnow_sample: pa.Table) -> pa.Table:
    """x, t_x and T of every sampled customer, from our columns: a week is 7 days, the first day is no repeat."""
    table = rows(run(cdnow_sample, **CALIBRATION)).sort_by("customer_id")
    first, last = (table[name].cast(pa.int32()).to_numpy() for name in ("first_at", "last_at"))
    return pa.table(
        {
            "id": table["customer_id"],
            "x": table["frequency"].to_numpy() - 1,
            "t_x": (last - first) / 7,
            "T": table["tenure_days"].to_numpy() / 7,
        }
    )


def test_cdnow_equals_what_lifetimes_ships(calibrated: pa.Table, cdnow_published: pa.Table) -> None:
    assert calibrated.num_rows == cdnow_published.num_rows == 2_357
    assert calibrated["id"].to_pylist() == cdnow_published["ID"].to_pylist()
    assert calibrated["x"].to_pylist() == cdnow_published["frequency"].to_pylist()
    for ours, theirs in (("t_x", "recency"), ("T", "T")):
        # two printed decimals: half a unit of the last place, and the float's own error
        assert np.abs(calibrated[ours].to_numpy() - cdnow_published[theirs].to_numpy()).max() <= 0.005 + 1e-9


def test_cdnow_equals_what_btyd_computes(calibrated: pa.Table) -> None:
    path = SHARED / "cdnow_cbs_published.parquet"
    if not path.exists():
        pytest.skip("BTYD's exact figures are not part of the project")
    theirs = pq.read_table(path).sort_by("sample_id")
    assert calibrated["x"].to_pylist() == theirs["btyd_x"].to_pylist()
    np.testing.assert_allclose(calibrated["t_x"], theirs["btyd_t_x"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(calibrated["T"], theirs["btyd_T_cal"], rtol=1e-12, atol=1e-12)


def test_complete_journey_has_the_published_households_baskets_and_sales(complete_journey: pa.Table) -> None:
    outcome = run(complete_journey, threads=2)
    table = rows(outcome)
    assert outcome.rows_in == 1_469_307
    assert table.num_rows == 2_469
    assert pc.sum(table["frequency"]).as_py() == 155_848
    assert round(pc.sum(table["monetary"]).as_py(), 2) == 4_596_039.58


def test_complete_journey_in_decimals_is_exact(complete_journey: pa.Table) -> None:
    cents = complete_journey["amount"].cast(pa.decimal128(12, 2), safe=False)
    exact = complete_journey.set_column(2, "amount", cents)
    table = rows(run(exact, threads=2))
    assert table["monetary"].type == pa.decimal128(38, 2)
    assert sum(table["monetary"].to_pylist()) == Decimal("4596039.58")
