"""Refusals: the answer goes out before the rest of the body is read, and the connection goes on where it can."""

import asyncio
import json
from typing import Any

import pytest

from proto.errors import ErrorCode, RequestError
from service import exchange as module
from service.exchange import Exchange
from service.refusals import refuse

BUSY = RequestError(ErrorCode.BUSY, "Full.", limit="max_requests", found=1, wanted=1)
REST = {"type": "http.request", "body": b"x" * 6, "more_body": True}
LAST = {"type": "http.request", "body": b"x", "more_body": False}
GONE = {"type": "http.disconnect"}


class Transport:
    aborted = False

    def abort(self) -> None:
        self.aborted = True


class Connection:
    exchange: Exchange | None = None

    def __init__(self) -> None:
        self.transport = Transport()


class Client:
    """Says what is scripted; keeps what was sent to it, and how much of the script was read by then."""

    def __init__(self, *script: dict[str, Any], **headers: str) -> None:
        self.script = list(script)
        self.sent: list[tuple[int, dict[str, Any]]] = []
        self.connection = Connection()
        self.transport = self.connection.transport
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"headers": pairs, "segserve.connection": self.connection}
        self.exchange = Exchange(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        return self.script.pop(0)

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append((len(self.script), message))

    def refuse(self, error: RequestError = BUSY, **options: bool) -> None:
        asyncio.run(refuse(self.exchange, error, **options))

    @property
    def head(self) -> dict[bytes, bytes]:
        return dict(self.sent[0][1]["headers"])


def test_the_answer_comes_first() -> None:
    client = Client(REST, LAST, content_length="7", x_request_id="r-1")
    client.refuse()
    (_, start), (unread, body), (left, end) = client.sent
    assert (start["status"], client.head[b"retry-after"], client.head[b"x-request-id"]) == (503, b"1", b"r-1")
    assert json.loads(body["body"])["limit"] == "max_requests"
    assert (unread, left) == (2, 0)
    assert (body["more_body"], end["body"], end["more_body"]) == (True, b"", False)
    assert b"connection" not in client.head
    assert not client.transport.aborted


def test_a_body_of_unknown_length_ends_the_connection() -> None:
    client = Client(REST, LAST, transfer_encoding="chunked")
    client.refuse()
    assert client.head[b"connection"] == b"close"
    assert client.script == []


def test_what_was_read_needs_no_draining() -> None:
    client = Client()
    client.refuse(RequestError(ErrorCode.BAD_OPTION, "No."))
    assert [message["type"] for _, message in client.sent] == ["http.response.start", "http.response.body"]
    assert client.sent[1][1]["more_body"] is False
    assert b"retry-after" not in client.head


@pytest.mark.parametrize(("headers", "may_drain"), [({"expect": "100-continue"}, True), ({}, False)])
def test_who_need_not_send_is_answered_and_cut(headers: dict[str, str], may_drain: bool) -> None:
    client = Client(REST, content_length="6", **headers)
    client.refuse(may_drain=may_drain)
    assert client.head[b"connection"] == b"close"
    assert len(client.script) == 1
    assert client.sent[-1][1]["more_body"] is False


def test_a_connection_that_was_to_go_on_is_cut_where_the_rest_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", -1.0)
    client = Client(REST, REST, content_length="60")
    client.refuse()
    assert b"connection" not in client.head
    assert client.transport.aborted


def test_a_client_that_leaves_with_its_answer_is_no_failure() -> None:
    client = Client(REST, GONE, content_length="60")
    client.refuse()
    assert client.exchange.status == 503
