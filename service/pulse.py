"""The heartbeat of the event loop: how late it is, and the few chores that want doing now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from prometheus_client import Histogram

from service.logs import log

__all__ = ["Pulse"]

BEAT_SECONDS = 0.1
CHORE_BEATS = 10


class Pulse:
    """Beats ten times a second while it runs; every second it does its chores. On the event loop only."""

    def __init__(self, lag: Histogram, *chores: Callable[[], None]) -> None:
        self._lag = lag
        self._chores = chores
        self._due = 0.0
        self._beats = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._due = time.monotonic() + BEAT_SECONDS
        self._timer = asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        # Not the loop's own clock: uvloop reads it once per round, so a blocked loop would look punctual.
        self._lag.observe(max(0.0, time.monotonic() - self._due))
        self.start()
        self._beats += 1
        if self._beats % CHORE_BEATS == 0:
            for chore in self._chores:
                try:
                    chore()
                except Exception:
                    log.exception("chore failed")
