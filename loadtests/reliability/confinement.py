"""A limit on what one process may have in memory: a control group of its own, where this machine lets us make one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Confinement", "memory_limit"]

ROOT = Path("/sys/fs/cgroup")
VERSIONS = (
    (ROOT / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"),
    (ROOT, "memory.max", "memory.peak", "memory.events"),
)


class Confinement(NamedTuple):
    """A control group; `before` is the command that runs another one inside it."""

    folder: Path
    before: tuple[str, ...]
    peak_file: str
    events_file: str

    def peak_bytes(self) -> int:
        """The most memory its processes had, page cache included."""
        return int((self.folder / self.peak_file).read_text())

    def oom_kills(self) -> int:
        """How many of its processes the kernel has ended for want of memory."""
        lines = (line.split() for line in (self.folder / self.events_file).read_text().splitlines())
        return int(dict(lines).get("oom_kill", 0))


@contextlib.contextmanager
def memory_limit(n_bytes: int) -> Iterator[Confinement | None]:
    """A control group of so many bytes, removed in the end; None where none can be made (it takes root)."""
    for parent, limit, peak, events in VERSIONS:
        folder = parent / f"segserve-{os.getpid()}"
        try:
            folder.mkdir()
            (folder / limit).write_text(str(n_bytes))
        except OSError:
            with contextlib.suppress(OSError):
                folder.rmdir()
            continue
        try:
            enter = ("sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$@"', "sh")
            yield Confinement(folder, enter, peak, events)
        finally:
            _remove(folder)
        return
    yield None


def _remove(folder: Path) -> None:
    for _ in range(100):
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.05)  # its last process is still going
