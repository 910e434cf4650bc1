"""Slow clients are ended at their deadlines, each with an answer where one can be sent, and leave nothing behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import orjson
import pytest

from tests.wire.server import ARROW, Server, running, stream_of
from tests.wire.shop import SHOP, shop

ESTABLISHED = 1
"""Of the states in TCP_INFO."""
PATIENCE = 60  # seconds until a test that hangs fails


@pytest.fixture(scope="module")
def slow() -> Iterator[Server]:
    """A service with deadlines so short that a test sees their end."""
    tiny = {"header_seconds": 0.4, "read_seconds": 0.4, "request_seconds": 3}
    with running(threads=2, min_bytes_per_second=10_000, **tiny) as service:
        yield service


@pytest.fixture
def only(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A service with one short deadline: a test that itself sends much meets no other one, however busy the machine."""
    with running(threads=2, min_bytes_per_second=10_000, **request.param) as service:
        yield service


@contextmanager
def link(service: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE) as found:
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield found


def head(length: int | None, endpoint: str = "segment", query: str = "k=3", *more: str) -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = [f"POST /v1/{endpoint}?{query} HTTP/1.1", "Host: x", f"Content-Type: {ARROW}", size, *more]
    return "\r\n".join([*lines, "", ""]).encode()


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    got = bytearray()
    try:
        while data := connection.recv(65_536):
            got += data
    except ConnectionResetError:
        got += b""  # what came before counts
    return bytes(got)


def timeout_in(reply: bytes) -> dict[str, object]:
    """The problem of a 408."""
    front, _, body = reply.partition(b"\r\n\r\n")
    assert front.startswith(b"HTTP/1.1 408 Request Timeout"), reply
    assert b"connection: close" in front.lower()
    problem: dict[str, object] = orjson.loads(body)
    assert (problem["code"], problem["status"]) == ("timeout", 408)
    return problem


def missed(service: Server, deadline: str) -> float:
    return service.metrics()[f'segserve_deadlines_missed_total{{deadline="{deadline}"}}']


def is_idle(service: Server) -> bool:
    names = ("segserve_requests_in_flight", "segserve_bulk_places_in_use", "segserve_compute_slots_in_use")
    found = service.metrics()
    return all(found[name] == 0 for name in names)


def test_a_head_that_does_not_come_to_its_end(slow: Server) -> None:
    before = missed(slow, "header")
    with link(slow) as connection:
        connection.sendall(head(10)[:-2])
        assert timeout_in(read_all(connection))["limit"] == "header_seconds"
    assert missed(slow, "header") == before + 1


def test_who_says_nothing_is_not_answered(slow: Server) -> None:
    with link(slow) as connection:
        assert read_all(connection) == b""


def test_line_ends_are_no_request(slow: Server) -> None:
    with link(slow) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while not got.endswith(b'"alive"}'):
            got += connection.recv(10_000)
        connection.sendall(b"\r\n")
        timeout_in(read_all(connection))


BODY = stream_of(SHOP)
LARGE = stream_of(shop(4_000, 30_000), max_rows=1_000)
assert len(LARGE) > 2 * 262_144


# After 700 bytes the schema is known: a score would be told that it has no model.
@pytest.mark.parametrize(("endpoint", "first"), [("segment", 0), ("segment", 700), ("score", 0), ("score", 100)])
@pytest.mark.parametrize("length", [None, len(BODY), len(LARGE)], ids=["chunked", "small", "large"])
def test_a_body_that_stops_coming(slow: Server, endpoint: str, length: int | None, first: int) -> None:
    before = missed(slow, "read")
    with link(slow) as connection:
        connection.sendall(head(length, endpoint, "as_of=2026-01-01"))
        part = (LARGE if length == len(LARGE) else BODY)[:first]
        connection.sendall(b"%x\r\n" % first + part + b"\r\n" if length is None and first else part)
        problem = timeout_in(read_all(connection))
    assert (problem["deadline"], problem["limit"]) == ("read", "read_seconds")
    assert "SEGSERVE_READ_SECONDS" in str(problem["detail"])
    assert missed(slow, "read") == before + 1
    slow.wait_until(lambda: is_idle(slow), PATIENCE)


def test_a_body_that_nobody_wants_has_the_same_deadline(slow: Server) -> None:
    with link(slow) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("only", [{"request_seconds": 2}], indirect=True)
def test_a_request_that_goes_on_and_on(only: Server) -> None:
    rows = b"a,2026-01-01T00:00:00Z,1.5\n" * 300
    with link(only) as connection:
        connection.sendall(head(None).replace(ARROW.encode(), b"text/csv"))
        chunk, got = b"customer_id,timestamp,amount\n" + rows, b""
        connection.settimeout(0.05)  # between two chunks, fast enough
        while not got:
            with suppress(TimeoutError):
                connection.sendall(b"%x\r\n" % len(chunk) + chunk + b"\r\n")
                chunk = rows
                got = connection.recv(100_000)
        connection.settimeout(PATIENCE)
        got += read_all(connection)
    problem = timeout_in(got)
    assert (problem["deadline"], problem["limit"]) == ("request", "request_seconds")
    assert missed(only, "request") == 1
    only.wait_until(lambda: is_idle(only), PATIENCE)


@pytest.mark.parametrize("only", [{"write_seconds": 0.4}], indirect=True)
def test_a_reply_that_is_not_read(only: Server) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", only.port))
        body = stream_of(shop(100_000, 120_000))
        connection.sendall(head(len(body), query="k=2&n_init=1&fields=customer_id,value_score,explain") + body)
        assert connection.recv(12) == b"HTTP/1.1 200"
        only.wait_until(lambda: missed(only, "write") == 1, PATIENCE)
        only.wait_until(lambda: is_idle(only), PATIENCE)
        # Told at once, though it has read nothing: what the system held for it is gone as well.
        only.wait_until(
            lambda: connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED, PATIENCE
        )
    entry = next(entry for entry in only.log if entry.get("deadline") == "write")
    assert (entry["level"], entry["answered"], entry["limit"]) == ("warning", False, "write_seconds")


def test_who_waits_within_the_deadlines_is_served(slow: Server) -> None:
    with link(slow) as connection:
        for _ in range(2):
            connection.sendall(head(len(BODY)) + BODY)
            assert connection.recv(12) == b"HTTP/1.1 200"
            reply = connection.recv(1 << 20)
            length = int(reply.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            got = len(reply.partition(b"\r\n\r\n")[2])
            while got < length:
                got += len(connection.recv(1 << 20))
