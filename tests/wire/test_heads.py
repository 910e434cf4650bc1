"""Heads that have no end, or are none: answered with a problem, and nothing of them is kept."""

from __future__ import annotations

import contextlib
import socket

import orjson
import pytest

from tests.wire.server import ARROW, Server

LINE = b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\n"


def spoken(server: Server, first: bytes, again: bytes, most: int) -> bytes:
    """What comes back when `again` is sent up to `most` times after `first`; stops once the service hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        with contextlib.suppress(OSError):  # it hangs up, which is what is looked for
            link.sendall(first)
            for _ in range(most):
                link.sendall(again)
        answer = bytearray()
        with contextlib.suppress(ConnectionResetError):  # it hung up with bytes of ours unread
            while data := link.recv(65_536):
                answer += data
        return bytes(answer)


def problem_of(answer: bytes) -> tuple[bytes, dict[str, object]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return head.partition(b"\r\n")[0], orjson.loads(body)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"GET /", b"x" * 8192),
        (LINE, b"X-More: " + b"y" * 8000 + b"\r\n"),
        (LINE + b"X-Long: ", b"z" * 8192),
    ],
    ids=["address", "headers", "one header"],
)
def test_a_head_without_end_is_refused(server: Server, first: bytes, again: bytes) -> None:
    line, problem = problem_of(spoken(server, first, again, 100))
    assert line == b"HTTP/1.1 413 Request Entity Too Large"
    assert (problem["code"], problem["wanted"]) == ("limit_exceeded", 65_536)


@pytest.mark.parametrize("again", [b"X-More: y\r\n", b"z" * 8192], ids=["trailers", "one trailer"])
def test_a_trailer_without_end_ends_the_connection(server: Server, again: bytes) -> None:
    head = LINE + f"Content-Type: {ARROW}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    before = server.memory_bytes
    spoken(server, head + b"4\r\nabcd\r\n0\r\nX-First: ", again, 20_000)
    assert server.memory_bytes < before + (64 << 20)


@pytest.mark.parametrize(
    "sent", [b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]
)
def test_what_is_no_http_is_a_problem(server: Server, sent: bytes) -> None:
    line, problem = problem_of(spoken(server, sent, b"", 0))
    assert line == b"HTTP/1.1 400 Bad Request"
    assert problem["code"] == "malformed_request"


def test_a_chunk_that_is_none_is_a_problem(server: Server) -> None:
    head = LINE + f"Content-Type: {ARROW}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    _, problem = problem_of(spoken(server, head + b"xyz\r\n", b"", 0))
    assert problem["code"] == "malformed_request"
