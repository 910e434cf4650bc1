"""A memory budget that all requests reserve against as they grow, so that none is killed for want of memory.

Every part of a request is reserved before it is taken, at what it may become, and set to what it is afterwards. What
does not fit is refused: 503 where others hold the memory, 413 where it would not fit alone.

Small scores that are answered from what is remembered (service/quick) hold nothing but their body, on the event loop,
one at a time; they reserve only where the body has to be waited for.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from proto.limits import over
from proto.media import Media
from service.metrics import Metrics
from service.turns import busy

__all__ = [
    "GROUP_BYTES",
    "Budget",
    "Reservation",
    "available_memory",
    "decoding_bytes",
    "finishing_bytes",
    "reply_bytes",
    "resident_bytes",
    "table_bytes",
]

SHARE = 0.7  # of what the container has left once the service is ready: the rest is for what the allocator keeps
KEPT_BYTES, LEAST_SHARE = 400_000_000, 0.35
"""What allocators were seen to hold beyond what is reserved, however large the container, with room to spare: 70 to
180 MB beside six uploads at a time. In a small one the budget leaves so much free, and is still a share of it."""
MIB = 1 << 20

# What things take, measured at the peak with tracemalloc and rounded up; tests/service/test_budget.py compares.
_DECODING_RATIO = {Media.JSON: 18, Media.CSV: 5, Media.ARROW: 0, Media.PARQUET: 0}
"""Of a piece's bytes. {"rows": […]} of short numbers is the worst of JSON. Arrow is read where it lies; what compressed
buffers become, and what row groups of Parquet do, is declared and reserved by the reader."""
_IN_PLACE_BYTES, _SMALL_IN_PLACE_BYTES = 140, 300
"""A customer's, in a table that grows in its place: a record of 64 bytes and 6 to 13 of its group; where records leave
the room they have, once in a while, both old and new ones. Four times as many as long as it is small."""
_SMALL_TABLE = 131_072
_RECORD_BYTES = 300
"""A customer's, where records and keys are apart: records double beside the old ones (192), slots too (77)."""
_PAIR_BYTES = 80
_TEXT_RATIO = 2.5  # an arena grows by half, beside the old one
_ROW_BYTES = 100
"""Of a row that is being prepared: ids, times, amounts, hashes, its part, its occasion."""
_FINISHED_BYTES = 320
"""A customer's, from the table's listing to the last pass of a fit over three features."""
_FEATURE_BYTES = 40
"""A customer's, for every feature more: raw, standardised, and as told in the summary."""
_REPLY_ROW_BYTES, _REPLY_ROWS = 500, 65_536  # one piece in the making, one on its way; JSON's are 250 bytes a row
GROUP_BYTES = 150_000
"""A group's model and summary, as objects and as JSON, with partition_by."""


