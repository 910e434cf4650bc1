"""uvicorn's HTTP/1.1 protocol, with a short way for large bodies.

As it comes, a body's bytes are copied by the parser, into a buffer, and out of it, and reading pauses at 64 KiB. Here a
body whose length was declared goes round the parser: what the socket gave is what the application gets, and reading
pauses when the application is a mebibyte behind.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["Protocol"]

LARGE_BYTES = 262_144
HIGH_WATER_BYTES = 1 << 20


class _LargeBody:
    """The body of one request on its way to the application; takes the place of its cycle's `receive`."""

    def __init__(self, cycle: RequestResponseCycle, flow: FlowControl, n_bytes: int) -> None:
        self.left = n_bytes  # bytes the client has still to send
        self._cycle, self._flow = cycle, flow
        self._chunks: deque[bytes] = deque()
        self._held = 0
        cycle.receive = self.receive  # type: ignore[method-assign]

    def push(self, chunk: bytes) -> None:
        self.left -= len(chunk)
        if self._cycle.response_complete:
            return  # answered before it was read: the rest is dropped
        self._chunks.append(chunk)
        self._held += len(chunk)
        if self._held > HIGH_WATER_BYTES:
            self._flow.pause_reading()
        self._cycle.message_event.set()

    async def receive(self) -> Any:
        """The next bytes as an ASGI message; the end of the exchange once there are none."""
        cycle = self._cycle
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
    """One connection."""

    _large: _LargeBody | None = None

    def on_headers_complete(self) -> None:
        before = self.cycle
        self.scope["segserve.transport"] = self.transport  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        self._large = None
        if self.cycle is not before and self.scope["method"] == "POST":
            length = _declared_length(self.headers)
            if length >= LARGE_BYTES:
                self._large = _LargeBody(self.cycle, self.flow, length)

    def on_body(self, body: bytes) -> None:
        if self._large is not None:
            self._large.push(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._large = None
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        large = self._large
        if large is None:
            super().data_received(data)
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


def _declared_length(headers: list[tuple[bytes, bytes]]) -> int:
    """The body's length in bytes; 0 where it comes in chunks. The parser has refused what is not a number."""
    found = dict(headers)
    return 0 if b"transfer-encoding" in found else int(found.get(b"content-length", b"0"))
