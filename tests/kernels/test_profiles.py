import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.profiles import bin_counts, crosstab, match_segments, psi, segment_sums, sorted_bin_counts
from tests.kernels import naive_profiles as naive
from tests.kernels.threads import needs_jit, run_on_threads


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 30), st.integers(0, 2**32))
def test_segment_sums(d, k, n, seed):
    rng = np.random.default_rng(seed)
    columns, scores = rng.normal(size=(d, n)), rng.normal(size=n)
    segments = rng.integers(-1, k, n).astype(np.int32)
    sizes, sums, score_sums = segment_sums(columns, scores, segments, k)
    wanted = naive.segment_sums(columns.T.tolist(), scores.tolist(), segments.tolist(), k)
    assert sizes.tolist() == wanted[0]
    assert sums.shape == (d, k)
    assert score_sums.tolist() == wanted[2]
    if n:
        assert sums.tolist() == wanted[1]


@needs_jit
def test_segment_sums_have_the_same_bits_on_threads():
    rng = np.random.default_rng(0)
    columns, scores = rng.lognormal(2, 2, (3, 150_000)), rng.normal(size=150_000)
    segments = rng.integers(-1, 8, 150_000).astype(np.int32)
    one = segment_sums(columns, scores, segments, 8)
    for a, b in zip(one, segment_sums(columns, scores, segments, 8, run_on_threads), strict=True):
        assert np.array_equal(a, b)
    assert one.sizes.sum() == (segments >= 0).sum()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 3)), max_size=30))
def test_crosstab(pairs):
    old, new = (np.array([p[side] for p in pairs], dtype=np.int32) for side in (0, 1))
    assert crosstab(old, new, 3, 4).tolist() == [[pairs.count((a, b)) for b in range(4)] for a in range(3)]


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32))
def test_match_segments_is_a_permutation_that_keeps_the_largest_overlap(k_old, k_new, seed):
    overlap = np.random.default_rng(seed).integers(0, 4, (k_old, k_new))
    ids = match_segments(overlap)
    assert sorted(ids.tolist()) == list(range(k_new))
    usable = overlap[: min(k_old, k_new)]
    if usable.max() > 0:
        old, new = np.unravel_index(usable.argmax(), usable.shape)  # the first of the largest
        assert ids[new] == old


def test_match_segments_of_the_same_segments_changes_nothing_and_undoes_a_shuffle():
    assert match_segments(np.diag([5, 3, 9])).tolist() == [0, 1, 2]
    assert match_segments(np.array([[0, 7, 1], [2, 0, 9], [8, 1, 0]])).tolist() == [2, 0, 1]
    assert match_segments(np.zeros((3, 3), dtype=np.int64)).tolist() == [0, 1, 2]


@settings(deadline=None)
@given(
    st.lists(st.floats(-3, 3) | st.integers(-3, 3).map(float) | st.just(float("nan")), max_size=30),
    st.lists(st.integers(-3, 3).map(float), max_size=5).map(sorted),
)
def test_bin_counts(values, edges):
    wanted = naive.bin_counts(values, edges)
    assert bin_counts(np.array(values), np.array(edges)).tolist() == wanted
    ordered = np.sort([value for value in values if not math.isnan(value)])
    assert sorted_bin_counts(ordered, np.array(edges)).tolist() == wanted


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=9))
def test_psi(bins):
    expected, actual = np.array(bins).T
    found = psi(expected, actual)
    if expected.sum() == 0 or actual.sum() == 0:
        assert found == 0.0
    else:
        assert found == pytest.approx(naive.psi(expected.tolist(), actual.tolist()), abs=1e-12)
        assert found >= 0.0


def test_psi_takes_counts_or_shares_and_an_empty_bin_does_not_explode():
    assert psi(np.array([10, 30]), np.array([0.25, 0.75])) == pytest.approx(0.0, abs=1e-15)
    assert psi(np.array([0.5, 0.5]), np.array([1, 0])) == pytest.approx(0.5 * np.log(2) + 0.4999 * np.log(5000))


def test_what_does_not_fit_is_refused():
    segments = np.array([0, 3], dtype=np.int32)
    with pytest.raises(ValueError, match="segments: largest id is 3, wanted below 3"):
        segment_sums(np.zeros((1, 2)), np.zeros(2), segments, 3)
    with pytest.raises(ValueError, match="wanted as many"):
        segment_sums(np.zeros((1, 2)), np.zeros(3), segments, 4)
    with pytest.raises(ValueError, match="new: largest id"):
        crosstab(segments, segments, 4, 3)
    with pytest.raises(ValueError, match="2 old and 1 new"):
        crosstab(segments, segments[:1], 4, 4)
    with pytest.raises(ValueError, match="wanted as many"):
        psi(np.ones(2), np.ones(3))
