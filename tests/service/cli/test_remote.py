"""What the command line makes of a server's answers: whole, cut, refused, absent."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pyarrow as pa
import pytest

from proto.model import dump_model
from service.cli.failures import UserError
from service.cli.remote import fetch_model, run_remote
from tests.service.cli.samples import model, summary

SCHEMA = pa.schema([("customer_id", pa.int64()), ("amount", pa.float64())])
BATCHES = [pa.record_batch({"customer_id": [1, 2], "amount": [1.0, 2.0]}, SCHEMA)] * 3
REPLY = pa.schema([("customer_id", pa.int64()), ("segment_id", pa.int32())])


def reply_stream(*, marked=True, rows=(2, 1), cut=0, status=b"complete"):
    """A reply as the service sends it; `cut` bytes are missing at its end."""
    out = summary(counts={"rows_in": 6, "rows_used": 6, "customers_out": 3})
    notes = {b"segserve.summary": out.model_dump_json(), b"segserve.model": dump_model(model())}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, REPLY.with_metadata(notes)) as writer:
        for n in rows:
            columns = [pa.array(range(n), pa.int64()), pa.array([0] * n, pa.int32())]
            writer.write_batch(pa.record_batch(columns, REPLY))
        if marked:
            empty = pa.record_batch([pa.array([], kind) for kind in REPLY.types], REPLY)
            marker = {b"status": status, b"rows_in": b"6", b"customers_out": str(sum(rows)).encode()}
            writer.write_batch(empty, custom_metadata=pa.KeyValueMetadata(marker))
    data = sink.getvalue().to_pybytes()
    return data[: len(data) - cut]


@contextmanager
def answering(
    status, body, content_type="application/vnd.apache.arrow.stream", headers=()
) -> Iterator[tuple[str, list]]:
    """A server with one answer to everything, and what it was sent."""
    heard = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            heard.append((self.path, dict(self.headers), data))
            self.answer()

        def do_GET(self):
            heard.append((self.path, dict(self.headers), b""))
            self.answer()

        def answer(self):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(url, kind="segment", query=None, model=None):
    with run_remote(url, kind, SCHEMA, iter(BATCHES), query or {}, model) as result:
        return result, list(result.batches)


def test_batches_go_up_in_chunks_and_rows_come_down():
    with answering(200, reply_stream()) as (url, heard):
        result, batches = ask(url, query={"k": "4", "columns": "amount:sales"}, model=b"{}")
    path, headers, body = heard[0]
    assert path == "/v1/segment?k=4&columns=amount%3Asales"
    assert headers["Transfer-Encoding"] == "chunked"
    assert headers["Content-Type"] == "application/vnd.apache.arrow.stream"
    sent = pa.ipc.open_stream(body)
    assert sent.schema.metadata == {b"segserve.model": b"{}"}
    assert sent.read_all().num_rows == 6
    assert [batch.num_rows for batch in batches] == [2, 1]
    assert result.model.id == model().id
    assert (result.rows_in, result.customers_out) == (6, 3)


def test_a_fit_answers_with_its_model():
    with answering(200, dump_model(model()), "application/json") as (url, heard):
        result, batches = ask(url, "fit")
    assert heard[0][1]["Accept"] == "application/json"
    assert result.model.id == model().id
    assert result.summary.model_id == model().id
    assert batches == []


@pytest.mark.parametrize(
    "body",
    [
        reply_stream(marked=False),
        reply_stream(status=b"failed"),
        reply_stream(cut=9),
        reply_stream(cut=300),
        reply_stream()[:100],
        b"",
        b"hello",
    ],
)
def test_a_cut_reply_is_told_from_a_whole_one(body):
    with answering(200, body) as (url, _), pytest.raises(UserError) as caught:
        ask(url)
    assert caught.value.title == "The reply was cut"


def test_a_problem_is_shown_in_its_own_words():
    problem = {
        "title": "A column is missing",
        "detail": "There is no column 'x'.",
        "code": "missing_column",
        "request_id": "r1",
    }
    with (
        answering(422, orjson.dumps(problem), "application/problem+json") as (url, _),
        pytest.raises(UserError) as caught,
    ):
        ask(url)
    assert (caught.value.title, caught.value.detail) == ("A column is missing", "There is no column 'x'.")
    assert caught.value.hints == ("code: missing_column", "request_id: r1")


def test_a_busy_server_says_when_to_come_back():
    problem = orjson.dumps({"title": "Busy", "detail": "Try again."})
    with answering(503, problem, headers=[("Retry-After", "2")]) as (url, _), pytest.raises(UserError) as caught:
        ask(url)
    assert "try again in 2 s" in caught.value.hints


def test_an_answer_that_is_no_problem_document_is_shown_as_it_is():
    with answering(502, b"<h1>Bad gateway</h1>", "text/html") as (url, _), pytest.raises(UserError) as caught:
        ask(url)
    assert "502" in caught.value.title
    assert "Bad gateway" in caught.value.detail


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "127.0.0.1:9", "ftp://127.0.0.1", "http://["])
def test_no_server_is_said(url):
    with pytest.raises(UserError):
        ask(url)


def test_a_model_is_fetched_by_its_name():
    with answering(200, dump_model(model()), "application/json") as (url, heard):
        assert fetch_model(url, "shop").id == model().id
    assert heard[0][0] == "/v1/models/shop"
