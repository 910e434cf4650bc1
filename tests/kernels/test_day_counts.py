"""Rows per day against sorted lists."""

import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.day_counts import FIRST_DAY, LAST_DAY, DayCounts

from .aggregation_inputs import I64
from .threads import run_on_threads


@given(st.lists(st.integers(-5000, 5000), min_size=1, max_size=50), st.sampled_from([0, 1, 50, 99.9, 100]))
@settings(max_examples=200, deadline=None)
def test_percentile_lies_between_two_rows(ticks: list[int], p: float) -> None:
    days = DayCounts(100)
    for start in range(0, len(ticks), 7):
        days.add(np.array(ticks[start : start + 7], dtype=np.int64))
    place, ordered = Fraction(p) * (len(ticks) - 1) / 100, sorted(tick // 100 for tick in ticks)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    between = float(low + (place - math.floor(place)) * (high - low))
    assert days.percentile(p) // 100 in {math.floor(between - 1e-9), math.floor(between + 1e-9)}
    assert days.n_rows == len(ticks)


@given(
    st.lists(st.integers(int(I64.min), int(I64.max)) | st.integers(-(10**6), 10**6), min_size=1, max_size=20),
    st.sampled_from([1, 86_400, 86_400 * 10**3, 86_400 * 10**6, 86_400 * 10**9]),
    st.integers(-3, 3),
)
@settings(max_examples=300, deadline=None)
def test_the_day_is_the_floor_of_the_quotient(days_or_ticks: list[int], ticks_per_day: int, beside: int) -> None:
    near_midnight = [day * ticks_per_day + beside for day in days_or_ticks]
    for tick in [*days_or_ticks, *near_midnight]:
        if I64.min <= tick <= I64.max:
            days = DayCounts(ticks_per_day)
            days.add(np.array([tick], dtype=np.int64))
            assert days.percentile(50) == min(max(tick // ticks_per_day, FIRST_DAY), LAST_DAY) * ticks_per_day


def test_far_times_are_clipped_and_masked_rows_left_out() -> None:
    days = DayCounts(10)
    ticks = np.array([I64.min, 55, I64.max, 77], dtype=np.int64)
    days.add(ticks, np.array([True, True, True, False]))
    assert [days.percentile(p) for p in (0, 50, 100)] == [FIRST_DAY * 10, 50, LAST_DAY * 10]
    days.add(np.zeros(0, dtype=np.int64))
    assert days.n_rows == 3


def test_threads_count_side_by_side() -> None:
    days, ticks = DayCounts(10), np.arange(1000, dtype=np.int64)
    pieces = [ticks[start::50] for start in range(50)]
    run_on_threads([partial(days.add, piece) for piece in pieces])
    assert days.n_rows == 1000
    whole = DayCounts(10)
    whole.add(ticks)
    assert [days.percentile(p) for p in range(101)] == [whole.percentile(p) for p in range(101)]


def test_no_rows() -> None:
    with pytest.raises(ValueError, match="found no rows"):
        DayCounts(1).percentile(50)
