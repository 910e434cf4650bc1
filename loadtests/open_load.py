"""Open-loop HTTP load: a request is sent when it is due, whether or not earlier ones were answered.

Arrivals are Poisson at given rates, with a seed. Every time counts from when the request was due, so a service that
stalls is charged with all that would have come meanwhile (no coordinated omission), and so is a late generator. uvloop,
a byte search instead of an HTTP library, and a timer of the kernel's, because the loop's own have a millisecond: 30 µs
of one core a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import uvloop
from numpy.typing import NDArray

from loadtests.kernel_timer import KernelTimer

__all__ = ["GIVEN_UP", "WRONG", "Answers", "Source", "http_request", "run_open_load", "schedule"]

END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "
CLOSE = b"\r\nconnection: close"
WRONG = -1
"""The status of an answer with 200 and another body than the one that is right."""
GIVEN_UP = "given up: no connection was free"
PATIENCE_SECONDS = 30.0

Phases = Sequence[tuple[float, float]]


class Source(NamedTuple):
    """One kind of request: its bytes, and how many arrive a second, as (seconds, rate) one after the other."""

    name: str
    request: bytes
    phases: Phases
    reply: bytes | None = None
    """The body that is right; None where it is not looked at."""


class Answers(NamedTuple):
    """What became of each request, in the order in which they were due; times are seconds since the start, or NaN."""

    source: NDArray[np.int64]
    due: NDArray[np.float64]
    sent: NDArray[np.float64]
    first_byte: NDArray[np.float64]
    done: NDArray[np.float64]
    status: NDArray[np.int64]
    """Of a whole answer; 0 where there was none, −1 where it was wrong."""
    errors: dict[str, int]
    """Why there was no whole answer, and how often."""
    n_connections: int
    """The most that were open at a time."""
    generator_cpu_seconds: float


def http_request(url: str, path: str, content_type: str, body: bytes, *headers: str) -> bytes:
    """The bytes of one POST over a connection that stays open."""
    lines = [f"POST {path} HTTP/1.1", f"host: {urlsplit(url).netloc}", f"content-type: {content_type}"]
    return "\r\n".join([*lines, *headers, f"content-length: {len(body)}"]).encode() + END + body


def schedule(sources: Sequence[Source], seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which source's request is due when: source numbers and seconds since the start, in order of time."""
    random = np.random.default_rng(seed)
    numbers, times = [np.empty(0, np.int64)], [np.empty(0)]
    for number, source in enumerate(sources):
        start = 0.0
        for seconds, rate in source.phases:
            n = random.poisson(rate * seconds)
            times.append(start + np.sort(random.uniform(0.0, seconds, n)))  # a Poisson process, given its count
            numbers.append(np.full(n, number))
            start += seconds
    merged = np.concatenate(times)
    order = np.argsort(merged, kind="stable")
    return np.concatenate(numbers)[order], merged[order]


class _Connection(asyncio.Protocol):
    def __init__(self, driver: _Driver) -> None:
        self._driver = driver
        self._received = b""
        self._end = 0
        self.at = -1  # the request under way

    def connection_made(self, transport: asyncio.WriteTransport) -> None:  # type: ignore[override]
        self.transport = transport
        self._driver.free(self)

    def send(self, at: int, request: bytes) -> None:
        self.at, self._received, self._end = at, b"", 0
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._received:
            self._driver.first_byte[self.at] = time.monotonic()
            self._received = data
        else:
            self._received += data
        if not self._end:
            head = self._received.find(END)
            if head < 0:
                return
            self._end = head + len(END) + self._length(head)
        if len(self._received) >= self._end:
            self._answered()

    def _length(self, head: int) -> int:
        place = self._received.lower().find(LENGTH, 0, head + 2) + len(LENGTH)
        return int(self._received[place : self._received.find(b"\r", place)])

    def _answered(self) -> None:
        head = self._received.find(END)
        closes = CLOSE in self._received[: head + 2].lower()
        self._driver.answered(self.at, int(self._received[9:12]), self._received[head + len(END) :])
        self.at, self._received = -1, b""
        if closes:
            self.transport.close()
        else:
            self._driver.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._driver.lost(self, error)


