"""Closed-loop HTTP load: a few connections, each sending the same request again as soon as it has its answer.

uvloop and a byte search instead of an HTTP library, so that it costs less than what it measures; one thread, on the
same cores as the server.
"""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import uvloop

__all__ = ["Load", "run_load"]

CONNECTIONS = 8
PATIENCE_SECONDS = 30
END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "


class Load(NamedTuple):
    """Answers per second, and how long they took."""

    requests_per_second: float
    p50_seconds: float
    p99_seconds: float


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, deadline: float, latencies: list[float], done: asyncio.Future[None]) -> None:
        self._request, self._deadline, self._latencies, self._done = request, deadline, latencies, done
        self._received = b""
        self._start = 0.0

    def connection_made(self, transport: asyncio.WriteTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._start = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received = data if not self._received else self._received + data
        head = self._received.find(END)
        if head < 0 or len(self._received) < head + len(END) + self._length(head):
            return
        now = time.perf_counter()
        if not self._received.startswith(b"HTTP/1.1 200"):
            self._fail(self._received[:2000])
            return
        self._latencies.append(now - self._start)
        self._received = b""
        if now < self._deadline:
            self._send()
        else:
            self._transport.close()

    def _length(self, head: int) -> int:
        place = self._received.lower().find(LENGTH, 0, head + 2) + len(LENGTH)
        return int(self._received[place : self._received.find(b"\r", place)])

    def _fail(self, why: object) -> None:
        if not self._done.done():
            self._done.set_exception(RuntimeError(f"The server answered: {why!r}"))
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._done.done():
            return
        if time.perf_counter() < self._deadline:
            self._done.set_exception(RuntimeError("The server closed the connection"))
        else:
            self._done.set_result(None)


def run_load(url: str, path: str, content_type: str, body: bytes, seconds: float) -> Load:
    """POSTs the body over 8 connections for so many seconds; an answer other than 200 is an error."""
    host, _, port = urlsplit(url).netloc.partition(":")
    head = f"POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}"
    request = head.encode() + END + body

    async def drive() -> tuple[list[float], float]:
        loop = asyncio.get_running_loop()
        latencies: list[float] = []
        start = time.perf_counter()
        done = [loop.create_future() for _ in range(CONNECTIONS)]
        transports = []
        for future in done:
            transport, _ = await loop.create_connection(
                lambda future=future: _Connection(request, start + seconds, latencies, future), host, int(port)
            )
            transports.append(transport)
        try:
            async with asyncio.timeout(seconds + PATIENCE_SECONDS):
                await asyncio.gather(*done)
        finally:
            for transport in transports:
                transport.abort()
            await asyncio.sleep(0)  # the loop closes them in its next round
        return latencies, time.perf_counter() - start

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        latencies, elapsed = runner.run(drive())
    p50, p99 = np.percentile(latencies, [50, 99])
    return Load(len(latencies) / elapsed, float(p50), float(p99))
