"""One HTTP exchange over ASGI: reading the body, noticing that the client is gone, answering.

Watching for a disconnect reads from the same channel as the body, so it starts only once the body is read.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from proto.errors import RequestError

__all__ = ["ClientGone", "Exchange", "Tried", "request_id_of"]

DRAIN_BYTES = 64 << 20
DRAIN_SECONDS = 5.0

# A new id is this process's random half and a count from a random start: unique, and a tenth of the cost of a UUID.
_PROCESS_ID = secrets.token_hex(8)
_COUNT = itertools.count(secrets.randbits(62))

Receive = Callable[[], Any]
Send = Callable[[Any], Any]


class ClientGone(Exception):
    """The client closed the connection."""


class Tried(NamedTuple):
    """What is settled of a request before ASGI: its key or refusal, and that the quick path has no answer to it."""

    key: str | None
    refusal: RequestError | None


def request_id_of(given: bytes | None) -> str:
    """The caller's X-Request-ID where it is a decent one, else a new one."""
    if given is not None and 0 < len(given) <= 128 and given.isascii() and given.decode().isprintable():
        return given.decode()
    return f"{_PROCESS_ID}{next(_COUNT):016x}"


class Exchange:
    """Request and response of one ASGI call; counts bytes both ways."""

    received_bytes = 0
    sent_bytes = 0
    started = False
    finished = False
    status = 0
    key: str | None = None
    """The name of the caller's key, where one is needed."""
    task: asyncio.Task[Any] | None = None
    """That answers it."""
    missed: RequestError | None = None
    """The deadline that ended it."""
    on_end: Callable[[], None] | None = None
    """Called when a deadline ends the request; from the event loop."""
    _body: bytes | None = None
    _first = b""
    _body_read = False
    _body_touched = False

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._connection = scope.get("segserve.connection")
        if self._connection is not None:
            self._connection.exchange = self
        self.tried: Tried | None = scope.get("segserve.tried")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id_of(self.headers.get(b"x-request-id"))

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def content_length(self) -> int | None:
        value = self.headers.get(b"content-length")
        return int(value) if value is not None and value.isdigit() and len(value) < 20 else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; ClientGone when it breaks off."""
        while not self._body_read:
            if body := await self._chunk():
                yield body

    async def _chunk(self) -> bytes:
        self._body_touched = True
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message.get("body", b"")
        self.received_bytes += len(body)
        self._body_read = not message.get("more_body", False)
        return body

    async def ready_body(self) -> bytes | None:
        """The whole of a small body where it came at once; None where `body` has to wait for more."""
        if self._body is None:
            self._first = await self._chunk()
            if self._body_read:
                self._body = self._first
        return self._body

    async def body(self) -> bytes:
        """The whole of a small body; it can be asked for again."""
        if self._body is None:
            self._body = b"".join([self._first, *[chunk async for chunk in self.chunks()]])
        return self._body

    @property
    def is_read(self) -> bool:
        """Whether nothing of the body is to come."""
        return self._body_read or (
            not self._body_touched and not self.content_length and b"transfer-encoding" not in self.headers
        )

    @property
    def waits_to_send(self) -> bool:
        """Whether the client asked for 100-continue and was not told so: it has sent nothing, and need not."""
        return not self._body_touched and self.headers.get(b"expect", b"").lower() == b"100-continue"

    async def drain(self) -> bool:
        """Reads and drops the rest of a refused body, so that the client gets to read the answer.

        Gives up after 64 MiB or 5 s. Returns whether all was read, so that the connection can go on.
        """
        if self.is_read:
            return True
        if self.waits_to_send:
            return False
        deadline = time.monotonic() + DRAIN_SECONDS
        before = self.received_bytes
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + DRAIN_SECONDS):
                async for _ in self.chunks():
                    if self.received_bytes - before > DRAIN_BYTES or time.monotonic() > deadline:
                        return False
        except TimeoutError:
            return False
        return True

    def abort(self) -> None:
        """Closes the connection at once, where the server lends it."""
        if self._connection is not None:
            self._connection.transport.abort()

    def end(self, error: RequestError) -> None:
        """Ends the request from outside: what it waits for is cancelled, and it is told by `error`."""
        self.missed = error
        if self.on_end is not None:
            self.on_end()
        if self.task is not None:
            self.task.cancel()

    def check(self) -> None:
        """Raises what the request was ended by, if anything."""
        if self.missed is not None:
            raise self.missed

    def was_ended(self) -> bool:
        """Whether a cancellation is `end`'s own, which is hereby seen to; not so where the service shuts down."""
        if self.missed is None or self.task is None:
            return False
        self.task.uncancel()
        return True

    async def gone(self) -> bool:
        """Waits for the end of the exchange, once the body is read: True when the client left before its answer."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        return not self.finished

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.started = True
        self.status = status
        headers.append((b"x-request-id", self.request_id.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, body: bytes, *, more: bool) -> None:
        self.sent_bytes += len(body)
        self.finished = not more  # before the await: the server may report the end of the exchange while it runs
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def respond(self, status: int, body: bytes, content_type: bytes, *headers: tuple[bytes, bytes]) -> None:
        """A whole response with its length."""
        length = b"%d" % len(body)
        await self.start(status, [(b"content-type", content_type), (b"content-length", length), *headers])
        await self.send(body, more=False)
