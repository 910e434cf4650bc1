"""Deadlines of connections: head, body, reply and the whole; one look at all of them now and then, no timer for each.

A body, and a reply, has to move at a least rate over a window: one byte a second is no progress. Time in which the
service itself does not read counts for nobody.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from proto.errors import ErrorCode, RequestError
from service.logs import log
from service.metrics import Metrics

try:
    import fcntl
    import termios
except ImportError:  # Windows: it does not tell
    fcntl = termios = None  # type: ignore[assignment]

__all__ = ["Connection", "Deadlines", "Kind", "Pace", "Watch", "cut", "missed", "unsent_bytes"]

Kind = Literal["header", "read", "request", "write"]

MOST_SECONDS_BETWEEN_LOOKS = 1.0


class Deadlines(NamedTuple):
    """Seconds; see the settings of these names."""

    header_seconds: float = 10.0
    read_seconds: float = 20.0
    write_seconds: float = 30.0
    request_seconds: float = 3600.0
    min_bytes_per_second: int = 1024

    @property
    def seconds_between_looks(self) -> float:
        """A deadline is missed by at most a quarter of it."""
        return min(MOST_SECONDS_BETWEEN_LOOKS, *(seconds / 4 for seconds in self[:4]))


def missed(kind: Kind, deadlines: Deadlines) -> RequestError:
    """The refusal of a request that missed a deadline: which one, its setting, and what to do."""
    rate = deadlines.min_bytes_per_second
    setting = f"{kind}_seconds"
    seconds: float = getattr(deadlines, setting)
    told = {
        "header": f"The head of the request did not arrive within {seconds:g} s. Send it at once.",
        "read": f"Fewer than {rate:,} bytes a second of the body arrived for {seconds:g} s. Send faster, compress it "
        "(Content-Encoding: zstd), or send less at once.",
        "request": f"The request took longer than {seconds:g} s. Send less data at once.",
        "write": f"Fewer than {rate:,} bytes a second of the reply were taken for {seconds:g} s. Read faster.",
    }[kind]
    variable = f"SEGSERVE_{setting.upper()}"
    return RequestError(
        ErrorCode.TIMEOUT,
        f"{told} The limit is {variable}.",
        deadline=kind,
        limit=setting,
        wanted=seconds,
    )


class Pace:
    """How fast something moves: `is_slow` once a window has passed with less than the least rate."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._moved = 0

    def stop(self) -> None:
        """Nothing has to move now."""
        self._since = None

    def is_slow(self, moved: int, now: float, seconds: float, rate: int) -> bool:
        """`moved` is the bytes so far, counted from anywhere."""
        if self._since is None or moved < self._moved:
            self._since, self._moved = now, moved
            return False
        if now - self._since < seconds:
            return False
        slow = moved - self._moved < rate * (now - self._since)
        self._since, self._moved = now, moved
        return slow


class Connection(Protocol):
    """What is watched."""

    def missed_deadline(self, now: float, deadlines: Deadlines) -> Kind | None:
        """The deadline that this connection has just missed, if any."""

    def end(self, kind: Kind, error: RequestError) -> bool:
        """Ends what missed its deadline; True where the client is sent the error."""


class Watch:
    """All connections of the process; on the event loop only."""

    def __init__(self, deadlines: Deadlines, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.deadlines = deadlines
        self.connections: set[Connection] = set()
        self.clock = clock
        self._metrics = metrics
        self._timer: asyncio.TimerHandle | None = None
        metrics.connections.set_function(lambda: len(self.connections))

    def start(self) -> None:
        """Begins to look; on the running loop."""
        loop = asyncio.get_running_loop()

        def again() -> None:
            self.look()
            self._timer = loop.call_later(self.deadlines.seconds_between_looks, again)

        self._timer = loop.call_later(self.deadlines.seconds_between_looks, again)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Ends every connection that missed a deadline."""
        now = self.clock()
        for connection in list(self.connections):
            kind = connection.missed_deadline(now, self.deadlines)
            if kind is not None:
                error = missed(kind, self.deadlines)
                self._metrics.deadlines.labels(kind).inc()
                told = connection.end(kind, error)
                log.warning("deadline missed", extra={"fields": {"deadline": kind, "answered": told, **error.facts}})


def unsent_bytes(fd: int) -> int:
    """Bytes in the system's send queue of a socket that the other side has not taken; 0 where it does not tell.

    The queue takes megabytes and empties in leaps: without it a reader of 10 KB a second would seem to stand still.
    """
    if fcntl is None:
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, b"\0\0\0\0"))[0])
    except (OSError, ValueError):
        return 0


def cut(transport: asyncio.Transport) -> None:
    """Ends a connection at once, and with it what the system still holds to be sent: else it keeps megabytes of a reply
    for who reads a byte a second, and who reads it learns of the end hours later.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
