"""What a process uses, as the kernel counts it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

__all__ = ["Usage", "Watch", "usage"]

TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """Of one process at one time; resident memory is what is its own (RssAnon), without mapped files."""

    seconds: float
    anonymous_bytes: int
    resident_bytes: int
    files: int
    threads: int
    cpu_seconds: float


def usage(pid: int) -> Usage:
    """Now; OSError where the process is gone."""
    folder = Path(f"/proc/{pid}")
    lines = (line.split() for line in (folder / "status").read_text().splitlines())
    status = {line[0].rstrip(":"): line[1] for line in lines if len(line) > 1}
    if "RssAnon" not in status:
        raise ProcessLookupError(f"process {pid} has ended")
    user, system = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
    return Usage(
        time.monotonic(),
        int(status["RssAnon"]) * 1024,
        int(status["VmRSS"]) * 1024,
        len(os.listdir(folder / "fd")),
        int(status["Threads"]),
        (int(user) + int(system)) / TICKS,
    )


class Watch:
    """Looks at a process at regular intervals, until the block ends or the process does."""

    def __init__(self, pid: int, every_seconds: float) -> None:
        self._pid, self._every = pid, every_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.samples: list[Usage] = []

    def _look(self) -> None:
        while True:
            try:
                self.samples.append(usage(self._pid))
            except OSError:
                return  # the process has ended
            if self._ended.wait(self._every):
                return

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
