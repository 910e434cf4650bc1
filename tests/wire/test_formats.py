"""The same rows as JSON, CSV and Parquet: the same answer, in kind or as asked."""

from __future__ import annotations

import csv
import gzip
import io
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.wire.server import ARROW, Server, table_of
from tests.wire.shop import ROWS, SHOP, model_of, post, refused, rows_of, summary_of, transactions

CHUNKED = pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
NAMES = ("customer_id", "timestamp", "amount")
LINES = [(who, f"{time}Z", amount) for who, time, amount in ROWS]


def as_rows(lines: list[tuple[Any, ...]] = LINES, **more: Any) -> bytes:
    return orjson.dumps({"rows": [dict(zip(NAMES, line, strict=True)) for line in lines], **more})


def as_columns(lines: list[tuple[Any, ...]] = LINES, **more: Any) -> bytes:
    columns = {name: [line[i] for line in lines] for i, name in enumerate(NAMES)}
    return orjson.dumps({"columns": columns, **more})


def as_csv(lines: list[tuple[Any, ...]] = LINES) -> bytes:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows([NAMES, *lines])
    return sink.getvalue().encode()


def csv_rows(reply: httpx.Response) -> list[dict[str, str]]:
    assert reply.status_code == 200, reply.text
    return list(csv.DictReader(io.StringIO(reply.text)))


@pytest.fixture(scope="module")
def expected(client: httpx.Client) -> httpx.Response:
    return post(client, "segment", transactions(), k=3)


# JSON


@CHUNKED
@pytest.mark.parametrize("shape", ["rows", "columns"])
def test_json_answers_in_its_own_shape(
    client: httpx.Client, expected: httpx.Response, shape: str, chunked: bool
) -> None:
    body = as_rows() if shape == "rows" else as_columns()
    reply = post(client, "segment", body, content_type=JSON, k=3, chunked=chunked)
    assert reply.headers["content-type"] == JSON
    document = reply.json()
    assert list(document) == [shape, "summary", "model", "status"]
    assert document["status"] == "complete"
    assert document["model"] == model_of(expected)
    assert document["summary"] == summary_of(expected)
    rows = document["rows"] if shape == "rows" else by_row(document["columns"])
    assert rows == table_of(expected).to_pylist()


