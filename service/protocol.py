"""uvicorn's HTTP/1.1 protocol, with a short way for large bodies, and with deadlines.

As it comes, a body's bytes are copied by the parser, into a buffer, and out of it, and reading pauses at 64 KiB. Here a
body whose length was declared goes round the parser: what the socket gave is what the application gets, and reading
pauses when the application is a mebibyte behind; before it has asked for anything, at a quarter of that.

Deadlines (deadlines.py) are looked at from outside, so that a request pays for a few assignments only.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from http import HTTPStatus
from typing import Any

import httptools
import orjson
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from proto.errors import ErrorCode, RequestError, problem
from proto.limits import over
from service.backlog import Backlog
from service.deadlines import Deadlines, Kind, Pace, Watch, unsent_bytes
from service.exchange import Exchange

__all__ = ["Protocol"]

LARGE_BYTES = 262_144
MAX_HEAD_BYTES = 65_536
"""Of request line and headers, and of what stands between two pieces of a chunked body."""
HIGH_WATER_BYTES = 1 << 20


class _LargeBody:
    """The body of one request on its way to the application; takes the place of its cycle's `receive`."""

    def __init__(self, cycle: RequestResponseCycle, flow: FlowControl, n_bytes: int) -> None:
        self.left = n_bytes  # bytes the client has still to send
        self._cycle, self._flow = cycle, flow
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._most_held = LARGE_BYTES  # until the application asks: it may be waiting for its turn
        cycle.receive = self.receive  # type: ignore[method-assign]

    def push(self, chunk: bytes) -> None:
        self.left -= len(chunk)
        if self._cycle.response_complete:
            return  # answered before it was read: the rest is dropped
        self._chunks.append(chunk)
        self._held += len(chunk)
        if self._held > self._most_held:
            self._flow.pause_reading()
        self._cycle.message_event.set()

    async def receive(self) -> Any:
        """The next bytes as an ASGI message; the end of the exchange once there are none."""
        cycle = self._cycle
        self._most_held = HIGH_WATER_BYTES
        if cycle.waiting_for_100_continue and not cycle.transport.is_closing():
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        while not self._chunks or cycle.disconnected or cycle.response_complete:
            if cycle.disconnected or cycle.response_complete:
                return {"type": "http.disconnect"}
            self._flow.resume_reading()
            cycle.message_event.clear()
            await cycle.message_event.wait()
        chunk = self._chunks.popleft()
        self._held -= len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks) or self.left > 0}


