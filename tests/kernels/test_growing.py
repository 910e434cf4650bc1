import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.growing import Growing


@given(st.lists(st.integers(0, 400_000), max_size=6), st.sampled_from([0.0, np.nan]))
def test_values_stay_as_they_are_written_and_new_ones_are_the_fill(sizes: list[int], fill: float) -> None:
    growing, wanted = Growing((2,), np.float64, fill), np.empty((0, 2))
    for i, n in enumerate(sizes):
        values = growing.of(n)
        wanted = np.concatenate([wanted, np.full((max(0, n - len(wanted)), 2), fill)])
        assert values[: len(wanted)].tobytes() == wanted.tobytes()
        values[: min(n, 3)] = wanted[: min(n, 3)] = i
        values[max(0, n - 1) : n] = wanted[max(0, n - 1) : n] = -i
        assert growing.nbytes == 16 * len(wanted)


@pytest.mark.parametrize("n", [1, 200, 70_000])
def test_values_begin_on_a_cache_line(n: int) -> None:
    values = Growing((), np.int64).of(n)
    assert values.ctypes.data % 64 == 0
    assert len(values) >= n
    assert not values[:n].any()
