"""Zone tables against zoneinfo: random instants, every change by the second, and zones with odd histories."""

import datetime as dt
import zoneinfo
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.zones import zone_table

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FIRST, END = ((dt.datetime(year, 1, 1, tzinfo=dt.UTC) - EPOCH).days * 86_400 for year in (1900, 2100))
ZONES = [
    "UTC",
    "Etc/GMT+12",
    "Europe/Berlin",
    "Europe/Amsterdam",  # until 1937 19 min 32 s before UTC in winter
    "America/New_York",
    "America/St_Johns",  # changes at 00:01
    "Africa/Monrovia",  # until 1972 44 min 30 s behind UTC
    "Africa/Casablanca",  # changes around Ramadan, listed until 2087
    "Asia/Kathmandu",
    "Pacific/Apia",  # no 30 December 2011
    "Australia/Lord_Howe",  # half an hour of summer time
]


def _offset(second: int, name: str) -> int:
    shift = (EPOCH + dt.timedelta(seconds=second)).astimezone(zoneinfo.ZoneInfo(name)).utcoffset()
    assert shift is not None
    return int(shift.total_seconds())


def _looked_up(second: int, name: str) -> int:
    zone = zone_table(name)
    return int(zone.offsets[np.searchsorted(zone.transitions, second, side="right")])


@pytest.mark.parametrize("name", ZONES)
def test_a_table_is_well_formed(name: str) -> None:
    zone = zone_table(name)
    assert (zone.transitions.dtype, zone.offsets.dtype) == (np.int64, np.int64)
    assert len(zone.offsets) == len(zone.transitions) + 1
    assert all(a < b for a, b in pairwise(zone.transitions.tolist()))
    assert all(a != b for a, b in pairwise(zone.offsets.tolist()))
    assert zone_table(name) is zone


@pytest.mark.parametrize("name", ZONES)
def test_every_change_is_known_by_the_second(name: str) -> None:
    for second in zone_table(name).transitions.tolist():
        for near in (second - 1, second):
            assert _looked_up(near, name) == _offset(near, name)


@given(st.sampled_from(ZONES), st.lists(st.integers(FIRST, END - 1), max_size=50))
def test_random_instants(name: str, seconds: list[int]) -> None:
    assert [_looked_up(second, name) for second in seconds] == [_offset(second, name) for second in seconds]


@pytest.mark.parametrize("name", ["Europe/Berlin", "Africa/Casablanca", "Pacific/Apia"])
def test_no_change_is_missed(name: str) -> None:
    """Every three hours of a century; a table that skips a change within a day would show."""
    seconds = range(-10 * 365 * 86_400, END, 3 * 3600 * 7 + 1)
    assert [_looked_up(s, name) for s in seconds] == [_offset(s, name) for s in seconds]


def test_utc_never_changes() -> None:
    zone = zone_table("UTC")
    assert (zone.transitions.tolist(), zone.offsets.tolist()) == ([], [0])


def test_samoa_left_a_day_out() -> None:
    change = int((dt.datetime(2011, 12, 30, 10, tzinfo=dt.UTC) - EPOCH).total_seconds())
    assert _looked_up(change - 1, "Pacific/Apia") == -10 * 3600
    assert _looked_up(change, "Pacific/Apia") == 14 * 3600
    assert change in zone_table("Pacific/Apia").transitions


def test_seconds_count() -> None:
    assert _looked_up(0, "Africa/Monrovia") == -(44 * 60 + 30)


def test_outside_the_table_the_nearest_offset_holds() -> None:
    assert _looked_up(-(10**12), "Europe/Berlin") == _offset(FIRST, "Europe/Berlin")
    assert _looked_up(10**12, "Europe/Berlin") == _offset(END, "Europe/Berlin")


def test_an_unknown_zone_is_an_error() -> None:
    with pytest.raises(zoneinfo.ZoneInfoNotFoundError):
        zone_table("Mars/Olympus")
