"""A full service says so at once and names the limit; memory that does not fit is refused; nothing stays taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pytest

from tests.wire.server import ARROW, Server, running, stream_of
from tests.wire.shop import SHOP, UTC_US, post, refused

PATIENCE = 60  # seconds until a test that hangs fails
BUDGET = 180_000_000
IN_USE = ("requests_in_flight", "bulk_places_in_use", "compute_slots_in_use", "memory_reserved_bytes")


@pytest.fixture(scope="module")
def narrow() -> Iterator[Server]:
    """A service with room for little."""
    limits = {"max_requests": 4, "max_bulk_requests": 2, "max_queued_requests": 1, "queue_seconds": 0.2}
    sizes = {"max_body_bytes": 50_000_000, "max_document_bytes": 1_000_000, "memory_budget_bytes": BUDGET}
    with running(threads=2, small_body_bytes=100_000, **limits, **sizes) as service:
        yield service
        service.wait_until(lambda: is_idle(service), PATIENCE)


def is_idle(service: Server) -> bool:
    found = service.metrics()
    return all(found[f"segserve_{name}"] == 0 for name in IN_USE)


def holds(service: Server, n_bytes: int) -> bool:
    """Whether requests hold more than that, and nothing is being done for them."""
    found = service.metrics()
    return found["segserve_memory_reserved_bytes"] > n_bytes and found["segserve_compute_slots_in_use"] == 0


def crowd(n_customers: int) -> bytes:
    numbers = np.arange(n_customers, dtype=np.int64)
    table = pa.table(
        {
            "customer_id": pa.array(numbers * 1_000_003),
            "timestamp": pa.array(1_767_225_600_000_000 + numbers).cast(UTC_US),
            "amount": pa.array((numbers % 997).astype(np.float64)),
        }
    )
    return bytes(stream_of(table, max_rows=65_536))


@contextmanager
def request(service: Server, length: int | None, *more: str, media: str = ARROW) -> Iterator[socket.socket]:
    """A connection on which the head of a request has been sent."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE) as link:
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        lines = ["POST /v1/segment?k=2&n_init=1&occasion=row HTTP/1.1", "Host: x", f"Content-Type: {media}", size]
        link.sendall("\r\n".join([*lines, *more, "", ""]).encode())
        yield link


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


