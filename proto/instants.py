"""What `as_of` means: the instant recency counts from, in nanoseconds since 1970 UTC, and back to text."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo

__all__ = ["NANOSECONDS_PER_DAY", "instant_ns", "local_date_days", "rfc3339"]

NANOSECONDS_PER_DAY = 86_400 * 10**9
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d+)(?=Z|[+-])")


def instant_ns(as_of: str, tz: str, now_ns: int) -> int:
    """`as_of` (now, a bare date, or a time with its offset) as nanoseconds since 1970 UTC.

    A bare date stands for the whole day in `tz`: its last nanosecond.
    """
    if as_of == "now":
        return now_ns
    if len(as_of) == len("2026-01-31"):
        return _day_end(dt.date.fromisoformat(as_of), tz) * 10**9 - 1
    text = re.sub(r" (?=\d\d:\d\d$)", "+", as_of)
    # datetime knows microseconds only, and cuts the rest off.
    fraction = _FRACTION.search(text)
    nanoseconds = int(fraction[1][:9].ljust(9, "0")) if fraction else 0
    return _seconds(dt.datetime.fromisoformat(_FRACTION.sub("", text))) * 10**9 + nanoseconds


def _day_end(date: dt.date, tz: str) -> int:
    """The second at which `date` is over in `tz`, since 1970 UTC.

    That is the next midnight, which a zone may leave out (Toronto 1919: 23:30 became 00:30) or have twice (Havana:
    01:00 becomes 00:00, and the first one counts; Newfoundland: 00:01 became 23:01, and the second one does).
    """
    midnight = dt.datetime.combine(date, dt.time(), zoneinfo.ZoneInfo(tz))
    if date == dt.date.max:
        return _seconds(midnight) + 86_400
    ends = [_seconds((midnight + dt.timedelta(days=1)).replace(fold=fold)) for fold in (0, 1)]
    low, high = min(ends) - 1, max(ends)
    today = (date - _EPOCH.date()).days
    if local_date_days((high - 1) * 10**9, tz) <= today:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if local_date_days(middle * 10**9, tz) <= today else (low, middle)
    return high


def local_date_days(ns: int, tz: str) -> int:
    """The date in `tz` on which the instant falls, as days since 1970; outside the years 1 to 9999, the nearest."""
    try:
        local = (_EPOCH + dt.timedelta(seconds=ns // 10**9)).astimezone(zoneinfo.ZoneInfo(tz)).date()
    except OverflowError:
        local = dt.date.max if ns > 0 else dt.date.min
    return (local - _EPOCH.date()).days


def rfc3339(ns: int) -> str:
    """The instant as RFC 3339 text in UTC, with as many decimals as it needs; years beyond 9999 as plain numbers."""
    seconds, fraction = divmod(ns, 10**9)
    try:
        text = (_EPOCH + dt.timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    except OverflowError:
        return f"@{seconds}"  # outside the calendar of RFC 3339
    decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{text}{decimals}Z"


def _seconds(instant: dt.datetime) -> int:
    return (instant - _EPOCH) // dt.timedelta(seconds=1)
