"""Holds a process to a memory limit, as a container would: it is killed once its resident memory passes it.

RLIMIT_AS and RLIMIT_DATA count address space, of which kernels and allocators reserve far more than they touch, and a
control group cannot be made everywhere. The kernel keeps the peak of the resident memory, so none is missed between
two looks.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import NamedTuple

__all__ = ["Memory", "Watch", "memory_of"]

_LOOK_SECONDS = 0.05


class Memory(NamedTuple):
    """Resident memory of a process, in bytes."""

    now: int
    peak: int


def memory_of(pid: int) -> Memory:
    """Memory of a running process (Linux)."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Memory(*(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")))


class Watch:
    """Looks at a process until it is closed; `broken` holds the peak that passed the limit."""

    def __init__(self, pid: int, limit_bytes: int) -> None:
        self.broken = 0
        self._pid, self._limit_bytes = pid, limit_bytes
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            try:
                peak = memory_of(self._pid).peak
            except (OSError, KeyError):
                return
            if peak > self._limit_bytes:
                self.broken = peak
                os.kill(self._pid, signal.SIGKILL)
                return

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
