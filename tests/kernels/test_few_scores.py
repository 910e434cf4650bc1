"""A few customers scored in one call, against the public functions it stands for, bit for bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels._jit import readonly
from kernels.few_scores import FewScores, ScoringOfFew, prepare_few, score_few
from kernels.percentiles import percentiles
from kernels.profiles import segment_sums
from kernels.scaling import SCORE_PROBABILITIES, quantiles
from kernels.scoring import class_codes, prepare, score
from tests.kernels import naive_profiles
from tests.kernels.test_scoring import make

SIGNS, VARIES = np.array([-1.0, 1.0, 1.0]), np.array([True, True, False])


def _few(columns: Any, n_told: int, has_revenue: bool, scoring: ScoringOfFew) -> FewScores | None:
    """The columns as they lie in a body: one after the other, here with a gap; the revenue is the last one again."""
    n = columns.shape[1]
    values = readonly(np.pad(columns, ((0, 0), (0, 2))).reshape(-1))
    places = [j * (n + 2) for j in range(n_told)]
    if has_revenue:
        places.append(places[-1])
    return score_few(values, readonly(np.array(places)), n, scoring, has_revenue=has_revenue)


@settings(deadline=None)
@given(
    st.integers(3, 5),
    st.integers(0, 2),
    st.integers(1, 9),
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_few_customers_get_the_bits_that_many_get(
    d: int, n_more: int, k: int, n: int, has_revenue: bool, has_classes: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scoring = prepare(make(d, k, seed, constant=range(seed % 2)))
    columns = np.round(rng.normal(0, 5, (d + n_more, n)), seed % 3)  # ties
    told = score(columns[:d], scoring)
    cuts = columns[:3, 0].copy()
    of_fit = quantiles(np.concatenate([told.scores, told.scores]), SCORE_PROBABILITIES)
    places = [2, 0, 1] if has_classes else []
    size = len(places)
    few = prepare_few(scoring, of_fit, SCORE_PROBABILITIES, places, cuts[:size], SIGNS[:size], VARIES[:size])
    found = _few(columns, d + n_more, has_revenue, few)
    assert found is not None
    half, quarter = (n + 1) // 2, (n + 3) // 4
    assert len(found.words) == 2 * n + half + 2 * quarter
    assert found.words[:n].tobytes() == told.scores.tobytes()
    assert found.words[n : 2 * n].tobytes() == percentiles(told.scores, of_fit, SCORE_PROBABILITIES).tobytes()
    segments = found.words[2 * n : 2 * n + half].view(np.int32)
    names = found.words[2 * n + half : 2 * n + half + quarter].view(np.int16)
    codes = found.words[2 * n + half + quarter :].view(np.int16)
    assert segments[:n].tolist() == names[:n].tolist() == told.segments.tolist()
    expected = class_codes(columns[places], cuts, SIGNS, VARIES) if has_classes else np.zeros(n, np.int16)
    assert codes[:n].tolist() == expected.tolist()
    assert not segments[n:].any()
    assert not names[n:].any()
    assert not codes[n:].any()
    _check_figures(found, columns, told, k, has_revenue)


def _check_figures(found: FewScores, columns: Any, told: Any, k: int, has_revenue: bool) -> None:
    n = columns.shape[1]
    sums = segment_sums(columns, told.scores, told.segments, k)
    assert found.sizes[:k].tolist() == sums.sizes.tolist()
    assert naive_profiles.segment_sums(columns.T.tolist(), told.scores, told.segments, k)[0] == sums.sizes.tolist()
    assert found.sizes[k] == (np.count_nonzero(columns[-1] < 0) if has_revenue else 0)
    total = 0.0
    for part in sums.sums[-1].tolist():
        total += part
    for s in range(k):
        _, share, *means, revenue_share, value_score = found.figures[s].tolist()
        size = int(sums.sizes[s])
        assert share == size / n
        assert revenue_share == pytest.approx(
            float(sums.sums[-1, s]) / total if has_revenue and total > 0 else np.nan, rel=0, abs=0, nan_ok=True
        )
        if size:
            assert means == [float(column[s]) / size for column in sums.sums]
            assert value_score == float(sums.score_sums[s]) / size
        else:
            assert np.isnan([*means, value_score]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
def test_what_is_not_finite_is_left_alone(value: float) -> None:
    scoring = prepare(make(2, 3, 1)._replace(log_factors=np.zeros(2), spreads=np.full(2, 1e-9)))
    few = prepare_few(scoring, np.arange(3.0), np.arange(3.0), [], np.zeros(0), np.zeros(0), np.zeros(0) > 0)
    assert _few(np.array([[1.0, value], [1.0, 1.0]]), 2, False, few) is None
