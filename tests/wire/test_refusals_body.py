"""Bodies that cannot be read, and requests that are none: each gets its own clear answer."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.wire.server import ARROW, stream_of, table_of
from tests.wire.shop import ROWS, post, refused, rows_of, transactions

ENDPOINTS = ("segment", "fit", "score")
CHUNKED = pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])


def file_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def parquet_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


@CHUNKED
@pytest.mark.parametrize(
    ("body", "guess"),
    [
        (b"hello, this is no Arrow at all", "not an Arrow"),
        (b'{"rows": []}            ', "JSON"),
        (b"customer_id,timestamp,amount\n1,2026-01-01,3\n", "CSV"),
        (gzip.compress(b"anything at all"), "gzip"),
        (zstandard.compress(b"anything at all" * 9), "zstd"),
        (parquet_of(transactions()), "Parquet"),
        (file_of(transactions()), "file format"),
        (b"PK\x03\x04 what Excel saves as xlsx", "Excel"),
        (b"\0" * 64, "not an Arrow"),
    ],
    ids=["text", "json", "csv", "gzip", "zstd", "parquet", "file", "zip", "zeros"],
)
def test_what_is_not_arrow_says_what_it_looks_like(
    client: httpx.Client, body: bytes, guess: str, chunked: bool
) -> None:
    problem = refused(post(client, "segment", body, chunked=chunked), 400, "malformed_body")
    assert guess in problem["detail"]


@CHUNKED
@pytest.mark.parametrize("endpoint", ["segment", "fit"])
def test_an_empty_body_says_so(client: httpx.Client, endpoint: str, chunked: bool) -> None:
    problem = refused(post(client, endpoint, b"", chunked=chunked), 400, "truncated_body")
    assert "empty" in problem["detail"]


BODY = stream_of(transactions(ROWS * 20), max_rows=40)


@CHUNKED
@pytest.mark.parametrize("cut", [2, 7, 100, 500, len(BODY) // 3, len(BODY) // 2, len(BODY) - 200])
def test_a_truncated_stream_says_that_it_ends_too_early(client: httpx.Client, cut: int, chunked: bool) -> None:
    problem = refused(post(client, "segment", BODY[:cut], chunked=chunked), 400, "truncated_body")
    assert "ends" in problem["detail"]
    assert "Send the whole stream" in problem["detail"]


@CHUNKED
def test_bytes_after_the_end_are_refused(client: httpx.Client, chunked: bool) -> None:
    problem = refused(post(client, "segment", BODY + BODY, chunked=chunked), 400, "malformed_body")
    assert "send one stream" in problem["detail"]


@CHUNKED
def test_a_damaged_text_offset_is_refused_and_the_service_lives(client: httpx.Client, chunked: bool) -> None:
    table = transactions([(f"customer {i}", "2026-01-01", 1.0) for i in range(50)])
    offsets = table.column("customer_id").chunk(0).buffers()[1].to_pybytes()[: 51 * 4]
    bad = offsets[:-4] + (2**30).to_bytes(4, "little")
    body = stream_of(table)
    assert offsets in body
    problem = refused(post(client, "segment", body.replace(offsets, bad), chunked=chunked), 400, "malformed_body")
    assert "damaged" in problem["detail"]
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("content_type", "remedy"),
    [
        ("text/html", "text/csv"),
        ("application/x-www-form-urlencoded", "name the type"),
        ("multipart/form-data; boundary=x", "not a form"),
        ("application/vnd.apache.arrow.file", "stream format"),
        ("application/vnd.ms-excel", "CSV"),
        ("text/csv; charset=gbk", "utf-8"),
        (None, "no Content-Type"),
    ],
)
def test_a_wrong_media_type_lists_the_right_ones(
    client: httpx.Client, endpoint: str, content_type: str | None, remedy: str
) -> None:
    problem = refused(post(client, endpoint, transactions(), content_type=content_type), 415, "unsupported_media_type")
    assert remedy in problem["detail"]
    assert problem["wanted"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method_says_which_is_right(client: httpx.Client, endpoint: str, method: str) -> None:
    reply = client.request(method, f"/v1/{endpoint}")
    problem = refused(reply, 405, "method_not_allowed")
    assert problem["found"] == method
    assert problem["wanted"] == ["POST"]
    assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/", "/v1/segments", "/v2/segment", "/v1/segment/x"])
def test_an_unknown_address_says_where_the_addresses_are(client: httpx.Client, path: str) -> None:
    problem = refused(client.post(path), 404, "not_found")
    assert problem["found"] == path
    assert "/docs" in problem["detail"]


@pytest.mark.parametrize(
    ("endpoint", "accept"),
    [("segment", "text/html"), ("score", "application/xml"), ("fit", ARROW), ("fit", "text/csv")],
)
def test_an_accept_that_cannot_be_met_lists_what_can(client: httpx.Client, endpoint: str, accept: str) -> None:
    reply = post(client, endpoint, transactions(), headers={"Accept": accept})
    problem = refused(reply, 406, "not_acceptable")
    assert problem["found"] == accept
    assert "application/json" in problem["wanted"]


@CHUNKED
@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)], ids=["gzip", "zstd"]
)
def test_an_encoded_body_is_read(client: httpx.Client, encoding: str, compress: Any, chunked: bool) -> None:
    plain = post(client, "segment", BODY, k=3)
    reply = post(client, "segment", compress(BODY), headers={"Content-Encoding": encoding}, chunked=chunked, k=3)
    assert table_of(reply).equals(table_of(plain))
    assert rows_of(reply)["ann"]["monetary"] == 175.5 * 20


@CHUNKED
@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)], ids=["gzip", "zstd"]
)
def test_an_encoded_body_that_is_cut_or_is_none(
    client: httpx.Client, encoding: str, compress: Any, chunked: bool
) -> None:
    headers = {"Content-Encoding": encoding}
    cut = post(client, "segment", compress(BODY)[:-30], headers=headers, chunked=chunked)
    assert encoding in refused(cut, 400, "truncated_body")["detail"]
    other = post(client, "segment", BODY, headers=headers, chunked=chunked)
    assert encoding in refused(other, 400, "malformed_body")["detail"]


def test_an_unknown_content_encoding_lists_the_known_ones(client: httpx.Client) -> None:
    reply = post(client, "segment", BODY, headers={"Content-Encoding": "br"})
    problem = refused(reply, 415, "unsupported_media_type")
    assert problem["found"] == "br"
    assert problem["wanted"] == ["gzip", "zstd", "identity"]


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@CHUNKED
def test_compressed_arrow_buffers_are_read(client: httpx.Client, codec: str, chunked: bool) -> None:
    table = transactions(ROWS * 50)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    reply = post(client, "segment", sink.getvalue().to_pybytes(), chunked=chunked, k=3)
    assert rows_of(reply)["ann"]["monetary"] == 175.5 * 50
