"""Turns: so many at a time, a bounded queue for the others, and a deadline for those who wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from proto.errors import ErrorCode, RequestError

__all__ = ["RETRY_AFTER_SECONDS", "Turns", "busy"]

RETRY_AFTER_SECONDS = 1


def busy(what: str, limit: str, found: float, wanted: float) -> RequestError:
    """The refusal of what would fit at another time: 503, with the limit that was met."""
    return RequestError(
        ErrorCode.BUSY,
        f"{what} Try again in {RETRY_AFTER_SECONDS} s.",
        limit=limit,
        found=found,
        wanted=wanted,
    )


LIKELY = 0.6
"""A wait of this part of the longest one is refused: the next turns may take longer than the last ones did."""
RECENT = 0.1
"""Weight of the last turn in what is known of turns, once there were some."""


class Turns:
    """First come, first served, those that have begun before others; from the event loop only.

    `seconds` None: whoever waits does so until it is its turn. RequestError(BUSY) names the limit that was met: the
    queue is full, or the wait too long, since whoever sent that request has given up or soon will. A wait that will be
    too long, as turns have come lately, is refused at its start: an early no is worth more than a late one.
    """

    def __init__(
        self,
        n: int,
        most_waiting: int | None = None,
        seconds: float | None = None,
        *,
        what: str = "turns",
        setting: str = "queue_seconds",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._n, self._most_waiting, self._seconds = n, most_waiting, seconds
        self._what, self._setting = what, setting
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._begun: deque[asyncio.Future[None]] = deque()
        self.in_use = 0
        self._clock = clock
        self._between_seconds = 0.0  # from one turn to the next of those that wait, lately
        self._turns = 0  # of those that waited
        self._last_turn: float | None = None  # while there is a queue

    @property
    def waiting(self) -> int:
        """How many are in the queue."""
        return len(self._waiting) + len(self._begun)

    @property
    def expected_seconds(self) -> float:
        """How long the next one would wait, as turns have come lately, or as long as the next has been awaited."""
        if self.in_use < self._n or self._last_turn is None:
            return 0.0
        return len(self._waiting) * max(self._between_seconds, self._clock() - self._last_turn)

    @property
    def _is_too_long(self) -> bool:
        return self._seconds is not None and self.expected_seconds > LIKELY * self._seconds

    @property
    def is_full(self) -> bool:
        """Whether the next one would be refused."""
        if self.in_use < self._n:
            return False
        return (self._most_waiting is not None and len(self._waiting) >= self._most_waiting) or self._is_too_long

    def refusal(self) -> RequestError:
        """What the next one is told when it is full."""
        if self._is_too_long:
            assert self._seconds is not None
            expected = round(self.expected_seconds, 3)
            told = f"{self.waiting} requests wait for {self._what}; the wait would be about {expected:g} s."
            return busy(told, self._setting, expected, self._seconds)
        assert self._most_waiting is not None
        return busy(
            f"All {self._n} {self._what} are taken and {self.waiting} requests wait for one, as many as may.",
            "max_queued_requests",
            self.waiting,
            self._most_waiting,
        )

    async def take(self, *, begun: bool = False) -> None:
        """Waits for a turn; `give_back` ends it.

        Who has `begun`, and had a turn before, goes ahead of the others and is never refused: what was done for it
        would be lost, and its answer may be on its way.
        """
        if self.in_use < self._n:
            self.in_use += 1
            return
        if self.is_full and not begun:
            raise self.refusal()
        turn = asyncio.get_running_loop().create_future()
        queue = self._begun if begun else self._waiting
        queue.append(turn)
        if self._last_turn is None:
            self._last_turn = self._clock()
        try:
            async with asyncio.timeout(None if begun else self._seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back()  # it came while the wait was given up
            else:
                queue.remove(turn)
            if isinstance(error, TimeoutError):
                assert self._seconds is not None
                found, wanted = round(self._seconds, 3), self._seconds
                told = f"No {self._what} came free within {self._seconds:g} s."
                raise busy(told, self._setting, found, wanted) from None
            raise

    def give_back(self) -> None:
        """Ends a turn; the next in the queue has it at once."""
        for queue in (self._begun, self._waiting):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    if queue is self._waiting:
                        self._learn()
                    turn.set_result(None)
                    return
        self._last_turn = None
        self.in_use -= 1

    def _learn(self) -> None:
        """How long it takes lately from one that waited to the next."""
        now = self._clock()
        if self._last_turn is not None:
            self._turns += 1
            weight = max(RECENT, 1 / self._turns)  # the first ones count in full: many may come before ten have gone
            self._between_seconds += weight * (now - self._last_turn - self._between_seconds)
        self._last_turn = now
