"""Gives freed memory back to the operating system.

What an error came through refers to itself in a circle, tables and all, until the garbage collector passes: six large
uploads at a time that were refused left 160 MB, and a full collection none. That is cheap once what is there for good
is out of its sight.

glibc keeps what threads free between blocks that are still in use: 280 MB stayed after a request of 2 million
customers was cut, and nothing with this. Elsewhere (macOS, musl) there is nothing to do. Small requests leave little
each: 20,000 hostile ones left 95 MB, two thirds of it in allocators, so it is looked at now and then.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from service.budget import resident_bytes

__all__ = ["Leftovers", "give_back", "keep_for_good"]

LOOK_SECONDS = 5.0
GROWN_BYTES = 16 << 20


def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


_trim = _malloc_trim()


def keep_for_good() -> None:
    """What is there now, modules and kernels, is looked at by no collection to come."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Returns every page that holds nothing; takes milliseconds, most of them without the interpreter's lock."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)


class Leftovers:
    """Gives back what many small requests left together; on the event loop only."""

    def __init__(
        self, resident: Callable[[], int] = resident_bytes, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._resident, self._clock = resident, clock
        self._kept = 0  # bytes, when it was given back the last time
        self._next = 0.0
        self._returning: asyncio.Future[None] | None = None

    @property
    def is_returning(self) -> bool:
        """Whether a thread is at it."""
        return self._returning is not None

    def look(self) -> None:
        """A chore: where the process has grown since the last time, what holds nothing is given back by a thread."""
        now = self._clock()
        if now < self._next or self.is_returning:
            return
        self._next = now + LOOK_SECONDS
        resident = self._resident()
        self._kept = min(self._kept, resident)
        if resident - self._kept > GROWN_BYTES:
            self._returning = asyncio.get_running_loop().run_in_executor(None, give_back)
            self._returning.add_done_callback(self._returned)

    def _returned(self, _: asyncio.Future[None]) -> None:
        self._returning = None
        self._kept = self._resident()
