import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.log1p import LARGEST, log1p
from kernels.scaling import signed_log


def ulps(found, wanted):
    return abs(found - wanted) / math.ulp(wanted)


@settings(deadline=None, max_examples=500)
@given(st.floats(0, LARGEST))
def test_is_within_an_ulp_of_the_library(x):
    assert ulps(log1p(x), math.log1p(x)) <= 1


def test_is_within_an_ulp_over_all_magnitudes_and_at_the_seams():
    rng = np.random.default_rng(0)
    seams = [0.0, 5e-324, 2.0**-54, 2.0**-53, math.sqrt(2) - 1, 1.0, 2 * math.sqrt(2) - 1, 2.0**52, 2.0**53, 2.0**54]
    around = [y for x in seams for y in (x, math.nextafter(x, 1e9), math.nextafter(x, 0.0))]
    x = np.array([*around, *10 ** rng.uniform(-320, 300, 2000), *10 ** rng.uniform(-3, 7, 3000), LARGEST])
    found = signed_log(x, 1.0, False)
    assert max(ulps(a, math.log1p(b)) for a, b in zip(found.tolist(), x.tolist(), strict=True)) <= 1
    assert log1p(0.0) == 0.0


def test_ascends():
    x = np.sort(10 ** np.random.default_rng(1).uniform(-9, 9, 3000))
    steps = np.diff(signed_log(x, 1.0, False))
    assert (steps >= -4e-15).all()  # an ulp at a seam between exponents


def test_huge_values_count_as_the_largest_and_nan_stays():
    assert log1p(math.inf) == log1p(1e308) == log1p(LARGEST)
    assert math.isnan(log1p(math.nan))


def test_bits_do_not_depend_on_the_position():
    x = np.random.default_rng(2).lognormal(2, 3, 1100)
    together = signed_log(x, 0.37, False)
    for i in [*range(40), 1023, 1024, 1099]:
        assert signed_log(x[i : i + 1], 0.37, False)[0] == together[i]
        assert signed_log(x[i:], 0.37, False)[0] == together[i]
