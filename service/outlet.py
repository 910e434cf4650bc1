"""Where log lines go out: a stream that may have a slow reader, or none, and is never waited for.

A pipe that nobody reads is full after 64 KiB, and the next write would stop the event loop and with it the service. So
a pipe is written to only where it has room; lines wait in memory, up to a limit, and what is dropped beyond is counted
and told once there is room again.
"""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

__all__ = ["Outlet"]

WAITING_BYTES = 4 << 20
PIPE_BYTES = 4_096
"""PIPE_BUF: a pipe that says it can be written to takes so much without a wait. (POSIX promises 512, Linux 4,096.)"""


class Outlet:
    """Writes whole lines, in their order, to one stream; not safe for threads by itself, a handler's lock is."""

    def __init__(self, stream: TextIO, dropped_line: Callable[[int], str]) -> None:
        self._stream, self._dropped_line = stream, dropped_line
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self.dropped = 0
        try:
            self._fd = stream.fileno() if hasattr(select, "poll") else -1
        except (OSError, ValueError):
            self._fd = -1
        if self._fd >= 0:
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLOUT)

    @property
    def waits(self) -> bool:
        """Whether some of what was written is not out yet."""
        return bool(self._waiting or self.dropped)

    def write(self, lines: str) -> None:
        """Puts the lines out, now where there is room; OSError or ValueError when nobody will ever read them."""
        if self._fd < 0:
            self._stream.write(lines)
            self._stream.flush()
            return
        data = lines.encode("utf-8", "backslashreplace")
        if self._waiting_bytes + len(data) > WAITING_BYTES:
            self.dropped += lines.count("\n")
        else:
            self._waiting.append(data)
            self._waiting_bytes += len(data)
        self.push()

    def push(self, seconds: float = 0.0) -> None:
        """Writes what waits as far as there is room; waits for room for so long at most."""
        until = time.monotonic() + seconds
        while self._waiting or self.dropped:
            if not self._poll.poll(max(0.0, until - time.monotonic()) * 1e3):
                return
            if not self._waiting:
                self._waiting.append(self._dropped_line(self.dropped).encode())
                self._waiting_bytes += len(self._waiting[0])
                self.dropped = 0
            first = self._waiting.popleft()
            try:
                written = os.write(self._fd, first[:PIPE_BYTES])
            except BlockingIOError:
                written = 0
            except OSError:
                self._waiting.clear()
                self._waiting_bytes = self.dropped = 0
                raise
            self._waiting_bytes -= written
            if written < len(first):
                self._waiting.appendleft(first[written:])
