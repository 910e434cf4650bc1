"""When a request counts from, in the ticks of its time column: what windows, days and months are made of."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from kernels.purchase_days import months_of
from proto.instants import NANOSECONDS_PER_DAY, local_date_days
from service.columns import TimeUnit
from service.population import Instant

__all__ = ["Moment"]

_INT64_MIN = -(2**63)


class Moment(NamedTuple):
    """as_of (None while it is the latest row, or where no row is), the unit of the times, and the shop's zone."""

    as_of: Instant | None
    unit: TimeUnit
    tz: str

    def tick_before(self, days: float) -> int:
        """The tick that so many days before as_of end at: a window is what lies behind it. as_of must be known."""
        assert self.as_of is not None
        if self.unit.is_date:
            return max(_INT64_MIN, self.as_of.tick - math.ceil(days))
        start_ns = self.as_of.ns - round(days * NANOSECONDS_PER_DAY)
        return max(_INT64_MIN, start_ns * self.unit.ticks_per_day // NANOSECONDS_PER_DAY)

    def last_whole_month(self) -> int:
        """12 · year + month (0 … 11) of the last calendar month that is over at as_of."""
        return int(months_of(np.array([self.day_after()]))[0]) - 1

    def day(self) -> int:
        """The local day of as_of, as days since 1970."""
        if self.as_of is None:
            return 0
        return self.as_of.tick if self.unit.is_date else local_date_days(self.as_of.ns, self.tz)

    def day_after(self) -> int:
        """The local day of the instant that follows as_of, as days since 1970."""
        if self.as_of is None:
            return 0
        if self.unit.is_date:
            return self.as_of.tick + 1
        return local_date_days(self.as_of.ns + 1, self.tz)
