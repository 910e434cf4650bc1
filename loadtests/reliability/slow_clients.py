"""Clients that send or read a byte a second, many at a time, and tell how each of them was ended.

python -m loadtests.reliability.slow_clients URL headers|body|reply|ordinary N SECONDS   (prints JSON)
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import select
import socket
import sys
import time
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

from loadtests.open_load import http_request
from loadtests.users import ARROW, JSON, ad_platform

__all__ = ["KINDS", "ORDINARY", "START_SECONDS", "End", "main", "slow_clients"]

KINDS = ("headers", "body", "reply")
ORDINARY = "ordinary"
"""Sends what a slow reader sends, and reads the reply at once: to tell what the work costs from what slowness does."""
CUSTOMERS = 25_000
"""Of a reply that is read slowly: as JSON, more than the 4 MiB that the kernel takes off a sender's hands."""
START_SECONDS = 2.0
TICK_SECONDS = 0.02
"""Clients send and read at common ticks, so that their process wakes fifty times a second and not five hundred."""
WINDOW_BYTES = 4096
"""The receive buffer of who reads slowly: what the kernel would take for it is as little as it allows."""


class End(NamedTuple):
    """How a connection ended: when, by its own count (of a reply, from its first byte), and what it was told."""

    by_server: bool
    seconds: float
    told: str


def _until_tick(loop: asyncio.AbstractEventLoop, seconds: float) -> float:
    """About so many seconds, at the end of which there is a tick."""
    now = loop.time()
    return math.ceil((now + seconds) / TICK_SECONDS) * TICK_SECONDS - now


class _HangUps:
    """Who was hung up on, though much of what they were sent is still unread: the kernel tells, nobody has to ask."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._closed: dict[int, asyncio.Future[None]] = {}

    def __enter__(self) -> _HangUps:
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._tell)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        self._epoll.close()

    def watch(self, link: socket.socket) -> asyncio.Future[None]:
        """Done once the other side has closed the connection, or its half of it."""
        self._closed[link.fileno()] = asyncio.get_running_loop().create_future()
        self._epoll.register(link, select.EPOLLRDHUP | select.EPOLLET)  # and EPOLLHUP, EPOLLERR in any case
        return self._closed[link.fileno()]

    def _tell(self) -> None:
        for fd, _ in self._epoll.poll(0):
            if not self._closed[fd].done():
                self._closed[fd].set_result(None)


class _Client:
    def __init__(self, url: str, number: int, hang_ups: _HangUps) -> None:
        host, _, port = urlsplit(url).netloc.partition(":")
        self._address = (host, int(port))
        self._url, self._number, self._hang_ups = url, number, hang_ups
        self._socket = socket.socket()
        self._socket.setblocking(False)

    async def run(self, kind: str, seconds: float) -> End:
        loop = asyncio.get_running_loop()
        if kind == "reply":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW_BYTES)
        self._told = b""
        self._start = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                await loop.sock_connect(self._socket, self._address)
                self._start = time.monotonic()
                await getattr(self, f"_{kind}")(loop)
            return self._end(True)
        except TimeoutError:
            return self._end(False)
        except OSError as error:
            self._told = self._told or type(error).__name__.encode()
            return self._end(True)
        finally:
            self._socket.close()

    def _end(self, by_server: bool) -> End:
        line = self._told.partition(b"\r\n")[0]
        return End(by_server, time.monotonic() - self._start, line.decode("latin-1") or "closed")

    async def _headers(self, loop: asyncio.AbstractEventLoop) -> None:
        await self._send_slowly(loop, b"POST /v1/score?model=customers HTTP/1.1\r\nhost: slow\r\nx-slow: " + b"y" * 999)

    async def _body(self, loop: asyncio.AbstractEventLoop) -> None:
        """Half of them a small score whose length is known, half an upload in chunks."""
        if self._number % 2:
            head = f"POST /v1/score?model=customers HTTP/1.1\r\nhost: slow\r\ncontent-type: {ARROW}\r\n"
            await loop.sock_sendall(self._socket, f"{head}content-length: 100000\r\n\r\n".encode())
            await self._send_slowly(loop, b"\xff\xff\xff\xff" + b"\0" * 999)
        else:
            head = f"POST /v1/segment?occasion=row HTTP/1.1\r\nhost: slow\r\ncontent-type: {ARROW}\r\n"
            chunk = b"transfer-encoding: chunked\r\n\r\nf4240\r\n"
            await loop.sock_sendall(self._socket, head.encode() + chunk)
            await self._send_slowly(loop, b"\xff\xff\xff\xff" + b"\0" * 999)

    async def _send_slowly(self, loop: asyncio.AbstractEventLoop, data: bytes) -> None:
        answer = asyncio.create_task(self._listen(loop))
        try:
            for at in range(len(data)):
                await loop.sock_sendall(self._socket, data[at : at + 1])
                done, _ = await asyncio.wait([answer], timeout=_until_tick(loop, 1.0))
                if done:
                    return
        finally:
            answer.cancel()
            await asyncio.wait([answer])

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whatever the service has to say, until it closes; one that goes on sending is not told apart."""
        try:
            while data := await loop.sock_recv(self._socket, 65_536):
                self._told += data
        except OSError as error:
            self._told = self._told or type(error).__name__.encode()

    async def _reply(self, loop: asyncio.AbstractEventLoop) -> None:
        await loop.sock_sendall(self._socket, _large_score(self._url))
        self._told = await loop.sock_recv(self._socket, len("HTTP/1.1 200"))
        self._start = time.monotonic()
        closed = self._hang_ups.watch(self._socket)
        while not closed.done() and await loop.sock_recv(self._socket, 1):
            await asyncio.wait([closed], timeout=_until_tick(loop, 1.0))

    async def _ordinary(self, loop: asyncio.AbstractEventLoop) -> None:
        await loop.sock_sendall(self._socket, _large_score(self._url))
        await self._listen(loop)
        self._told = self._told[: len("HTTP/1.1 200")]


@functools.cache
def _large_score(url: str) -> bytes:
    """Cheap to answer, with a reply that the kernel's buffers cannot hold."""
    request = ad_platform(CUSTOMERS)
    return http_request(url, request.path, request.content_type, request.body, "connection: close", f"accept: {JSON}")


async def slow_clients(url: str, kind: str, n: int, seconds: float) -> list[End]:
    """They come within two seconds; those that are still there after so many give up."""

    with _HangUps() as hang_ups:

        async def one(number: int) -> End:
            await asyncio.sleep(_until_tick(asyncio.get_running_loop(), START_SECONDS * number / n))
            return await _Client(url, number, hang_ups).run(kind, seconds)

        return await asyncio.gather(*[one(number) for number in range(n)])


def main() -> None:
    url, kind, n, seconds = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ends = runner.run(slow_clients(url, kind, int(n), float(seconds)))
    print(json.dumps([end._asdict() for end in ends]))


if __name__ == "__main__":
    main()
