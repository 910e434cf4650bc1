"""How many requests a second a key may make: a token bucket, which fills with time and is emptied by requests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

__all__ = ["TokenBucket"]

_ONE = 1 - 1e-9  # a token, less what sums of fractions are off by


class TokenBucket:
    """`rate` requests a second in the long run, `burst` at once; counted on the clock that is never set back."""

    __slots__ = ("_clock", "_filled_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst = rate, burst
        self._clock = clock
        self._tokens = burst
        self._filled_at = clock()

    def take(self) -> int:
        """Takes a token and returns 0; where there is none, the whole seconds until there is one again."""
        now = self._clock()
        tokens = min(self.burst, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        if tokens < _ONE:
            self._tokens = tokens
            return max(1, math.ceil((_ONE - tokens) / self.rate))
        self._tokens = max(0.0, tokens - 1)
        return 0
