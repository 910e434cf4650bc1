"""One exchange over ASGI, against a scripted server: the body, a client that leaves, draining, and the answer."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

import pytest

from service import exchange as module
from service.exchange import ClientGone, Exchange

GONE = {"type": "http.disconnect"}


class Server:
    """Plays what an ASGI server sends, and keeps what it is sent. When the script is over it never answers again."""

    def __init__(self, *script: dict[str, Any]) -> None:
        self.script = list(script)
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if not self.script:
            await asyncio.Event().wait()
        return self.script.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def exchange(self, **headers: str) -> Exchange:
        raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        return Exchange({"type": "http", "headers": raw}, self.receive, self.send)


def _part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def _chunks(exchange: Exchange) -> list[bytes]:
    return [chunk async for chunk in exchange.chunks()]


def test_the_body_comes_in_chunks_and_once() -> None:
    exchange = Server(_part(b"ab"), _part(b""), _part(b"c"), {"type": "http.request"}).exchange()
    assert _run(_chunks(exchange)) == [b"ab", b"c"]
    assert exchange.received_bytes == 3
    assert _run(_chunks(exchange)) == []


@pytest.mark.parametrize("parts", [[b""], [b"abc"], [b"a", b"b", b"c"]])
def test_a_whole_body(parts: list[bytes]) -> None:
    script = [_part(part, more=i < len(parts) - 1) for i, part in enumerate(parts)]
    assert _run(Server(*script).exchange().body()) == b"".join(parts)


def test_a_body_that_breaks_off() -> None:
    exchange = Server(_part(b"ab"), GONE).exchange()
    with pytest.raises(ClientGone):
        _run(exchange.body())
    assert exchange.received_bytes == 2


@pytest.mark.parametrize(
    ("value", "length"),
    [("0", 0), ("12", 12), ("-1", None), ("1e3", None), ("", None), ("²", None), ("9" * 5000, None)],
)
def test_the_declared_length(value: str, length: int | None) -> None:
    assert Server().exchange(content_length=value).content_length == length


def test_headers() -> None:
    exchange = Server().exchange(accept="text/csv; é")
    assert exchange.header(b"accept") == "text/csv; é"
    assert exchange.header(b"host") is None
    assert exchange.content_length is None


def test_a_decent_request_id_is_kept() -> None:
    assert Server().exchange(x_request_id="abc-123").request_id == "abc-123"
    assert Server().exchange(x_request_id="a" * 128).request_id == "a" * 128


@pytest.mark.parametrize("given", ["", "a" * 129, "a\r\nset-cookie: b", "\x00", "é", "\t"])
def test_any_other_is_replaced(given: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", Server().exchange(x_request_id=given).request_id)


def test_request_ids_differ() -> None:
    assert Server().exchange().request_id != Server().exchange().request_id


def test_a_whole_answer() -> None:
    server = Server()
    exchange = server.exchange(x_request_id="r-1")
    _run(exchange.respond(200, b"{}", b"application/json", (b"retry-after", b"1")))
    assert server.sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"2"),
                (b"retry-after", b"1"),
                (b"x-request-id", b"r-1"),
            ],
        },
        {"type": "http.response.body", "body": b"{}", "more_body": False},
    ]
    assert (exchange.status, exchange.sent_bytes, exchange.started, exchange.finished) == (200, 2, True, True)


def test_a_streamed_answer() -> None:
    server = Server()
    exchange = server.exchange()

    async def main() -> None:
        await exchange.start(200, [])
        await exchange.send(b"ab", more=True)
        assert not exchange.finished
        await exchange.send(b"", more=False)

    _run(main())
    assert [(m["body"], m["more_body"]) for m in server.sent[1:]] == [(b"ab", True), (b"", False)]
    assert (exchange.sent_bytes, exchange.finished) == (2, True)


def test_a_client_that_leaves_before_its_answer_is_gone() -> None:
    assert _run(Server(_part(b"", more=False), GONE).exchange().gone()) is True


def test_a_client_that_leaves_after_its_answer_is_not() -> None:
    server = Server(GONE)
    exchange = server.exchange()
    _run(exchange.respond(200, b"", b"text/plain"))
    assert _run(exchange.gone()) is False


# Draining


def test_what_is_left_of_a_body_is_dropped() -> None:
    server = Server(_part(b"a"), _part(b"b"), _part(b"c", more=False))
    exchange = server.exchange(content_length="3")
    assert _run(exchange.drain()) is True
    assert server.script == []
    assert _run(exchange.drain()) is True


def test_without_a_body_there_is_nothing_to_wait_for() -> None:
    assert _run(Server().exchange().drain()) is True


def test_a_client_that_waits_to_be_asked_is_not_asked() -> None:
    server = Server(_part(b"a", more=False))
    assert _run(server.exchange(content_length="1", expect="100-Continue").drain()) is False
    assert len(server.script) == 1


def test_once_asked_it_is_drained() -> None:
    server = Server(_part(b"a"), _part(b"b", more=False))
    exchange = server.exchange(content_length="2", expect="100-continue")

    async def main() -> bool:
        async for _ in exchange.chunks():
            break
        return await exchange.drain()

    assert _run(main()) is True
    assert server.script == []


def test_draining_ends_with_the_client() -> None:
    with pytest.raises(ClientGone):
        _run(Server(_part(b"a"), GONE).exchange(transfer_encoding="chunked").drain())


def test_draining_ends_after_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_BYTES", 10)
    server = Server(*[_part(b"x" * 6)] * 5)
    assert _run(server.exchange(transfer_encoding="chunked").drain()) is False
    assert len(server.script) == 3


@pytest.mark.parametrize("script", [[], [_part(b"x")] * 5])
def test_draining_ends_after_so_many_seconds(script: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", -1.0)
    assert _run(Server(*script).exchange(transfer_encoding="chunked").drain()) is False
