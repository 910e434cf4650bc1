"""Real transactions for the tests, taken out of the packages that the demo fetches; kept in the demo's folder."""

from __future__ import annotations

import datetime as dt
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest

from kernels.warmup import warm_up
from loadtests.datasets import FOLDER, fetch

ROOT = Path(__file__).resolve().parents[2]


def _fetched(name: str) -> Path:
    try:
        return fetch(name, ROOT / FOLDER, say=lambda text: None)
    except SystemExit as error:
        if os.environ.get("CI"):
            raise AssertionError(str(error)) from None
        pytest.skip(str(error))


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    warm_up()


@pytest.fixture(scope="session")
def cdnow() -> pa.Table:
    """69,659 purchases of 23,570 customers: customer_id, timestamp (date32), amount."""
    table = pq.read_table(_fetched("cdnow"), columns=["customer_id", "date", "dollar_value"])
    return table.rename_columns(["customer_id", "timestamp", "amount"])


@pytest.fixture(scope="session")
def cdnow_wheel() -> zipfile.ZipFile:
    _fetched("cdnow")
    return zipfile.ZipFile(next((ROOT / FOLDER).glob("[Ll]ifetimes-*.whl")))


@pytest.fixture(scope="session")
def cdnow_sample(cdnow_wheel: zipfile.ZipFile) -> pa.Table:
    """The published one-in-ten sample: 6,919 purchases of 2,357 customers, by their number in the sample."""
    lines = cdnow_wheel.read("lifetimes/datasets/CDNOW_sample.txt").decode("ascii").splitlines()
    rows = [line.split() for line in lines if line.strip()]
    return pa.table(
        {
            "customer_id": pa.array([int(row[1]) for row in rows], pa.int32()),
            "timestamp": pa.array([dt.date(int(r[2][:4]), int(r[2][4:6]), int(r[2][6:])) for r in rows], pa.date32()),
            "amount": pa.array([float(row[4]) for row in rows]),
        }
    )


@pytest.fixture(scope="session")
def cdnow_published(cdnow_wheel: zipfile.ZipFile) -> pa.Table:
    """The summary that others printed of the sample: ID, frequency (x), recency (t_x) and T in weeks, two decimals."""
    with cdnow_wheel.open("lifetimes/datasets/cdnow_customers_summary.csv") as stream:
        return pc_csv.read_csv(pa.BufferReader(stream.read()))


@pytest.fixture(scope="session")
def complete_journey() -> pa.Table:
    """1,469,307 receipt lines of 2,469 households: customer_id, timestamp, amount, order_id."""
    names = {
        "household_id": "customer_id",
        "transaction_timestamp": "timestamp",
        "sales_value": "amount",
        "basket_id": "order_id",
    }
    table = pq.read_table(_fetched("completejourney"), columns=list(names))
    return table.rename_columns(list(names.values()))
