"""The reply of /v1/segment, read by clients that no one here wrote; Arrow JS also posts a stream of its own.

Each takes the closing batch without rows as harmless, and finds the same rows. The figures are worked out again here,
in plain Python.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import httpx
import nanoarrow
import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from nanoarrow.ipc import InputStream

from tests.wire.server import ARROW, Server, stream_of
from tests.wire.shop import shop

AS_OF = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
QUERY = f"/v1/segment?k=5&as_of={AS_OF:%Y-%m-%dT%H:%M:%SZ}"
NAMES = [
    *("customer_id", "recency_days", "frequency", "monetary", "value_score", "value_percentile"),
    *("segment_id", "segment", "rfm_class"),
]
NODE = Path(__file__).with_name("node")
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def sent() -> pa.Table:
    """Enough customers for two batches and the closing one."""
    return shop(70_000, 90_000)


@pytest.fixture(scope="module")
def expected(sent: pa.Table) -> dict[str, tuple[float, int, float]]:
    """(recency_days, frequency, monetary) of every customer with a purchase."""
    times: dict[str, set[dt.datetime]] = {}
    money: dict[str, float] = {}
    for customer, time, amount in zip(*(column.to_pylist() for column in sent.columns[:3]), strict=True):
        money[customer] = money.get(customer, 0.0) + amount
        if amount >= 0:
            times.setdefault(customer, set()).add(time)
    return {c: ((AS_OF - max(at)) / dt.timedelta(days=1), len(at), money[c]) for c, at in times.items()}


@pytest.fixture(scope="module")
def reply(client: httpx.Client, sent: pa.Table) -> bytes:
    """The Arrow stream."""
    answer = client.post(QUERY, content=stream_of(sent), headers={"Content-Type": ARROW})
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.fixture(scope="module")
def read(reply: bytes) -> Rows:
    """The rows as pyarrow reads them."""
    return pa.ipc.open_stream(reply).read_all().to_pylist()


def same(rows: Rows, wanted: Rows) -> None:
    """The same rows, where null may also be NaN."""
    assert len(rows) == len(wanted)
    assert [_clean(row) for row in rows] == wanted


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}


def test_pyarrow(reply: bytes, read: Rows, expected: dict[str, tuple[float, int, float]]) -> None:
    table = pa.ipc.open_stream(reply).read_all()
    table.validate(full=True)
    assert table.column_names == NAMES
    bought = [row for row in read if row["segment_id"] >= 0]
    assert {row["customer_id"] for row in bought} == set(expected)
    for row in bought:
        recency, frequency, monetary = expected[row["customer_id"]]
        assert row["frequency"] == frequency
        assert row["recency_days"] == pytest.approx(recency, abs=1e-9)
        assert row["monetary"] == pytest.approx(monetary, rel=1e-12, abs=1e-9)
    refunds_only = [row for row in read if row["segment_id"] == -1]
    assert refunds_only
    assert all(row["frequency"] == 0 and row["segment"] is None for row in refunds_only)


def test_pyarrow_sees_the_closing_batch(reply: bytes, read: Rows) -> None:
    reader = pa.ipc.open_stream(reply)
    batches = [reader.read_next_batch_with_custom_metadata() for _ in range(3)]
    with pytest.raises(StopIteration):
        reader.read_next_batch()
    assert [batch.batch.num_rows for batch in batches] == [65_536, len(read) - 65_536, 0]
    assert batches[-1].custom_metadata[b"status"] == b"complete"
    assert batches[-1].custom_metadata[b"customers_out"] == str(len(read)).encode()


def test_polars(reply: bytes, read: Rows) -> None:
    frame = pl.read_ipc_stream(reply)
    assert frame.columns == NAMES
    same(frame.to_dicts(), read)


def test_nanoarrow(reply: bytes, read: Rows) -> None:
    with InputStream.from_readable(reply) as source:
        stream = nanoarrow.ArrayStream(source)
        sizes = [len(array) for array in stream]
    assert sizes == [65_536, len(read) - 65_536, 0]


def test_duckdb_through_nanoarrow(reply: bytes, read: Rows) -> None:
    """DuckDB takes any Arrow stream through the C interface; pyarrow has no part in this one."""
    with InputStream.from_readable(reply) as source, duckdb.connect() as database:
        database.register("reply", nanoarrow.ArrayStream(source).read_all())
        relation = database.sql("from reply")
        assert relation.columns == NAMES
        rows = relation.fetchall()
    same([dict(zip(NAMES, row, strict=True)) for row in rows], read)


def test_duckdb_through_pyarrow(reply: bytes, read: Rows) -> None:
    with duckdb.connect() as database:
        database.register("reply", pa.ipc.open_stream(reply))
        found = database.sql(
            "select segment_id, any_value(segment::varchar), count(*), sum(frequency) from reply group by 1 order by 1"
        ).fetchall()
    for segment_id, segment, n, frequency in found:
        members = [row for row in read if row["segment_id"] == segment_id]
        assert {row["segment"] for row in members} == {segment}
        assert (n, frequency) == (len(members), sum(row["frequency"] for row in members))
    assert sum(n for _, _, n, _ in found) == len(read)


def test_pandas_from_arrow(reply: bytes, read: Rows) -> None:
    frame = pd.DataFrame.from_arrow(pa.ipc.open_stream(reply))
    assert list(frame.columns) == NAMES
    assert frame["frequency"].dtype == "int64"
    assert isinstance(frame["segment"].dtype, pd.CategoricalDtype)
    same(frame.to_dict("records"), read)


@pytest.fixture(scope="module")
def posted(tmp_path_factory: pytest.TempPathFactory, sent: pa.Table) -> Path:
    """The request as a file, for programs that read files."""
    path = tmp_path_factory.mktemp("posted") / "request.arrows"
    path.write_bytes(stream_of(sent))
    return path


def curl(server: Server, posted: Path, accept: str) -> bytes:
    program = shutil.which("curl")
    assert program, "install curl: it is one of the clients that the service is held to"
    headers = ["-H", f"Content-Type: {ARROW}", "-H", f"Accept: {accept}"]
    command = [program, "--fail-with-body", "-sS", server.url + QUERY, *headers, "--data-binary", f"@{posted}"]
    run = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr + run.stdout
    return run.stdout


def test_curl_gets_csv_and_pandas_reads_it(server: Server, posted: Path, read: Rows) -> None:
    frame = pd.read_csv(io.BytesIO(curl(server, posted, "text/csv")))
    assert list(frame.columns) == NAMES
    same([{**row, "rfm_class": _text(row["rfm_class"])} for row in _records(frame)], read)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _records(frame: pd.DataFrame) -> Rows:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def test_curl_gets_json_and_pandas_reads_it(server: Server, posted: Path, read: Rows) -> None:
    document = orjson.loads(curl(server, posted, "application/json"))
    assert document["status"] == "complete"
    assert document["summary"]["counts"]["customers_out"] == len(read)
    assert document["model"]["id"] == document["summary"]["model_id"]
    same(document["rows"], read)
    same(_records(pd.DataFrame(document["rows"])), read)


# Arrow's JavaScript package


@pytest.fixture(scope="module")
def node() -> Path:
    """Node with apache-arrow beside the script, installed from its lock file once."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        pytest.skip("Node and npm are not here; this is the one client that may be missing")
    installed, lock = NODE / "node_modules" / ".package-lock.json", NODE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        environment = {**os.environ, "NO_COLOR": "1"}
        run = subprocess.run([npm, "ci"], cwd=NODE, env=environment, capture_output=True, timeout=300, check=False)
        assert run.returncode == 0, f"npm ci in {NODE}: {run.stderr.decode()}"
        installed.touch()
    return Path(program)


