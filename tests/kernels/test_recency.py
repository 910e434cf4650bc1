"""Days since a purchase, and local days, against exact arithmetic."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.recency import local_days, recency_days, tenure_days

from .aggregation_inputs import I64

TICKS = st.integers(I64.min + 1, I64.max) | st.integers(-100, 100)


@given(TICKS, st.lists(TICKS, max_size=10), st.sampled_from([1, 24, 86_400, 86_400 * 10**9]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_days_are_exact(as_of: int, ticks: list[int], per_day: int, whole: bool) -> None:
    found = recency_days(np.array(ticks, dtype=np.int64), as_of, 0, per_day, whole)
    exact = [Fraction(as_of - tick, per_day) for tick in ticks]
    expected = [float(days // 1) if whole else float(days) for days in exact]
    np.testing.assert_allclose(found, expected, rtol=3e-16, atol=0 if whole else 3e-16)


@given(st.integers(0, 10**6), st.integers(0, 86_399), st.sampled_from([0, 10**9 - 1]))
def test_whole_days_round_down_before_anything_else(days: int, seconds: int, rest_ns: int) -> None:
    # as_of=2026-01-31 is the day's last nanosecond: at 128 days and above a float64 has no room for what is missing
    found = recency_days(np.array([0]), days * 86_400 + seconds, rest_ns, 86_400, True)
    assert found.tolist() == [days]


@given(st.integers(-(10**18), 10**18), st.integers(-(10**9), 10**9))
@settings(max_examples=200, deadline=None)
def test_every_unit_gives_the_same_bits(as_of_ns: int, second: int) -> None:
    found = set()
    for per_second in (1, 10**3, 10**6, 10**9):
        tick, rest_ns = divmod(as_of_ns, 10**9 // per_second)
        found |= set(recency_days(np.array([second * per_second]), tick, rest_ns, 86_400 * per_second, False).tolist())
    assert len(found) == 1
    exact = float(Fraction(as_of_ns - second * 10**9, 86_400 * 10**9))
    assert found.pop() == pytest.approx(exact, rel=3e-16, abs=3e-16)


def test_no_purchase_and_the_rest() -> None:
    ticks = np.array([I64.min, 0, 12], dtype=np.int64)
    hour = 3_600 * 10**9
    np.testing.assert_array_equal(recency_days(ticks, 24, hour // 2, 24, False), [np.nan, 1 + 1 / 48, 0.5 + 1 / 48])
    np.testing.assert_array_equal(tenure_days(ticks, 24, hour - 1, 24, True), [np.nan, 1, 0])


@pytest.mark.parametrize("unit", [1, 10**6])
def test_local_days_follow_the_zone(unit: int) -> None:
    zone = ZoneInfo("America/New_York")
    start = datetime(2024, 1, 1, tzinfo=UTC)
    hours = [start + timedelta(minutes=30 * i) for i in range(48 * 366)]
    offset = [int(hour.astimezone(zone).utcoffset().total_seconds()) for hour in hours]  # type: ignore[union-attr]
    seconds = [int(hour.timestamp()) for hour in hours]
    changes = [i for i in range(1, len(hours)) if offset[i] != offset[i - 1]]
    assert len(changes) == 2
    transitions = np.array([seconds[i] * unit for i in changes])
    offsets = np.array([offset[0], *(offset[i] for i in changes)]) * unit
    expected = [(hour.astimezone(zone).date() - datetime(1970, 1, 1).date()).days for hour in hours]
    ticks = np.array(seconds) * unit
    assert local_days(ticks, 86_400 * unit, transitions, offsets).tolist() == expected
    pieces = [local_days(ticks[i : i + 97], 86_400 * unit, transitions, offsets) for i in range(0, len(ticks), 97)]
    assert np.concatenate(pieces).tolist() == expected  # most of them lie between two changes
    mixed = np.random.default_rng(0).permutation(len(ticks))
    assert local_days(ticks[mixed], 86_400 * unit, transitions, offsets).tolist() == [expected[i] for i in mixed]


def test_local_days_at_the_ends_of_time() -> None:
    ticks = np.array([I64.min, I64.max, -1, 0], dtype=np.int64)
    for offset in (-5, 0, 5):
        found = local_days(ticks, 10, np.zeros(0, dtype=np.int64), np.array([offset]))
        assert found.tolist() == [(int(tick) + offset) // 10 for tick in ticks]


@given(
    st.lists(TICKS, max_size=10), st.sampled_from([1, 24, 86_400, 86_400 * 10**6, 86_400 * 10**9]), st.integers(-9, 9)
)
@settings(max_examples=200, deadline=None)
def test_local_days_are_those_of_whole_numbers(ticks: list[int], per_day: int, offset: int) -> None:
    offset = offset * per_day // 10
    found = local_days(np.array(ticks, dtype=np.int64), per_day, np.zeros(0, dtype=np.int64), np.array([offset]))
    assert found.tolist() == [(tick + offset) // per_day for tick in ticks]