class Protocol(HttpToolsProtocol):
    """One connection. The lifespan's state has its `watch` and the `backlog`."""

    _large: _LargeBody | None = None
    _watch: Watch | None = None
    _backlog: Backlog | None = None
    exchange: Exchange | None = None
    """Of the request that is being answered, where an endpoint of ours does."""
    _head_since: float | None = None  # while a head is awaited that has begun, or the first one
    _refused_at = -math.inf  # of the loop's clock
    _begun = 0.0  # when the last head was complete
    _has_spoken = False
    _body_open = False  # bytes of a body are to come
    _received = 0  # bytes
    _untold = 0  # bytes since the parser last told of a head or a piece of a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch = self.app_state.get("watch")
        if self._watch is not None:
            self._watch.connections.add(self)
            self._head_since = self._watch.clock()
            self._reading, self._writing = Pace(), Pace()
        self._backlog = self.app_state.get("backlog")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.connections.discard(self)
        self.exchange = None
        super().connection_lost(exc)

    def missed_deadline(self, now: float, deadlines: Deadlines) -> Kind | None:
        """The deadline that was missed, if any: see deadlines.py."""
        rate = deadlines.min_bytes_per_second
        answering = self.cycle is not None and not self.cycle.response_complete
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            link = self.transport.get_extra_info("socket")
            unsent += unsent_bytes(link.fileno()) if link is not None else 0
            if self._writing.is_slow(-unsent, now, deadlines.write_seconds, rate):
                return "write"
        else:
            self._writing.stop()
        if answering and now - self._begun >= deadlines.request_seconds:
            return "request"
        if self._body_open and not self.flow.read_paused:
            if self._reading.is_slow(self._received, now, deadlines.read_seconds, rate):
                return "read"
        else:
            self._reading.stop()
        if answering or self._body_open or unsent:
            return None
        if self._head_since is None:
            if self.timeout_keep_alive_task is None:
                self._head_since = now  # bytes came that are no request: an idle connection no more
        elif now - self._head_since >= deadlines.header_seconds:
            return "header"
        return None

    def end(self, kind: Kind, error: RequestError) -> bool:
        """Ends what missed its deadline; True where the client is sent the error."""
        cycle, exchange = self.cycle, self.exchange
        if kind == "write" or (cycle is not None and cycle.response_started and not cycle.response_complete):
            self.transport.abort()
            return False
        if kind == "header" or cycle is None or cycle.response_complete:
            told = self._has_spoken and kind == "header"
            if told:
                self.transport.write(_answer(error))
            self.transport.close()
            return told
        if exchange is None or exchange.finished:
            self.transport.abort()
            return False
        exchange.end(error)
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._watch is not None and self._head_since is None:
            self._head_since = self._watch.clock()

    def on_headers_complete(self) -> None:
        before = self.cycle
        self.scope["segserve.connection"] = self  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        self._large = None
        self._untold = 0
        self._body_open = True
        self._head_since = None
        if self._watch is not None:
            self._begun = self._watch.clock()
        if self.cycle is not before and self.scope["method"] == "POST":
            length = _declared_length(self.headers)
            if length >= LARGE_BYTES:
                self._large = _LargeBody(self.cycle, self.flow, length)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._body_open:  # else a trailer, which nobody reads
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._untold = 0
        if self._large is not None:
            self._large.push(body)
        else:
            super().on_body(body)

    def on_response_complete(self) -> None:
        self.exchange = None
        super().on_response_complete()

    def on_message_complete(self) -> None:
        self._large = None
        self._body_open = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        large = self._large
        self._received += len(data)
        self._has_spoken = True
        if self._backlog is not None and self._backlog.read() and self._refused(data, self._backlog):
            return
        if large is None:
            self._untold += len(data)
            super().data_received(data)
            if self._untold > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse_head()
            return
        self._unset_keepalive_if_required()
        rest = data[large.left :]
        large.push(data[: large.left] if rest else data)
        if large.left == 0:
            # This parser still waits for the body; the connection's next request gets a new one.
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.on_message_complete()
            if rest:
                super().data_received(rest)

    def _refused(self, data: bytes, backlog: Backlog) -> bool:
        """Refuses a small score that would wait too long, without a look at what it says; False for all else."""
        if self._untold or self._body_open or not (self.cycle is None or self.cycle.response_complete):
            return False
        reply = backlog.refusal(data)
        if reply is None:
            return False
        self.transport.write(reply)
        self._head_since = None
        self._refused_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        return True

    def timeout_keep_alive_handler(self) -> None:
        """Closes an idle connection; a refusal costs no new timer, so there may be time left."""
        left = self._refused_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._backlog is not None:
            self._backlog.wait()
        super()._start_asgi_task(cycle, app)

    def _refuse_head(self) -> None:
        """Ends a connection whose head, or trailer, has no end: the parser would hold all of it."""
        if not self._body_open:
            remedy = "Send fewer or shorter headers and options."
            self.transport.write(_answer(over("the size of a request's head", self._untold, MAX_HEAD_BYTES, remedy)))
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """In place of uvicorn's, which answers in plain text."""
        error = RequestError(
            ErrorCode.MALFORMED_REQUEST, "The request is not HTTP as it should be. Use an HTTP library to send it."
        )
        self.transport.write(_answer(error))
        self.transport.close()


def _answer(error: RequestError) -> bytes:
    """A whole reply with the problem, for a client whose request never got as far as the application."""
    body = orjson.dumps(problem(error))
    reason = HTTPStatus(error.status).phrase
    head = f"HTTP/1.1 {error.status} {reason}\r\ncontent-type: application/problem+json\r\n"
    return head.encode() + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body


def _declared_length(headers: list[tuple[bytes, bytes]]) -> int:
    """The body's length in bytes; 0 where it comes in chunks. The parser has refused what is not a number."""
    found = dict(headers)
    return 0 if b"transfer-encoding" in found else int(found.get(b"content-length", b"0"))