class _Driver:
    """Sends what is due over whatever connection is free; opens another where none is."""

    def __init__(
        self, url: str, sources: Sequence[Source], seed: int, max_connections: int, give_up_seconds: float
    ) -> None:
        host, _, port = urlsplit(url).netloc.partition(":")
        self._address = host, int(port)
        self._sources, self._max_connections, self._give_up = sources, max_connections, give_up_seconds
        self.source, due = schedule(sources, seed)
        self._requests = [sources[number].request for number in self.source]
        self.start = 0.0
        self.due = due.tolist()
        n = len(self.due)
        self.sent, self.first_byte, self.done = ([float("nan")] * n for _ in range(3))
        self.status = [0] * n
        self.errors: Counter[str] = Counter()
        self.most_connections = 0
        self._next = 0
        self._unfinished = n
        self._waiting: deque[int] = deque()
        self._idle: list[_Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._open: set[_Connection] = set()

    async def run(self, at: Sequence[tuple[float, Callable[[], None]]], patience: float) -> None:
        loop = asyncio.get_running_loop()
        self.finished = loop.create_future()
        self.start = time.monotonic() + 0.05
        handles = [loop.call_later(0.05 + seconds, action) for seconds, action in at]
        with KernelTimer(loop, self._send_due) as self._timer:
            self._send_due()
            until = self.start + (self.due[-1] if self.due else 0.0) + patience
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until - time.monotonic()):
                    await self.finished
        for handle in handles:
            handle.cancel()
        self.errors["no answer"] += self._unfinished
        self._unfinished = 0
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in list(self._open):
            connection.transport.abort()
        await asyncio.sleep(0)  # the loop closes them in its next round

    def _send_due(self) -> None:
        now = time.monotonic() - self.start
        due, n = self.due, len(self.due)
        while self._next < n and due[self._next] <= now:
            self._waiting.append(self._next)
            self._next += 1
            if self._idle:
                self._send(self._idle.pop())
            elif len(self._open) + len(self._opening) < self._max_connections:
                self._connect()
        while self._waiting and due[self._waiting[0]] < now - self._give_up:
            self._failed(self._waiting.popleft(), GIVEN_UP)
        if self._next < n:
            self._timer.set(self.start + due[self._next])
        elif not n and not self.finished.done():
            self.finished.set_result(None)

    def _send(self, connection: _Connection) -> None:
        at = self._waiting.popleft()
        self.sent[at] = time.monotonic()
        connection.send(at, self._requests[at])

    def _connect(self) -> None:
        task = asyncio.get_running_loop().create_task(self._opened())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _opened(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Connection(self), *self._address)
        except OSError as error:
            if self._waiting:
                self._failed(self._waiting.popleft(), f"not connected: {error.strerror or error}")

    def free(self, connection: _Connection) -> None:
        self._open.add(connection)
        self.most_connections = max(self.most_connections, len(self._open))
        if self._waiting:
            self._send(connection)
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection, error: Exception | None) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.at >= 0:
            begun = "mid-answer" if self.first_byte[connection.at] == self.first_byte[connection.at] else "no answer"
            self._failed(connection.at, f"{'reset' if error else 'closed'}: {begun}")
        if self._waiting and len(self._open) + len(self._opening) < self._max_connections:
            self._connect()

    def _failed(self, at: int, why: str) -> None:
        self.errors[why] += 1
        self._finish(at)

    def answered(self, at: int, status: int, body: bytes) -> None:
        self.done[at] = time.monotonic()
        wanted = self._sources[self.source[at]].reply
        self.status[at] = status if status != 200 or wanted is None or body == wanted else WRONG
        self._finish(at)

    def _finish(self, _: int) -> None:
        self._unfinished -= 1
        if self._unfinished == 0 and not self.finished.done():
            self.finished.set_result(None)


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """A collection would be a pause of the generator's, told as one of the service's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run_open_load(
    url: str,
    sources: Sequence[Source],
    *,
    seed: int = 7,
    max_connections: int = 1000,
    give_up_seconds: float = math.inf,
    at: Sequence[tuple[float, Callable[[], None]]] = (),
    patience_seconds: float = PATIENCE_SECONDS,
) -> Answers:
    """Sends what is due; `at` says what else to do, and when. Waits for the last answers, for so many seconds at most.

    With `max_connections` busy, requests wait for a free one, for `give_up_seconds` at most; their latency counts on.
    """
    driver = _Driver(url, sources, seed, max_connections, give_up_seconds)
    cpu = time.process_time()
    with _no_collections(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(driver.run(at, patience_seconds))
    sent, first_byte, done = (np.array(times) - driver.start for times in (driver.sent, driver.first_byte, driver.done))
    return Answers(
        driver.source, np.array(driver.due), sent, first_byte, done, np.array(driver.status, np.int64),
        {why: n for why, n in driver.errors.items() if n}, driver.most_connections, time.process_time() - cpu,
    )  # fmt: skip