@pytest.fixture(scope="module")
def javascript(node: Path, server: Server) -> dict[str, Any]:
    """What the script saw."""
    command = [str(node), str(NODE / "client.mjs"), server.url]
    run = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr.decode()
    seen: dict[str, Any] = json.loads(run.stdout)
    return seen


def test_javascript_posts_a_stream_and_reads_the_rows(javascript: dict[str, Any]) -> None:
    assert javascript["batches"] == [3, 3]
    assert javascript["id_type"] == "Dictionary<Int32, Utf8>"
    assert javascript["types"]["customer_id"] == "Utf8"
    assert javascript["types"]["segment"] == "Dictionary<Int16, Utf8>"
    rows = {row["customer_id"]: row for row in javascript["rows"]}
    assert list(rows) == ["ann", "ben", "客户七", "dee"]
    assert [list(row) for row in rows.values()] == [NAMES] * 4
    end = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    for customer, row in rows.items():
        mine = [(dt.datetime.fromisoformat(at), amount) for who, at, amount in javascript["sent"] if who == customer]
        purchases = [at for at, amount in mine if amount >= 0]
        assert row["frequency"] == len(purchases)
        assert row["monetary"] == pytest.approx(sum(amount for _, amount in mine), rel=1e-12)
        assert row["recency_days"] == pytest.approx((end - max(purchases)) / dt.timedelta(days=1), abs=1e-9)
        assert row["segment"] == javascript["summary"]["segments"][row["segment_id"]]["code"]


def test_javascript_tells_a_whole_stream_from_a_cut_one(javascript: dict[str, Any]) -> None:
    assert javascript["streamed"] == [[4, {}], [0, {"status": "complete", "rows_in": "6", "customers_out": "4"}]]


def test_javascript_checks_the_model_and_scores_with_it(javascript: dict[str, Any]) -> None:
    assert javascript["intact"]
    scored = javascript["scored"]
    assert scored["summary"]["model_id"] == javascript["summary"]["model_id"]
    before = {row["customer_id"]: row for row in javascript["rows"]}
    by_id = {row["customer_id"]: row for row in scored["rows"]}
    assert list(by_id) == ["ann", "ben"]
    assert by_id["ben"] == before["ben"]
    assert by_id["ann"]["monetary"] == 200


def test_the_lock_names_no_registry() -> None:
    assert "http" not in (NODE / "package-lock.json").read_text()
