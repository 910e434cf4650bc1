"""uvicorn's HTTP/1.1 protocol, with a short way for large bodies and for small scores, and with deadlines.

As it comes, a body's bytes are copied by the parser, into a buffer, and out of it, and reading pauses at 64 KiB. Here a
body whose length was declared goes round the parser: what the socket gave is what the application gets, and reading
pauses when the application is a mebibyte behind; before it has asked for anything, at a quarter of that. A small score
whose like is known goes round the parser and the application, and is answered where it arrives (quick/direct.py).

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
from service.deadlines import Deadlines, Kind, Pace, Watch, cut, unsent_bytes
from service.exchange import Exchange, Tried
from service.quick.direct import PATH, Direct

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
    """One connection. The lifespan's state has its `watch`, the `backlog` and, where small scores are answered here,
    `direct`."""

    _large: _LargeBody | None = None
    _watch: Watch | None = None
    _backlog: Backlog | None = None
    _direct: Direct | None = None
    _tried: Tried | None = None
    """Of the request that is parsed now, where it had no direct answer."""
    _unknown = b""
    """The bytes that are parsed now, where they begin with a request that may have a head to be remembered."""
    _answered_at = -math.inf  # by the loop's clock: the last answer without ASGI
    _is_between = True  # the parser is at the beginning of a request
    exchange: Exchange | None = None
    """Of the request that is being answered, where an endpoint of ours does."""
    _head_since: float | None = None  # while a head is awaited that has begun, or the first one
    _begun = 0.0  # when the last head was complete
    _has_spoken = False
    _body_open = False  # bytes of a body are to come
    _received = 0  # bytes
    _untold = 0  # bytes since the parser last told of a head or a piece of a body
    _dropping = 0  # bytes to come of the body of a small score that was refused before it was all there

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._direct = self.app_state.get("direct")
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
            cut(self.transport)
            return False
        if kind == "header" or cycle is None or cycle.response_complete:
            told = self._has_spoken and kind == "header"
            if told:
                self.transport.write(_whole(error))
            self.transport.close()
            return told
        if exchange is None or exchange.finished:
            self.transport.abort()
            return False
        exchange.end(error)
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_between = False
        if self._watch is not None and self._head_since is None:
            self._head_since = self._watch.clock()

    def on_headers_complete(self) -> None:
        before = self.cycle
        self.scope["segserve.connection"] = self  # type: ignore[typeddict-unknown-key]
        self.scope["segserve.tried"], self._tried = self._tried, None  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        if self._unknown:
            self._learn()
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
        self._is_between = True
        self._large = None
        self._body_open = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        large = self._large
        self._received += len(data)
        self._has_spoken = True
        if self._dropping:
            dropped, data = data[: self._dropping], data[self._dropping :]
            self._dropping -= len(dropped)
            if not data:
                return
        if self._backlog is not None and self._backlog.read() and self._refused(data, self._backlog):
            return
        if large is None:
            if self._direct is not None and self._answered_directly(data, self._direct):
                return
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

    @property
    def _is_idle(self) -> bool:
        """Whether the next byte begins a request that nothing is before."""
        return self._is_between and (self.cycle is None or self.cycle.response_complete)

    def _refused(self, data: bytes, backlog: Backlog) -> bool:
        """Refuses a small score that would wait too long, without a look at what it says; False for all else."""
        refused = backlog.refusal(data) if self._is_idle else None
        if refused is None:
            return False
        reply, self._dropping = refused
        self._answer(reply)
        return True

    def _answered_directly(self, data: bytes, direct: Direct) -> bool:
        """Answers a small score whose like is known; False, with nothing sent, for everything else."""
        if not self._is_idle or self.flow.write_paused or self.transport.is_closing():
            return False
        found = direct.answer(data, self.server_state.default_headers)
        if found is None:
            self._unknown = data
            return False
        if isinstance(found, Tried):
            self._tried = found
            return False
        self._answer(*found)
        self.server_state.total_requests += 1
        return True

    def _answer(self, *reply: bytes) -> None:
        """Sends the reply to a request that the parser has not seen."""
        self.transport.writelines(reply)
        self._head_since = None
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._await_next(self.timeout_keep_alive)

    def _await_next(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Closes an idle connection; `_answer` leaves the timer as it was, so there may be time left."""
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._await_next(left)
        else:
            super().timeout_keep_alive_handler()

    def _learn(self) -> None:
        """Lets the head be remembered that was just parsed, if another one like it may be answered directly."""
        data, self._unknown = self._unknown, b""
        scope, cycle = self.scope, self.cycle
        is_score = scope["method"] == "POST" and scope["path"] == PATH
        if is_score and scope["http_version"] == "1.1" and cycle.keep_alive and self._direct is not None:
            self._direct.learn(data, scope["query_string"], self.headers)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._backlog is not None:
            self._backlog.wait()
        super()._start_asgi_task(cycle, app)

    def _refuse_head(self) -> None:
        """Ends a connection whose head, or trailer, has no end: the parser would hold all of it."""
        if not self._body_open:
            remedy = "Send fewer or shorter headers and options."
            self.transport.write(_whole(over("the size of a request's head", self._untold, MAX_HEAD_BYTES, remedy)))
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """In place of uvicorn's, which answers in plain text."""
        error = RequestError(
            ErrorCode.MALFORMED_REQUEST, "The request is not HTTP as it should be. Use an HTTP library to send it."
        )
        self.transport.write(_whole(error))
        self.transport.close()


def _whole(error: RequestError) -> bytes:
    """A whole reply with the problem, for a client whose request never got as far as the application."""
    body = orjson.dumps(problem(error))
    reason = HTTPStatus(error.status).phrase
    head = f"HTTP/1.1 {error.status} {reason}\r\ncontent-type: application/problem+json\r\n"
    return head.encode() + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body


def _declared_length(headers: list[tuple[bytes, bytes]]) -> int:
    """The body's length in bytes; 0 where it comes in chunks. The parser has refused what is not a number."""
    found = dict(headers)
    return 0 if b"transfer-encoding" in found else int(found.get(b"content-length", b"0"))
