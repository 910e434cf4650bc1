"""Rows per day against sorted lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.day_counts import FIRST_DAY, LAST_DAY, DayCounts

from .aggregation_inputs import I64


@given(st.lists(st.integers(-5000, 5000), min_size=1, max_size=50), st.sampled_from([0, 1, 50, 99.9, 100]))
@settings(max_examples=200, deadline=None)
def test_percentile_is_the_nearest_rank(ticks: list[int], p: float) -> None:
    days = DayCounts(100)
    for start in range(0, len(ticks), 7):
        days.add(np.array(ticks[start : start + 7], dtype=np.int64))
    rank = max(1, int(np.ceil(len(ticks) * p / 100)))
    assert days.percentile(p) == sorted(tick // 100 for tick in ticks)[rank - 1] * 100
    assert days.n_rows == len(ticks)


def test_far_times_are_clipped_and_masked_rows_left_out() -> None:
    days = DayCounts(10)
    ticks = np.array([I64.min, 55, I64.max, 77], dtype=np.int64)
    days.add(ticks, np.array([True, True, True, False]))
    assert [days.percentile(p) for p in (0, 50, 100)] == [FIRST_DAY * 10, 50, LAST_DAY * 10]
    days.add(np.zeros(0, dtype=np.int64))
    assert days.n_rows == 3


def test_no_rows() -> None:
    with pytest.raises(ValueError, match="found no rows"):
        DayCounts(1).percentile(50)
