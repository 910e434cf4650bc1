"""Who may come in, and who may compute: places for requests, and slots for pieces of work, by lane.

A place is taken before the first body byte is read and costs nothing but a count. A bulk request (declared longer than
a small one, or of unknown length) takes a bulk place once its first piece is there, so that one who only connects
takes nobody's, and gives it back when its reply is not read, so that a slow reader takes nobody's either: then only its
memory is reserved. A compute slot is taken for one piece of work at a time, so a slow client holds a connection and
never a thread. Each lane has slots and threads of its own; those of bulk work stand back (threads.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Literal, TypeVar

from proto.errors import RequestError
from service.metrics import LANES, Metrics, StageTimer
from service.threads import step_back
from service.turns import Turns, busy

__all__ = ["Admission", "BulkPlace", "Lane", "kept_while_read"]

Lane = Literal["small", "bulk"]

SLOW_READER_SECONDS = 1.0
MOST_DRAINS = 64  # refused bodies read to their end at one time; each may take 5 s of a connection

T = TypeVar("T")


class _Slots:
    """The compute slots of one lane, and as many threads."""

    def __init__(self, lane: Lane, n: int, turns: Turns, nice: int = 0) -> None:
        self.turns = turns
        self._workers = ThreadPoolExecutor(n, f"worker-{lane}", step_back, (nice,))

    async def run(self, timer: StageTimer, work: Callable[[], T], *, begun: bool) -> T:
        with timer.stage("queue"):
            await self.turns.take(begun=begun)
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
            self.turns.give_back()

    def close(self) -> None:
        self._workers.shutdown()


class Admission:
    """Places and slots of one process; used from the event loop only."""

    def __init__(
        self,
        max_requests: int,
        n_slots: int,
        metrics: Metrics,
        *,
        max_bulk_requests: int = 64,
        max_queued_requests: int = 256,
        queue_seconds: float | None = None,
        small_queue_seconds: float | None = None,
        bulk_nice: int = 0,
    ) -> None:
        self._max_requests = max_requests
        self.in_flight = 0
        self.drains = 0
        self._bulk = Turns(max_bulk_requests, max_queued_requests, queue_seconds, what="bulk places")
        small = Turns(
            n_slots,
            max_queued_requests,
            small_queue_seconds,
            what="compute slots of the small lane",
            setting="small_queue_seconds",
        )
        bulk = _Slots("bulk", n_slots, Turns(n_slots), bulk_nice)
        self._slots = {"small": _Slots("small", n_slots, small), "bulk": bulk}
        metrics.slots.set(len(LANES) * n_slots)
        metrics.in_flight.set_function(lambda: self.in_flight)
        metrics.slots_in_use.set_function(lambda: self.slots_in_use)
        metrics.bulk_places.set_function(lambda: self._bulk.in_use)
        metrics.bulk_queue.set_function(lambda: self._bulk.waiting)
        metrics.drains.set_function(lambda: self.drains)
        for lane in LANES:
            turns = self._slots[lane].turns
            metrics.lane_slots.labels(lane).set_function(partial(getattr, turns, "in_use"))
            metrics.lane_queue.labels(lane).set_function(partial(getattr, turns, "waiting"))

    @property
    def slots_in_use(self) -> int:
        return sum(slots.turns.in_use for slots in self._slots.values())

    @property
    def is_full(self) -> bool:
        """Whether every place is taken."""
        return self.in_flight >= self._max_requests

    def try_enter(self) -> bool:
        """Takes a place for one request, where there is one; `leave` gives it back."""
        if self.in_flight >= self._max_requests:
            return False
        self.in_flight += 1
        return True

    def leave(self) -> None:
        self.in_flight -= 1

    def refusal(self) -> RequestError:
        """What a request is told that finds no place."""
        told = f"{self.in_flight} requests are being answered, as many as this service takes."
        return busy(told, "max_requests", self.in_flight, self._max_requests)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one request; RequestError(BUSY) when all are taken."""
        if not self.try_enter():
            raise self.refusal()
        try:
            yield
        finally:
            self.leave()

    def bulk_place(self) -> BulkPlace:
        """A bulk place to be taken later; RequestError(BUSY) at once where even the queue for one is full."""
        if self._bulk.is_full:
            raise self._bulk.refusal()
        return BulkPlace(self._bulk)

    def check_slots(self, lane: Lane) -> None:
        """Refuses a request at its start where the queue for this lane's slots is full."""
        turns = self._slots[lane].turns
        if turns.is_full:
            raise turns.refusal()

    @contextmanager
    def drain_place(self) -> Iterator[bool]:
        """Whether the rest of a refused body may be read: so many at a time, or refusing would fill the service."""
        may = self.drains < MOST_DRAINS
        self.drains += may
        try:
            yield may
        finally:
            self.drains -= may

    async def run(self, timer: StageTimer, work: Callable[[], T], lane: Lane = "bulk", *, begun: bool = False) -> T:
        """Runs one piece of work in a worker thread of the lane, once a slot is free; `begun`: not the request's first.

        A cancelled caller still waits for its piece, so that a slot is never given away while a thread is busy.
        """
        return await self._slots[lane].run(timer, work, begun=begun)

    def close(self) -> None:
        for slots in self._slots.values():
            slots.close()


class BulkPlace:
    """One of the places that bulk requests share."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._taken = False

    async def take(self) -> None:
        """Waits for the place; RequestError(BUSY) when that takes too long."""
        if not self._taken:
            await self._turns.take()
            self._taken = True

    def leave(self) -> None:
        if self._taken:
            self._taken = False
            self._turns.give_back()


@contextmanager
def kept_while_read(place: BulkPlace | None) -> Iterator[None]:
    """While a piece of the reply is sent: after a while its place is given back, so that who reads slowly keeps nobody
    else out. What such a client holds is memory, and that stays reserved."""
    if place is None:
        yield
        return
    timer = asyncio.get_running_loop().call_later(SLOW_READER_SECONDS, place.leave)
    try:
        yield
    finally:
        timer.cancel()
