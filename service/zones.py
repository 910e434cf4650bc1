"""Time zones as arrays: the instants at which a zone's offset changes, for the kernels, which know no zone database."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Zone", "zone_table"]

_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_UTC_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Zone(NamedTuple):
    """`transitions` int64[t]: UTC seconds, ascending; `offsets` int64[t + 1]: seconds to add before, between, after."""

    transitions: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


@functools.lru_cache(maxsize=64)
def zone_table(name: str) -> Zone:
    """The zone's offset changes from 1900 to 2100; before and after, the nearest offset holds.

    zoneinfo tells offsets, not changes: days whose ends differ are searched for the second of the change.
    """
    if name == "UTC":
        return Zone(np.zeros(0, np.int64), np.zeros(1, np.int64))
    zone = zoneinfo.ZoneInfo(name)

    def offset(second: int) -> int:
        shift = dt.datetime.fromtimestamp(second, zone).utcoffset()  # twice as fast as astimezone
        return 0 if shift is None else shift.days * 86_400 + shift.seconds

    day = (dt.datetime(_FIRST_YEAR, 1, 1, tzinfo=dt.UTC) - _UTC_EPOCH).days * 86_400
    end = (dt.datetime(_LAST_YEAR, 1, 1, tzinfo=dt.UTC) - _UTC_EPOCH).days * 86_400
    transitions: list[int] = []
    offsets = [offset(day)]
    while day < end:
        if offset(day + 86_400) != offsets[-1]:
            low, high = max(day, transitions[-1] if transitions else day), day + 86_400
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
            transitions.append(high)
            offsets.append(offset(high))
            if offset(day + 86_400) != offsets[-1]:
                continue  # a second change on the same day
        day += 86_400
    return Zone(np.array(transitions, np.int64), np.array(offsets, np.int64))
