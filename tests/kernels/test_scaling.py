import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.scaling import (
    NO_MOMENTS,
    SCORE_PROBABILITIES,
    centre_and_spread,
    median_nonzero_abs,
    merge_moments,
    moments,
    quantiles,
    signed_log,
    sorted_median_nonzero_abs,
)
from tests.kernels import naive_scaling as naive
from tests.kernels.threads import needs_jit, run_on_threads

money = st.one_of(st.integers(-50, 50).map(float), st.floats(-1e6, 1e6))
some_money = st.lists(money, min_size=1, max_size=40)


@settings(deadline=None)
@given(st.lists(money, max_size=40), st.sampled_from([1.0, 0.25, 100.0]), st.booleans())
def test_signed_log(values, factor, clip):
    found = signed_log(np.array(values), factor, clip)
    assert found == pytest.approx(naive.signed_log(values, factor, clip), rel=1e-15)


@settings(deadline=None)
@given(some_money)
def test_median_nonzero_abs(values):
    assert median_nonzero_abs(np.array(values)) == pytest.approx(naive.median_nonzero_abs(values), rel=1e-15)


def test_median_nonzero_abs_leaves_its_argument_and_knows_nothing_of_zeros():
    values = np.array([0.0, -9.0, 3.0, 0.0, 1.0])
    assert median_nonzero_abs(values) == 3.0
    assert values.tolist() == [0.0, -9.0, 3.0, 0.0, 1.0]
    assert median_nonzero_abs(np.zeros(4)) == 0.0
    assert median_nonzero_abs(np.empty(0)) == 0.0


@settings(deadline=None)
@given(st.lists(money, max_size=40), st.booleans())
def test_the_median_of_sorted_values_is_the_same_one(values, clip):
    counted = np.maximum(np.array(values), 0.0) if clip else np.array(values)
    assert sorted_median_nonzero_abs(np.sort(np.array(values)), clip) == median_nonzero_abs(counted)


@settings(deadline=None)
@given(st.lists(money, max_size=40))
def test_logs_are_written_where_there_is_room_for_them(values):
    room = np.full(len(values), np.nan)
    assert signed_log(np.array(values), 0.5, False, room) is room
    assert room.tolist() == signed_log(np.array(values), 0.5, False).tolist()


@settings(deadline=None)
@given(some_money, st.sampled_from(["zscore", "minmax", "robust", "none"]))
def test_moments_that_are_known_are_not_taken_again(values, scaler):
    values = np.array(values)
    assert centre_and_spread(values, scaler, known=moments(values)) == centre_and_spread(values, scaler)


@settings(deadline=None)
@given(some_money, st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_quantiles(values, percents):
    percents = sorted(percents)
    found = quantiles(np.array(values), np.array(percents))
    assert found == pytest.approx([naive.quantile(values, p) for p in percents], rel=1e-9, abs=1e-9)
    assert (np.diff(found) >= 0).all()
    assert min(values) <= found[0] <= found[-1] <= max(values)


def test_score_probabilities_are_tenths_then_hundredths():
    p = SCORE_PROBABILITIES
    assert len(p) == 1010
    assert (p[0], p[1], p[999], p[1000], p[-1]) == (0.0, 0.1, 99.9, 99.91, 100.0)
    assert (np.diff(p) > 0).all()


@pytest.mark.parametrize("n", range(1, 302, 2))
def test_a_quantile_at_the_place_of_a_value_is_that_value(n):
    values = np.sqrt(np.arange(1.0, n + 1))
    percents = np.array([p for p in range(101) if p * (n - 1) % 100 == 0])
    assert quantiles(values, percents).tolist() == [values[p * (n - 1) // 100] for p in percents.tolist()]


@settings(deadline=None)
@given(some_money)
def test_moments(values):
    found = moments(np.array(values))
    assert found.count == len(values)
    assert (found.minimum, found.maximum) == (min(values), max(values))
    assert found.mean == pytest.approx(math.fsum(values) / len(values), rel=1e-12, abs=1e-9)
    centred = math.fsum((v - found.mean) ** 2 for v in values)
    assert found.m2 == pytest.approx(centred, rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(st.lists(money, max_size=20), st.lists(money, max_size=20))
def test_merged_moments_are_those_of_both(a, b):
    merged = merge_moments(moments(np.array(a)), moments(np.array(b)))
    whole = moments(np.array(a + b))
    assert merged.count == whole.count
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-9)
    assert merged.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-6)
    assert merged[3:] == whole[3:]


def test_no_values_have_no_moments():
    assert moments(np.empty(0)) == NO_MOMENTS


@needs_jit
@pytest.mark.parametrize("n", [65_535, 65_536, 65_537, 200_001])
def test_moments_have_the_same_bits_on_threads(n):
    values = np.random.default_rng(n).lognormal(3, 2, n)
    found = moments(values)
    assert found == moments(values, run_on_threads)
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    assert found.m2 / n == pytest.approx(values.var(), rel=1e-10)


@settings(deadline=None)
@given(some_money, st.sampled_from(["zscore", "minmax", "robust", "none"]))
def test_centre_and_spread(values, scaler):
    centre, spread, fell_back = centre_and_spread(np.array(values), scaler)
    wanted_centre, wanted_spread, wanted_fell_back = naive.centre_and_spread(values, scaler)
    if scaler == "robust" and fell_back != wanted_fell_back:
        return  # the quartiles differ by a rounding
    assert fell_back == wanted_fell_back
    assert centre == pytest.approx(wanted_centre, rel=1e-9, abs=1e-6)
    assert spread == pytest.approx(wanted_spread, rel=1e-6, abs=1e-6)


def test_zero_spread_is_decided_on_the_values():
    alike = np.full(1000, 0.1)  # whose mean is not 0.1 in floating point
    for scaler in ("zscore", "minmax", "robust", "none"):
        assert centre_and_spread(alike, scaler) == (0.1, 0.0, False)
    assert centre_and_spread(np.array([0.1, 0.2]), "none") == (0.0, 1.0, False)
    nearly = np.array([0.0, 0.0, 5e-324])
    assert centre_and_spread(nearly, "zscore")[1] > 0.0


def test_robust_falls_back_where_the_quartiles_meet():
    values = np.array([1.0] * 9 + [11.0])
    assert centre_and_spread(values, "robust") == (2.0, 3.0, True)


def test_what_cannot_be_scaled_is_refused():
    with pytest.raises(ValueError, match="at least one value"):
        centre_and_spread(np.empty(0), "zscore")
    with pytest.raises(ValueError, match="at least one value"):
        quantiles(np.empty(0), np.array([50.0]))
    with pytest.raises(ValueError, match="'log'"):
        centre_and_spread(np.array([1.0, 2.0]), "log")


def test_quantiles_refuses_probabilities_out_of_order() -> None:
    with pytest.raises(ValueError, match="ascend"):
        quantiles(np.arange(5.0), np.array([10.0, 90.0, 50.0]))
