import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels.finite import all_finite


@given(st.lists(st.floats(), max_size=20))
def test_whether_all_are_finite(values: list[float]) -> None:
    assert all_finite(np.array(values, dtype=np.float64)) == all(math.isfinite(value) for value in values)


def test_the_greatest_number_is_finite_and_one_that_is_not_is_found_anywhere() -> None:
    values = np.full(1_000, -np.finfo(np.float64).max)
    assert all_finite(values)
    for place in (0, 63, 999):
        for odd in (np.nan, -np.nan, np.inf, -np.inf):
            assert not all_finite(np.where(np.arange(1_000) == place, odd, values))
