"""A clock that stands still until a test moves it on."""

from __future__ import annotations


class Clock:
    """Called for the time in seconds, as time.monotonic is."""

    now = 100.0

    def __call__(self) -> float:
        return self.now
