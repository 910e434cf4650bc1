"""What `as_of` means: the instant recency counts from, in nanoseconds since 1970 UTC, and back to text."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo

__all__ = ["NANOSECONDS_PER_DAY", "instant_ns", "local_date_days", "rfc3339"]

NANOSECONDS_PER_DAY = 86_400 * 10**9
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def instant_ns(as_of: str, tz: str, now_ns: int) -> int:
    """`as_of` (now, a bare date, or a time with its offset) as nanoseconds since 1970 UTC.

    A bare date stands for the whole day in `tz`: its last nanosecond.
    """
    if as_of == "now":
        return now_ns
    if len(as_of) == len("2026-01-31"):
        day_after = dt.date.fromisoformat(as_of) + dt.timedelta(days=1)
        midnight = dt.datetime.combine(day_after, dt.time(), tzinfo=zoneinfo.ZoneInfo(tz))
        return _microseconds(midnight) * 1000 - 1
    return _microseconds(dt.datetime.fromisoformat(re.sub(r" (?=\d\d:\d\d$)", "+", as_of))) * 1000


def local_date_days(ns: int, tz: str) -> int:
    """The date in `tz` on which the instant falls, as days since 1970."""
    local = (_EPOCH + dt.timedelta(microseconds=ns // 1000)).astimezone(zoneinfo.ZoneInfo(tz))
    return (local.date() - _EPOCH.date()).days


def rfc3339(ns: int) -> str:
    """The instant as RFC 3339 text in UTC, with as many decimals as it needs; years beyond 9999 as plain numbers."""
    seconds, fraction = divmod(ns, 10**9)
    try:
        text = (_EPOCH + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    except OverflowError:
        return f"@{seconds}"  # outside the calendar of RFC 3339
    decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{text}{decimals}Z"


def _microseconds(instant: dt.datetime) -> int:
    return (instant - _EPOCH) // dt.timedelta(microseconds=1)