def available_memory(cgroup: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """The bytes this container may use: the least limit of the control groups it is in (v2 or v1), or the machine's."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _limit_files(cgroup, own):
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            limits.append(int(file.read_text()))
    return min(limits)


def _limit_files(cgroup: Path, own: Path) -> Iterator[Path]:
    """Where limits may stand: in a container the root is its own group, elsewhere its group is below."""
    paths = {"": "/", "memory": "/"}
    with contextlib.suppress(OSError, ValueError):
        paths |= {kinds: path for _, kinds, path in (line.split(":", 2) for line in own.read_text().splitlines())}
    for kinds, root, name in (("", cgroup, "memory.max"), ("memory", cgroup / "memory", "memory.limit_in_bytes")):
        path = PurePosixPath(paths[kinds])
        yield from (root / group.relative_to("/") / name for group in (path, *path.parents))


def resident_bytes() -> int:
    """What this process has of its own in memory; 0 where that cannot be told."""
    try:
        resident, shared = Path("/proc/self/statm").read_text().split()[1:3]
    except OSError:
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def decoding_bytes(media: Media, n_bytes: int) -> int:
    """What decoding a piece of a body takes beside it, at most."""
    return _DECODING_RATIO[media] * n_bytes


def table_bytes(
    n_rows: int, n_customers: int, n_pairs: int, text_bytes: int, *, in_place: bool, n_shards: int, with_pairs: bool
) -> int:
    """What a table with so many customers, pairs and texts takes at most while it takes in so many rows.

    `text_bytes`: those it has and those that come with the rows.
    """
    n = n_customers + n_rows
    if in_place:
        size = n * (_SMALL_IN_PLACE_BYTES if n < _SMALL_TABLE * n_shards else _IN_PLACE_BYTES)
    else:
        size = n * _RECORD_BYTES + ((n_pairs + n_rows) * _PAIR_BYTES if with_pairs else 0)
    return size + int(text_bytes * _TEXT_RATIO) + n_rows * _ROW_BYTES


def finishing_bytes(n_customers: int, n_features: int, text_bytes: int) -> int:
    """What fitting or scoring so many customers takes beside the table, at most."""
    return n_customers * (_FINISHED_BYTES + _FEATURE_BYTES * max(0, n_features - 3)) + 3 * text_bytes


def reply_bytes(n_customers: int) -> int:
    """What a reply takes on its way: a few of its pieces."""
    return min(n_customers, _REPLY_ROWS) * _REPLY_ROW_BYTES


class Budget:
    """The bytes that all requests may hold together. From any thread."""

    def __init__(self, total: int | None = None, metrics: Metrics | None = None) -> None:
        self._by_itself = total is None
        self.total = int(available_memory() * SHARE) if total is None else total
        self.reserved = 0
        self._lock = threading.Lock()
        if metrics is not None:
            metrics.memory_budget.set_function(lambda: self.total)
            metrics.memory_reserved.set_function(lambda: self.reserved)

    def settle(self, resident: int | None = None) -> None:
        """Shares out what is left once the process is ready; a total that was asked for stays.

        Under 1 GB, with 200 MB of kernels and libraries, 560 MB for requests ended in an out-of-memory kill.
        """
        if self._by_itself:
            left = available_memory() - (resident_bytes() if resident is None else resident)
            self.total = int(min(left * SHARE, max(left - KEPT_BYTES, left * LEAST_SHARE)))

    def reservation(self) -> Reservation:
        """One request's share, nothing yet."""
        return Reservation(self)

    def _move(self, own: int, change: int) -> None:
        """Adds to what is reserved; RequestError where it does not fit. `own`: what the caller holds already."""
        with self._lock:
            if change > 0 and self.reserved + change > self.total:
                wanted, others = own + change, self.reserved - own
                if wanted > self.total:
                    remedy = "Send fewer rows or customers in one request, or raise SEGSERVE_MEMORY_BUDGET_BYTES."
                    raise over("memory_budget_bytes", wanted, self.total, remedy)
                raise busy(
                    f"The request needs {wanted:,} bytes of memory, and other requests hold {others:,} of the "
                    f"{self.total:,} there are.",
                    "memory_budget_bytes",
                    wanted,
                    self.total - others,
                )
            self.reserved += change


class Reservation:
    """What one request has reserved, by part. From any thread; a context that gives all back at its end."""

    def __init__(self, budget: Budget | None = None) -> None:
        self._budget = budget
        self._parts: dict[str, int] = {}
        self._lock = threading.Lock()
        self.held = 0
        self.peak = 0

    def set(self, part: str, n_bytes: int) -> None:
        """Reserves so much for a part, in place of what it had; RequestError(BUSY or LIMIT_EXCEEDED) leaves it that."""
        with self._lock:
            self._change(part, n_bytes - self._parts.get(part, 0))

    def add(self, part: str, n_bytes: int) -> None:
        """Reserves so much more for a part, or less."""
        with self._lock:
            self._change(part, n_bytes)

    def _change(self, part: str, change: int) -> None:
        if self._budget is not None and change:
            self._budget._move(self.held, change)
        self._parts[part] = self._parts.get(part, 0) + change
        self.held += change
        self.peak = max(self.peak, self.held)

    def close(self) -> None:
        """Gives all back."""
        with self._lock:
            for part, n_bytes in list(self._parts.items()):
                self._change(part, -n_bytes)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
