"""Turns: so many at a time, a bounded queue for the others, and a deadline for those who wait."""

from __future__ import annotations

import asyncio
from collections import deque

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


class Turns:
    """First come, first served; from the event loop only.

    `seconds` None: whoever waits does so until it is its turn. RequestError(BUSY) names the limit that was met: the
    queue is full, or the wait too long, since whoever sent that request has given up or soon will.
    """

    def __init__(
        self,
        n: int,
        most_waiting: int | None = None,
        seconds: float | None = None,
        *,
        what: str = "turns",
        setting: str = "queue_seconds",
    ) -> None:
        self._n, self._most_waiting, self._seconds = n, most_waiting, seconds
        self._what, self._setting = what, setting
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.in_use = 0

    @property
    def waiting(self) -> int:
        """How many are in the queue."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether the next one would be refused."""
        return self._most_waiting is not None and self.in_use >= self._n and self.waiting >= self._most_waiting

    def refusal(self) -> RequestError:
        """What the next one is told when it is full."""
        assert self._most_waiting is not None
        return busy(
            f"All {self._n} {self._what} are taken and {self.waiting} requests wait for one, as many as may.",
            "max_queued_requests",
            self.waiting,
            self._most_waiting,
        )

    async def take(self) -> None:
        """Waits for a turn; `give_back` ends it."""
        if self.in_use < self._n:
            self.in_use += 1
            return
        if self.is_full:
            raise self.refusal()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back()  # it came while the wait was given up
            else:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                assert self._seconds is not None
                found, wanted = round(self._seconds, 3), self._seconds
                told = f"No {self._what} came free within {self._seconds:g} s."
                raise busy(told, self._setting, found, wanted) from None
            raise

    def give_back(self) -> None:
        """Ends a turn; the next in the queue has it at once."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.in_use -= 1
