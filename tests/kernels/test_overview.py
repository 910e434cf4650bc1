"""Counts of all customers: as a loop in Python finds them, for any number of threads."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import _run
from kernels.overview import overview
from kernels.recency import NO_PURCHASE

from .aggregation_inputs import run_on_pool

CUSTOMER = st.tuples(
    st.integers(-9, 9) | st.just(NO_PURCHASE),
    st.floats(-9, 9) | st.sampled_from([0.0, -0.0, math.nan, -math.nan, math.inf, -math.inf]),
    st.integers(0, 2**53),
)


@given(st.lists(CUSTOMER, max_size=20))
def test_counts_are_those_of_a_loop(customers: list[tuple[int, float, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_run, "BLOCK", 3)
        ticks, frequencies = (np.array([one[k] for one in customers], dtype=np.int64) for k in (0, 2))
        revenue = np.array([one[1] for one in customers], dtype=np.float64)
        found = overview(ticks, revenue, frequencies, run_on_pool(2))
    assert found.frequencies.tolist() == [float(one[2]) for one in customers]
    assert found[1:] == (
        sum(one[0] == NO_PURCHASE for one in customers),
        sum(one[1] < 0 for one in customers),
        sum(not math.isfinite(one[1]) for one in customers),
    )
