"""Bodies that go round the parser: whatever the cut into segments, and whatever follows on the connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import numpy as np
import orjson
import pyarrow as pa
import pytest

from service.protocol import LARGE_BYTES
from tests.wire.server import ARROW, Server, stream_of
from tests.wire.shop import UTC_US

N_ROWS = 30_000


@pytest.fixture(scope="module")
def body() -> bytes:
    numbers = np.arange(N_ROWS)
    table = pa.table(
        {
            "customer_id": pa.array(numbers % 1_000),
            "timestamp": pa.array(1_767_225_600_000_000 + numbers * 977).cast(UTC_US),
            "amount": pa.array((numbers % 997).astype(np.float64)),
        }
    )
    data = bytes(stream_of(table))
    assert len(data) > 2 * LARGE_BYTES
    return data


def head(length: int | str, query: str = "k=3&occasion=row", **headers: str) -> bytes:
    fields = {"Host": "localhost", "Content-Type": ARROW, "Accept": "application/json"} | headers
    size = {"Transfer-Encoding": length} if isinstance(length, str) else {"Content-Length": str(length)}
    lines = [f"POST /v1/segment?{query} HTTP/1.1", *(f"{name}: {value}" for name, value in (fields | size).items())]
    return "\r\n".join([*lines, "", ""]).encode()


class Link:
    """A connection whose replies are read one after the other, also where several are asked for at once."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def line(self) -> bytes:
        return self._replies.readline()

    def answer(self) -> tuple[int, bytes]:
        """(status, body) of a reply with a length."""
        status = int(self.line().split()[1])
        length = 0
        while (line := self.line()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return status, self._replies.read(length)

    def close(self) -> None:
        self._replies.close()
        self._socket.close()


def rows_in(reply: tuple[int, bytes]) -> int:
    status, data = reply
    assert status == 200, data
    document = orjson.loads(data)
    assert document["status"] == "complete"
    return int(document["summary"]["counts"]["rows_in"])


@pytest.fixture
def link(server: Server) -> Iterator[Link]:
    link = Link(server.port)
    yield link
    link.close()


@pytest.mark.parametrize("first", [0, 1, LARGE_BYTES, -1], ids=["head alone", "one byte", "large", "all but one"])
def test_any_cut_gives_the_same(link: Link, body: bytes, first: int) -> None:
    for _ in range(2):  # and the connection is kept
        link.send(head(len(body)) + body[:first])
        link.send(body[first:])
        assert rows_in(link.answer()) == N_ROWS


def test_requests_in_one_segment_are_answered_in_turn(link: Link, body: bytes) -> None:
    small = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    link.send(head(len(body)) + body + head(len(body)) + body + small)
    assert rows_in(link.answer()) == N_ROWS
    assert rows_in(link.answer()) == N_ROWS
    assert link.answer()[0] == 200


def test_a_body_that_is_refused_early_leaves_the_connection_usable(link: Link, body: bytes) -> None:
    link.send(head(len(body), "colour=red") + body)
    status, data = link.answer()
    assert (status, orjson.loads(data)["code"]) == (422, "unknown_option")
    link.send(head(len(body)) + body)
    assert rows_in(link.answer()) == N_ROWS


def test_chunked_bodies_go_through_the_parser(link: Link, body: bytes) -> None:
    link.send(head("chunked") + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
    assert rows_in(link.answer()) == N_ROWS


def test_a_client_that_waits_is_told_to_go_on(link: Link, body: bytes) -> None:
    link.send(head(len(body), Expect="100-continue"))
    assert (link.line(), link.line()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
    link.send(body)
    assert rows_in(link.answer()) == N_ROWS


def test_both_kinds_of_length_are_refused(link: Link, body: bytes) -> None:
    link.send(head(len(body), **{"Transfer-Encoding": "chunked"}))
    assert link.answer()[0] == 400
