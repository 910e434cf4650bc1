"""Small scores over a socket: the first is answered the general way, later ones by what is remembered of their form."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from contextlib import closing
from urllib.parse import urlencode

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pytest

from tests.wire.server import ARROW, Server, stream_of
from tests.wire.shop import UTC_US, post, refused
from tests.wire.test_operations import log_line, samples_of

VARYING = {"server-timing", "x-request-id", "date"}


def people(n: int, first: int = 0) -> pa.Table:
    values = np.arange(first, first + n)
    return pa.table({"customer_id": values, "visits": values % 11 * 1.0, "returns": values % 7 / 10})


def rows(n: int, first: int = 0) -> pa.Table:
    values = np.arange(first, first + n)
    times = pa.array(1_750_000_000_000_000 + values * 10**9).cast(UTC_US)
    return pa.table({"customer_id": values % 10, "timestamp": times, "amount": values + 0.25})


ROWS = {"model": "shop", "as_of": "2025-12-31"}
CASES = {
    "arrow": (ARROW, {"model": "people"}, lambda i: stream_of(people(30 + i % 3, i))),
    "json": ("application/json", {"model": "people", "lang": "zh"}, lambda i: orjson.dumps(_columns(people(30, i)))),
    "transactions": (ARROW, {**ROWS, "occasion": "order"}, lambda i: stream_of(_ordered(rows(60, i)))),
}


def _columns(table: pa.Table) -> dict[str, object]:
    return {"columns": table.to_pydict()}


def _ordered(table: pa.Table) -> pa.Table:
    return table.append_column("order_id", pa.array(np.arange(table.num_rows) // 2))


@pytest.mark.parametrize("case", list(CASES))
def test_later_replies_are_the_first_one_byte_for_byte(stocked: Server, case: str) -> None:
    """Every body as the first of its kind (its columns named otherwise) and as one of many."""
    content_type, options, body_of = CASES[case]
    with httpx.Client(base_url=stocked.url) as client:
        for i in range(8):
            quick = post(client, "score", body_of(i), content_type=content_type, **options)
            # Sent in chunks, without a length, it always goes the general way.
            general = post(client, "score", body_of(i), content_type=content_type, chunked=True, **options)
            assert quick.status_code == 200, quick.text
            assert quick.content == general.content
            assert quick.headers["content-type"] == general.headers["content-type"] == content_type
            names = {name for name in quick.headers if name not in VARYING}
            assert names == {"content-type", "content-length"}


@pytest.mark.parametrize("case", list(CASES))
def test_any_way_a_request_arrives_it_gets_the_same_reply(stocked: Server, case: str) -> None:
    """At once, which is answered below ASGI; in two parts; and in chunks, which goes the general way."""
    content_type, options, body_of = CASES[case]
    lines = f"POST /v1/score?{urlencode(options)} HTTP/1.1\r\nHost: shop\r\nContent-Type: {content_type}\r\n"
    with closing(http.client.HTTPConnection("127.0.0.1", stocked.port, timeout=60)) as link:
        link.connect()
        for i in range(6):
            body = body_of(i)
            whole = f"{lines}Content-Length: {len(body)}\r\nX-Request-ID: {case}-{i}\r\n\r\n".encode()
            chunked = f"{lines}Transfer-Encoding: chunked\r\nX-Request-ID: {case}-{i}\r\n\r\n".encode()
            ways = [(whole + body,), (whole, body), (chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),)]
            replies = [_told(link, parts) for parts in ways]
            assert replies[0] == replies[1] == replies[2]
            assert replies[0][0] == 200


def _told(link: http.client.HTTPConnection, parts: Iterable[bytes]) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers but those of time, and body of the reply to what is sent in these parts."""
    for part in parts:
        link.sock.sendall(part)
    reply = http.client.HTTPResponse(link.sock, method="POST")
    reply.begin()
    told = reply.status, [header for header in reply.getheaders() if header[0] not in ("date", "server-timing")]
    return *told, reply.read()


def test_what_is_told_of_a_quick_answer(stocked: Server) -> None:
    body = stream_of(people(40))
    with httpx.Client(base_url=stocked.url) as client:
        for i in range(4):
            before = samples_of(client)
            reply = post(client, "score", body, headers={"X-Request-ID": f'quick "{i}\\'}, model="people")
            after = samples_of(client)
            assert reply.headers["x-request-id"] == f'quick "{i}\\'
            timed = dict(part.split(";dur=") for part in reply.headers["server-timing"].split(", "))
            assert list(timed) == ["receive", "decode", "aggregate", "compute", "encode", "total"]
            line = log_line(stocked, f'quick "{i}\\')
            assert (line["outcome"], line["status"], line["endpoint"]) == ("ok", 200, "score")
            assert (line["rows_in"], line["customers_out"]) == (40, 40)
            assert (line["received_bytes"], line["sent_bytes"]) == (len(body), len(reply.content))
            assert line["total_seconds"] >= line["compute_seconds"] >= 0
            for name in ("rows_total", "customers_total"):
                key = (f"segserve_{name}", "score")
                assert after[key] - before[key] == 40
            for stage in timed:
                key = ("segserve_stage_seconds_count", "score", stage)
                assert after[key] - before[key] == 1


def test_a_refusal_comes_between_quick_answers(stocked: Server) -> None:
    table = people(20)
    twice = table.set_column(0, "customer_id", pa.array(np.arange(20) // 2))
    with httpx.Client(base_url=stocked.url) as client:
        for _ in range(4):
            assert post(client, "score", table, model="people").status_code == 200
            problem = refused(post(client, "score", twice, model="people"), 422, "duplicate_customer")
            assert problem["row"] == 2
            refused(post(client, "score", stream_of(table)[:-60], model="people"), 400, "truncated_body")
