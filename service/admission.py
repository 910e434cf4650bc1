"""Who may come in, and who may compute: places for requests, slots for pieces of work.

A place is taken before the first body byte is read and costs nothing but a count. A compute slot is taken for one
piece of work at a time, so a slow client holds a connection and never a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

from proto.errors import ErrorCode, RequestError
from service.metrics import Metrics, StageTimer

__all__ = ["RETRY_AFTER_SECONDS", "Admission"]

RETRY_AFTER_SECONDS = 1

T = TypeVar("T")


class Admission:
    """Places and slots of one process; used from the event loop only."""

    def __init__(self, max_requests: int, n_slots: int, metrics: Metrics) -> None:
        self._max_requests = max_requests
        self._slots = asyncio.Semaphore(n_slots)
        self._workers = ThreadPoolExecutor(n_slots, thread_name_prefix="worker")
        self.in_flight = 0
        self.slots_in_use = 0
        metrics.slots.set(n_slots)
        metrics.in_flight.set_function(lambda: self.in_flight)
        metrics.slots_in_use.set_function(lambda: self.slots_in_use)

    def try_enter(self) -> bool:
        """Takes a place for one request, where there is one; `leave` gives it back."""
        if self.in_flight >= self._max_requests:
            return False
        self.in_flight += 1
        return True

    def leave(self) -> None:
        self.in_flight -= 1

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one request; RequestError(BUSY) when all are taken."""
        if not self.try_enter():
            raise RequestError(
                ErrorCode.BUSY,
                f"{self.in_flight} requests are being answered, as many as this service takes. Try again in "
                f"{RETRY_AFTER_SECONDS} s.",
                limit="max_requests",
                found=self.in_flight,
                wanted=self._max_requests,
            )
        try:
            yield
        finally:
            self.leave()

    async def run(self, timer: StageTimer, work: Callable[[], T]) -> T:
        """Runs one piece of work in a worker thread, once a slot is free.

        A cancelled caller still waits for its piece, so that a slot is never given away while a thread is busy.
        """
        with timer.stage("queue"):
            await self._slots.acquire()
        self.slots_in_use += 1
        try:
            future = asyncio.get_running_loop().run_in_executor(self._workers, work)
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                while not future.done():  # a caller may be cancelled more than once
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait([future])
                future.exception()  # seen: nobody waits for it
                raise
        finally:
            self.slots_in_use -= 1
            self._slots.release()

    def close(self) -> None:
        self._workers.shutdown()
