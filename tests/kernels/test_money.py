"""128-bit sums against Python's integers."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.money import sums_fit, sums_to_float

from .aggregation_inputs import words_of

EDGES = [0, 1, -1, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 2**64 + 1, -(2**64), 2**127 - 1]
WIDE = st.sampled_from([*EDGES, -(2**127), 10**38, 10**38 - 1, -(10**38), 1 - 10**38]) | st.integers(
    -(2**127), 2**127 - 1
)


@given(st.lists(WIDE, max_size=20), st.integers(-3, 30))
@settings(max_examples=300, deadline=None)
def test_to_float(values: list[int], scale: int) -> None:
    found = sums_to_float(words_of(values), scale)
    assert sums_to_float(words_of(values), 0).tolist() == [float(value) for value in values]
    exact = [float(Fraction(value) / Fraction(10) ** scale) for value in values]
    np.testing.assert_allclose(found, exact, rtol=4e-16)


@given(WIDE)
@settings(max_examples=300, deadline=None)
def test_fit(value: int) -> None:
    words = words_of([5, value])
    assert sums_fit(words, "int64") == (-(2**63) <= value < 2**63)
    assert sums_fit(words, "decimal38") == (abs(value) < 10**38)