def problem_on(link: socket.socket, status: int) -> dict[str, object]:
    """The problem that comes, without anything being sent for it."""
    with link.makefile("rb") as reply:
        line = reply.readline()
        assert line.split()[1] == str(status).encode(), line
        length = 0
        while (line := reply.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
            assert status != 503 or name.lower() != b"retry-after" or value.strip() == b"1"
        found: dict[str, object] = orjson.loads(reply.read(length))
        return found


def wait_for(service: Server, name: str, value: float) -> None:
    service.wait_until(lambda: service.metrics()[f"segserve_{name}"] == value, PATIENCE)


def rejections(service: Server, reason: str) -> float:
    return service.metrics()[f'segserve_rejections_total{{reason="{reason}"}}']


# Before the first body byte


@pytest.mark.parametrize("expects", [[], ["Expect: 100-continue"]])
@pytest.mark.parametrize(
    ("limit", "length", "media"),
    [("max_body_bytes", 50_000_001, ARROW), ("max_document_bytes", 1_000_001, "application/json")],
)
def test_a_declared_size_is_refused_before_it_is_sent(
    narrow: Server, limit: str, length: int, media: str, expects: list[str]
) -> None:
    with request(narrow, length, *expects, media=media) as link:
        problem = problem_on(link, 413)
    assert (problem["code"], problem["limit"], problem["found"]) == ("limit_exceeded", limit, length)
    assert f"SEGSERVE_{limit.upper()}" in str(problem["detail"])


def test_without_a_place_the_answer_is_at_once(narrow: Server) -> None:
    before = rejections(narrow, "max_requests")
    with request(narrow, 10), request(narrow, 10), request(narrow, 10), request(narrow, 10):
        wait_for(narrow, "requests_in_flight", 4)
        with request(narrow, 1_000_000, "Expect: 100-continue") as link:
            assert problem_on(link, 503)["limit"] == "max_requests"
        with httpx.Client(base_url=narrow.url, timeout=PATIENCE) as client:
            reply = post(client, "segment", SHOP)
            problem = refused(reply, 503, "busy")
            assert (reply.headers["retry-after"], problem["limit"]) == ("1", "max_requests")
            assert client.get("/healthz").status_code == 200
            wait_for(narrow, "requests_in_flight", 4)
    wait_for(narrow, "requests_in_flight", 0)
    assert rejections(narrow, "max_requests") == before + 2


# Lanes


def test_bulk_requests_queue_for_their_places_and_small_ones_pass(narrow: Server) -> None:
    body = crowd(20_000)
    with request(narrow, None) as one, request(narrow, None) as other, request(narrow, None) as third:
        for link in (one, other):
            link.sendall(chunk(body[: len(body) // 2]))
        wait_for(narrow, "bulk_places_in_use", 2)
        with httpx.Client(base_url=narrow.url, timeout=PATIENCE) as client:
            assert post(client, "segment", SHOP.slice(0, 500), k=2, n_init=1).status_code == 200
        third.sendall(chunk(body[: len(body) // 2]))
        problem = problem_on(third, 503)
        assert (problem["code"], problem["limit"], problem["wanted"]) == ("busy", "queue_seconds", 0.2)
        for link in (one, other):
            link.sendall(chunk(body[len(body) // 2 :]) + b"0\r\n\r\n")
            assert link.recv(12) == b"HTTP/1.1 200"
    wait_for(narrow, "bulk_places_in_use", 0)


def test_who_only_connects_takes_no_bulk_place(narrow: Server) -> None:
    with request(narrow, None), request(narrow, None), request(narrow, 200_000):
        wait_for(narrow, "requests_in_flight", 3)
        with httpx.Client(base_url=narrow.url, timeout=PATIENCE) as client:
            assert post(client, "segment", crowd(5_000), k=2, n_init=1, chunked=True).status_code == 200


def test_who_does_not_read_the_reply_takes_no_bulk_place(narrow: Server) -> None:
    body = crowd(100_000)  # as JSON more than what the kernel takes off a sender's hands
    accept = "Accept: application/json"
    with request(narrow, len(body), accept) as one, request(narrow, len(body), accept) as other:
        for link in (one, other):
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.sendall(body)
            assert link.recv(12) == b"HTTP/1.1 200"
        wait_for(narrow, "requests_in_flight", 2)
        wait_for(narrow, "bulk_places_in_use", 0)
        with httpx.Client(base_url=narrow.url, timeout=PATIENCE) as client:
            for _ in range(2):
                assert post(client, "segment", crowd(5_000), k=2, n_init=1, chunked=True).status_code == 200
        wait_for(narrow, "requests_in_flight", 2)
    narrow.wait_until(lambda: is_idle(narrow), PATIENCE)


# Memory


def test_what_would_never_fit_is_too_large(narrow: Server) -> None:
    with httpx.Client(base_url=narrow.url, timeout=PATIENCE) as client:
        problem = refused(post(client, "segment", crowd(1_600_000), occasion="row"), 413, "limit_exceeded")
        assert (problem["limit"], problem["wanted"]) == ("memory_budget_bytes", BUDGET)
        assert problem["found"] > BUDGET
        narrow.wait_until(lambda: is_idle(narrow), PATIENCE)
        assert post(client, "segment", crowd(50_000), k=2, n_init=1, occasion="row").status_code == 200


def test_a_client_that_pauses_is_told_at_once(narrow: Server) -> None:
    """What a worker finds wrong does not wait for the next bytes, or for the deadline of those that do not come."""
    missed = 'segserve_deadlines_missed_total{deadline="read"}'
    before = narrow.metrics()[missed]
    with request(narrow, None) as link:
        link.sendall(chunk(crowd(1_600_000)))  # and no end
        assert problem_on(link, 413)["limit"] == "memory_budget_bytes"
    assert narrow.metrics()[missed] == before


def test_what_others_hold_is_asked_for_again(narrow: Server) -> None:
    before = rejections(narrow, "memory_budget_bytes")
    rows = chunk(crowd(600_000))  # 170 MB are asked for when 524,288 of them are there, for a moment; 14 are held
    with request(narrow, None) as one:
        one.sendall(rows)  # and no end
        narrow.wait_until(lambda: holds(narrow, 14_000_000), PATIENCE)
        with request(narrow, None) as other:
            other.sendall(rows)
            problem = problem_on(other, 503)
        assert (problem["code"], problem["limit"]) == ("busy", "memory_budget_bytes")
        assert narrow.metrics()["segserve_memory_budget_bytes"] == BUDGET
    narrow.wait_until(lambda: is_idle(narrow), PATIENCE)
    assert rejections(narrow, "memory_budget_bytes") == before + 1


def test_chunks_without_end_are_told_so(narrow: Server) -> None:
    with request(narrow, None, media="application/json") as link:
        link.sendall(chunk(b'{"rows":['))
        for _ in range(32):
            link.sendall(chunk(b" " * 65_536))
        assert problem_on(link, 413)["limit"] == "max_document_bytes"


def test_a_declared_length_that_lies_holds_nothing(narrow: Server) -> None:
    with request(narrow, 49_000_000) as link:
        wait_for(narrow, "requests_in_flight", 1)
        assert narrow.metrics()["segserve_memory_reserved_bytes"] < 1_000_000
        link.sendall(b"\xff\xff\xff\xff")
    narrow.wait_until(lambda: is_idle(narrow), PATIENCE)
