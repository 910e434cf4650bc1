"""as_of: against zoneinfo, at the ends of the calendar, where midnight is missing or comes twice, and back to text."""

import datetime as dt
import zoneinfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proto.instants import NANOSECONDS_PER_DAY, instant_ns, local_date_days, rfc3339

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "America/Toronto",
    "Africa/Monrovia",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Australia/Lord_Howe",
]
dates = st.dates(dt.date(1890, 1, 1), dt.date(2105, 12, 31))


def _local_date(ns: int, zone: zoneinfo.ZoneInfo) -> dt.date:
    return (EPOCH + dt.timedelta(microseconds=ns // 1000)).astimezone(zone).date()


def test_now_is_the_time_the_request_started() -> None:
    assert instant_ns("now", "Europe/Berlin", 123_456_789) == 123_456_789


@pytest.mark.parametrize(
    ("as_of", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T01:00:00 01:00", 0),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        ("1970-01-01T00:00Z", 0),
        ("1970-01-01T00:00:00.123456789Z", 123_456_789),
        ("1970-01-01T00:00:00.1234567899+00:00", 123_456_789),
        ("1970-01-01T00:00:00,25-01:00", 3_600_250_000_000),
        ("1970-01-02T00:00:00+00:00:30", 86_370_000_000_000),
    ],
)
def test_times(as_of: str, ns: int) -> None:
    assert instant_ns(as_of, "UTC", 0) == ns


@given(dates, st.sampled_from(ZONES))
@example(dt.date(2006, 10, 28), "America/St_Johns")  # at 00:01 clocks go back to 23:01 of the day before
@example(dt.date(2018, 11, 3), "America/Sao_Paulo")  # the next day starts at 01:00
@example(dt.date(2018, 2, 17), "America/Sao_Paulo")  # 23:00 to 24:00 come twice
@example(dt.date(2012, 11, 3), "America/Havana")  # 00:00 to 01:00 come twice on the next day
@example(dt.date(1919, 3, 30), "America/Toronto")  # at 23:30 clocks go forward to 00:30
@example(dt.date(1972, 1, 6), "Africa/Monrovia")  # 44:30 are left out
@example(dt.date(2011, 12, 29), "Pacific/Apia")  # the next day is missing
def test_a_date_ends_with_its_last_nanosecond(date: dt.date, tz: str) -> None:
    zone = zoneinfo.ZoneInfo(tz)
    end = instant_ns(date.isoformat(), tz, 0)
    assert _local_date(end, zone) == date
    assert _local_date(end + 1, zone) > date
    assert all(_local_date(end + minutes * 60 * 10**9 + 1, zone) > date for minutes in range(0, 26 * 60, 7))


def test_a_date_that_a_zone_left_out_ends_where_it_would_have_been() -> None:
    end = instant_ns("2011-12-30", "Pacific/Apia", 0)
    assert end == instant_ns("2011-12-29", "Pacific/Apia", 0)
    assert rfc3339(end + 1) == "2011-12-30T10:00:00Z"


@pytest.mark.parametrize("tz", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
@pytest.mark.parametrize("date", ["9999-12-31", "0001-01-01"])
def test_the_ends_of_the_calendar(date: str, tz: str) -> None:
    end = instant_ns(date, tz, 0)
    day = (dt.date.fromisoformat(date) - EPOCH.date()).days
    assert abs(end - (day + 1) * NANOSECONDS_PER_DAY) < NANOSECONDS_PER_DAY
    assert local_date_days(end, tz) == day


@pytest.mark.parametrize(
    ("as_of", "tz"), [("9999-12-31T23:59:59-12:00", "UTC"), ("0001-01-01T00:00:00+14:00", "America/New_York")]
)
def test_times_beyond_the_calendar_have_its_nearest_date(as_of: str, tz: str) -> None:
    nearest = dt.date.max if as_of.startswith("9") else dt.date.min
    assert local_date_days(instant_ns(as_of, tz, 0), tz) == (nearest - EPOCH.date()).days


@given(st.integers(-(2**62), 2**62), st.sampled_from(ZONES))
@example(-1, "UTC")
@example(0, "Africa/Monrovia")
def test_local_dates_are_those_of_zoneinfo(ns: int, tz: str) -> None:
    assert local_date_days(ns, tz) == (_local_date(ns, zoneinfo.ZoneInfo(tz)) - EPOCH.date()).days


@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_800 * 10**9 - 1))
@example(-62_135_596_800 * 10**9)  # 0001-01-01: the year has four digits
@example(1_700_000_000_123_456_789)
@settings(max_examples=200)
def test_text_and_back(ns: int) -> None:
    text = rfc3339(ns)
    assert instant_ns(text, "UTC", 0) == ns
    assert text[4] == text[7] == "-"
    assert text.endswith("Z")


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (253_402_300_800 * 10**9, "@253402300800"),
        (-62_135_596_801 * 10**9, "@-62135596801"),
    ],
)
def test_text(ns: int, text: str) -> None:
    assert rfc3339(ns) == text
