import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.percentiles import percentiles
from kernels.scaling import SCORE_PROBABILITIES, quantiles
from tests.kernels import naive_scoring as naive

tied = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12).map(sorted)


@settings(deadline=None)
@given(tied, st.lists(st.floats(-7, 7) | st.integers(-6, 6).map(float), max_size=30))
def test_percentiles(found_quantiles, scores):
    probabilities = [100 * i / max(1, len(found_quantiles) - 1) for i in range(len(found_quantiles))]
    found = percentiles(np.array(scores), np.array(found_quantiles), np.array(probabilities))
    wanted = [naive.percentile(s, found_quantiles, probabilities) for s in scores]
    assert found.tolist() == pytest.approx(wanted, abs=1e-9)


def test_percentiles_ascend_stay_in_range_and_match_the_share_below():
    scores = np.random.default_rng(0).normal(size=5000)
    q = quantiles(scores, SCORE_PROBABILITIES)
    found = percentiles(np.sort(scores), q, SCORE_PROBABILITIES)
    assert (np.diff(found) >= 0).all()
    assert (found[0], found[-1]) == (0.0, 100.0)
    assert abs(found - np.arange(5000) / 50.0).max() < 0.15


def test_percentiles_of_equal_scores_outliers_and_nan():
    q = np.full(1010, 2.5)
    found = percentiles(np.array([2.5, 2.0, 3.0, np.nan, -np.inf, np.inf]), q, SCORE_PROBABILITIES)
    assert found.tolist()[:3] == [50.0, 0.0, 100.0]
    assert math.isnan(found[3])
    assert found.tolist()[4:] == [0.0, 100.0]
    assert len(percentiles(np.empty(0), q, SCORE_PROBABILITIES)) == 0


def test_percentiles_refuse_tables_that_do_not_fit():
    with pytest.raises(ValueError, match="2 quantiles, 1 probabilities"):
        percentiles(np.zeros(3), np.zeros(2), np.zeros(1))