def by_row(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("shape", ["rows", "columns"])
def test_json_carries_a_model_to_score_with(client: httpx.Client, expected: httpx.Response, shape: str) -> None:
    model = model_of(expected)
    body = (as_rows if shape == "rows" else as_columns)(model=model)
    reply = post(client, "score", body, content_type=JSON, as_of="2026-03-21T00:00:00Z")
    document = reply.json()
    assert list(document) == [shape, "summary", "status"]
    rows = document["rows"] if shape == "rows" else by_row(document["columns"])
    assert rows == table_of(expected).to_pylist()
    edited = (as_rows if shape == "rows" else as_columns)(model=model | {"scaler": "none"})
    refused(post(client, "score", edited, content_type=JSON, as_of="now"), 422, "model_altered")


def test_a_fit_from_json_is_the_model(client: httpx.Client, expected: httpx.Response) -> None:
    assert post(client, "fit", as_columns(), content_type=JSON, k=3).json() == model_of(expected)


def test_json_ids_keep_their_kind(client: httpx.Client) -> None:
    lines = [(2**63 + i, "2026-01-01", 1.0 + i) for i in range(4)]
    document = post(client, "segment", as_columns(lines), content_type=JSON, k=2).json()
    assert document["columns"]["customer_id"] == [2**63 + i for i in range(4)]
    lines = [(f"00{i}", "2026-01-01", 1.0 + i) for i in range(4)]
    document = post(client, "segment", as_columns(lines), content_type=JSON, k=2).json()
    assert document["columns"]["customer_id"] == ["000", "001", "002", "003"]


@CHUNKED
def test_scoring_no_json_rows_is_a_valid_empty_answer(
    client: httpx.Client, expected: httpx.Response, chunked: bool
) -> None:
    for shape, body in (("columns", as_columns([], model=model_of(expected))), ("rows", as_rows([]))):
        reply = post(client, "score", body, content_type=JSON, as_of="now", chunked=chunked)
        if shape == "rows":  # without rows there are no names either
            assert reply.status_code == 422
            continue
        document = reply.json()
        assert document["status"] == "complete"
        assert set(map(len, document["columns"].values())) == {0}
        assert document["summary"]["counts"]["rows_in"] == 0


@CHUNKED
@pytest.mark.parametrize(
    ("body", "status", "code", "hint"),
    [
        (b"", 400, "truncated_body", "empty"),
        (b"hello there, this is text", 400, "malformed_body", "not JSON"),
        (as_columns()[:-30], 400, "truncated_body", "too early"),
        (b"[1, 2, 3]", 400, "malformed_body", "a list"),
        (b"{}", 400, "malformed_body", "neither"),
        (b'{"data": []}', 400, "malformed_body", "'data'"),
        (b'{"columns": {}, "rows": []}', 400, "malformed_body", "both"),
        (b'{"rows": [1]}', 400, "malformed_body", "Row 1"),
        (b'{"columns": {"customer_id": ["a"], "timestamp": [], "amount": [1]}}', 400, "malformed_body", "length"),
        (as_rows([("a", "yesterday", 1.0)]), 422, "bad_value", "RFC 3339"),
        (as_rows([("a", "2026-01-01", 1.0), ("b", "2026-01-02T10:00:00Z", 1.0)]), 422, "bad_value", "same form"),
        (as_rows([("a", "2026-01-01", 1.0), ("b", "2026-01-01", "12,50")]), 422, "bad_value", "a number"),
        (as_rows([("a", "2026-01-01", 1.0), (2, "2026-01-01", 1.0)]), 422, "wrong_type", "strings"),
        (as_rows([("a", "2026-01-01", 1.0), ("b", "2026-01-01", None)]), 422, "nulls", "amount"),
        (b'{"rows": [{"client": "a", "timestamp": "2026-01-01", "amount": 1}]}', 422, "missing_column", "'client'"),
    ],
    ids=range(15),
)
def test_json_that_cannot_be_used(
    client: httpx.Client, body: bytes, status: int, code: str, hint: str, chunked: bool
) -> None:
    problem = refused(post(client, "segment", body, content_type=JSON, chunked=chunked), status, code)
    assert hint in problem["detail"]
    if code in ("bad_value", "wrong_type"):
        assert problem["column"] in NAMES
        assert problem["row"] == 2 if "yesterday" not in problem["detail"] else 1


# CSV


@CHUNKED
def test_csv_answers_with_rows(client: httpx.Client, expected: httpx.Response, chunked: bool) -> None:
    reply = post(client, "segment", as_csv(), content_type=CSV, k=3, chunked=chunked)
    assert reply.headers["content-type"] == CSV
    rows = csv_rows(reply)
    table = table_of(expected)
    assert list(rows[0]) == table.column_names
    for row, known in zip(rows, table.to_pylist(), strict=True):
        for name, value in known.items():
            if value is None:
                assert row[name] == ""
            elif isinstance(value, float):
                assert float(row[name]) == value
            else:
                assert row[name] == str(value)


@CHUNKED
def test_csv_ids_keep_their_zeros(client: httpx.Client, chunked: bool) -> None:
    ids = ["00123", "0123", "123", "1e3", "1000", "true", " x", "a,b", 'say "hi"', "客户", "NaN", "null", "-"]
    lines = [(who, "2026-01-01", 1.0 + i) for i, who in enumerate(ids)]
    reply = post(client, "segment", as_csv(lines), content_type=CSV, k=3, chunked=chunked)
    assert [row["customer_id"] for row in csv_rows(reply)] == ids
    arrow = post(client, "segment", as_csv(lines), content_type=CSV, k=3, headers={"Accept": ARROW}, chunked=chunked)
    assert table_of(arrow)["customer_id"].to_pylist() == ids
    assert table_of(arrow).schema.field("customer_id").type == pa.string()


def test_csv_as_spreadsheets_save_it(client: httpx.Client) -> None:
    body = b"\xef\xbb\xbf" + as_csv().replace(b"\n", b"\r\n")
    rows = csv_rows(post(client, "segment", body, content_type="text/csv; charset=utf-8", k=3))
    assert [row["customer_id"] for row in rows] == ["ann", "ben", "cem", "dee"]


def test_csv_is_scored_with_a_named_model(stocked: Server) -> None:
    header = b"customer_id,timestamp,amount,order_id\n"
    with httpx.Client(base_url=stocked.url) as client:
        lines = b"00123,2025-06-01T10:00:00Z,25.5,7\n00124,2025-07-01T10:00:00Z,12,8\n"
        rows = csv_rows(post(client, "score", header + lines, content_type=CSV, model="shop", as_of="2026-01-01"))
        assert [row["customer_id"] for row in rows] == ["00123", "00124"]
        assert {row["segment_id"] for row in rows} <= {"0", "1", "2", "3", "4"}
        empty = post(client, "score", header, content_type=CSV, model="shop", as_of="2026-01-01")
        assert csv_rows(empty) == []
        assert empty.text.startswith("customer_id,recency_days,")


def test_nothing_can_be_fitted_on_a_header_alone(client: httpx.Client) -> None:
    for chunked in (False, True):
        reply = post(client, "segment", as_csv([]), content_type=CSV, chunked=chunked)
        refused(reply, 422, "no_customers")


@CHUNKED
@pytest.mark.parametrize(
    ("body", "status", "code", "hint"),
    [
        (b"", 400, "truncated_body", "empty"),
        (b"customer_id;timestamp;amount\na;2026-01-01;1,5\n", 400, "malformed_body", "';'"),
        (b'customer_id,timestamp,amount\n"a,2026-01-01,1\n', 400, "truncated_body", "quoted"),
        (b"customer_id,timestamp,amount\na,2026-01-01\n", 400, "malformed_body", "Row 1"),
        (b"customer_id,timestamp,amount\n\xe9,2026-01-01,1\n", 400, "malformed_body", "UTF-8"),
        (b"client,timestamp,amount\na,2026-01-01,1\n", 422, "missing_column", "'client'"),
        (b"customer_id,timestamp,amount\na,2026-01-01,1\nb,2026-01-01,\n", 422, "nulls", "row 2"),
        (b"customer_id,timestamp,amount\na,2026-01-01,1\nb,01.02.2026,1\n", 422, "bad_value", "2026-01-31"),
        (b'customer_id,timestamp,amount\na,2026-01-01,1\nb,2026-01-01,"1,5"\n', 422, "bad_value", "decimal point"),
        (b"customer_id,timestamp,amount\na,2026-01-01,1\nb,2026-01-01,inf\n", 422, "not_finite", "row 2"),
    ],
    ids=range(10),
)
def test_csv_that_cannot_be_used(
    client: httpx.Client, body: bytes, status: int, code: str, hint: str, chunked: bool
) -> None:
    problem = refused(post(client, "segment", body, content_type=CSV, chunked=chunked), status, code)
    assert hint in problem["detail"]
    if code in ("bad_value", "nulls", "not_finite"):
        assert problem["row"] == 2
        assert problem["column"] in ("timestamp", "amount")


# Parquet, and other answers than in kind


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return sink.getvalue().to_pybytes()


@CHUNKED
def test_parquet_is_answered_as_arrow(client: httpx.Client, chunked: bool) -> None:
    plain = post(client, "segment", SHOP, k=4)
    for options in ({}, {"row_group_size": 500, "compression": "zstd"}):
        reply = post(client, "segment", parquet(SHOP, **options), content_type=PARQUET, k=4, chunked=chunked)
        assert reply.headers["content-type"] == ARROW
        assert reply.content == plain.content


def test_parquet_carries_a_model(client: httpx.Client) -> None:
    fit = post(client, "segment", SHOP, k=4)
    table = SHOP.replace_schema_metadata({b"segserve.model": orjson.dumps(model_of(fit))})
    reply = post(client, "score", parquet(table), content_type=PARQUET, as_of=summary_of(fit)["as_of"])
    assert {who: row["value_score"] for who, row in rows_of(reply).items()} == {
        who: row["value_score"] for who, row in rows_of(fit).items()
    }


@CHUNKED
def test_parquet_that_is_none_or_cut(client: httpx.Client, chunked: bool) -> None:
    whole = parquet(SHOP)
    for body, code in (
        (b"no parquet at all", "malformed_body"),
        (whole[:-20], "truncated_body"),
        (b"PAR1", "truncated_body"),
    ):
        refused(post(client, "segment", body, content_type=PARQUET, chunked=chunked), 400, code)


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("*/*", ARROW),
        ("application/json", JSON),
        ("text/csv", CSV),
        ("text/*", CSV),
        ("application/json;q=0.5, text/csv", CSV),
        ("text/html, application/json;q=0.9, */*;q=0.1", JSON),
    ],
)
def test_the_reply_is_what_was_asked_for(client: httpx.Client, accept: str, found: str) -> None:
    reply = post(client, "segment", SHOP, k=4, headers={"Accept": accept})
    assert reply.headers["content-type"] == found
    names = {"application/json": '"customer_id"', "text/csv": "customer_id,"}
    assert found == ARROW or names[found] in reply.text[:40]


@pytest.mark.parametrize("content_type", [JSON, CSV])
def test_encoded_text_is_read(client: httpx.Client, expected: httpx.Response, content_type: str) -> None:
    body = gzip.compress(as_columns() if content_type == JSON else as_csv())
    headers = {"Content-Encoding": "gzip", "Accept": ARROW}
    for chunked in (False, True):
        reply = post(client, "segment", body, content_type=content_type, headers=headers, k=3, chunked=chunked)
        assert table_of(reply).to_pylist() == table_of(expected).to_pylist()
