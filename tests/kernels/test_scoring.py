import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.scaling import signed_log
from kernels.scoring import Scoring, class_codes, explain, prepare, score, standardise, value_scores
from tests.kernels import naive_scoring as naive
from tests.kernels.threads import needs_jit, run_on_threads


def make(d, k, seed, logs=True, constant=()):
    rng = np.random.default_rng(seed)
    spreads = rng.uniform(0.5, 3, d)
    spreads[list(constant)] = 0.0
    weights = rng.uniform(0.1, 1, d)
    return Scoring(
        signs=rng.choice([-1.0, 1.0], d),
        log_factors=rng.choice([0.0, 1.0, 0.3], d) if logs else np.zeros(d),
        clips=rng.choice([False, True], d),
        centres=rng.normal(size=d),
        spreads=spreads,
        weights=weights / weights.sum(),
        centroids=rng.normal(size=(k, d)),
    )


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 30), st.integers(0, 2**32))
def test_score_without_logs_equals_the_formula_bit_for_bit(d, k, n, seed):
    scoring = make(d, k, seed, logs=False, constant=range(seed % 2))
    columns = np.random.default_rng(seed).normal(0, 5, (d, n))
    scores, segments = score(columns, scoring)
    assert (scores.dtype, segments.dtype) == (np.float64, np.int32)
    rows = [naive.standardise(row, scoring) for row in columns.T.tolist()]
    for i, row in enumerate(rows):
        total = row[0]
        for x in row[1:]:
            total += x
        assert scores[i] == total
        assert segments[i] == naive.nearest(row, scoring.centroids.tolist())
    assert standardise(columns, scoring).T.tolist() == rows


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 30), st.integers(0, 2**32))
def test_score_with_logs_follows_the_formula(d, n, seed):
    scoring = make(d, 3, seed)
    columns = np.random.default_rng(seed).normal(0, 50, (d, n))
    x = standardise(columns, scoring)
    logs = np.full(columns.shape, np.nan)
    for values, room, factor, clip in zip(columns, logs, scoring.log_factors, scoring.clips, strict=True):
        if factor:
            signed_log(values, factor, clip, room)
    assert standardise(columns, scoring, logs=logs) is logs
    assert np.array_equal(logs, x)
    assert pytest.approx(np.array([naive.standardise(r, scoring) for r in columns.T.tolist()]), rel=1e-13) == x.T
    scores, segments = score(columns, scoring)
    total = x[0].copy()
    for row in x[1:]:
        total += row
    assert np.array_equal(scores, total)
    assert segments.tolist() == [naive.nearest(row, scoring.centroids.tolist()) for row in x.T.tolist()]


@pytest.mark.parametrize("d", [1, 2, 3, 4, 7, 32])
def test_alone_and_among_many_are_the_same_bits(d):
    scoring = prepare(make(d, 9, d))
    columns = np.random.default_rng(d).lognormal(2, 2, (d, 2100))
    many = score(columns, scoring)
    for i in (0, 1, 2, 3, 7, 1022, 1023, 1024, 2047, 2048, 2099):
        alone = score(columns[:, i : i + 1], scoring)
        assert alone.scores[0] == many.scores[i]
        assert alone.segments[0] == many.segments[i]
        tail = score(columns[:, i:], scoring)
        assert np.array_equal(tail.scores, many.scores[i:])
        assert np.array_equal(tail.segments, many.segments[i:])


@pytest.mark.parametrize("k", [1, 4, 5, 8, 9, 16])
def test_tiles_of_three_features_without_logs_follow_the_formula(k):
    scoring = make(3, k, k, logs=False)
    columns = np.random.default_rng(k).normal(0, 5, (3, 1100))
    columns[2, 7] = np.nan
    scores, segments = score(columns, scoring)
    rows = [naive.standardise(row, scoring) for row in columns.T.tolist()]
    assert np.array_equal(scores, [row[0] + row[1] + row[2] for row in rows], equal_nan=True)
    wanted = [naive.nearest(row, scoring.centroids.tolist()) for row in rows]
    assert segments.tolist() == [*wanted[:7], -1, *wanted[8:]]


@needs_jit
def test_threads_change_no_bit():
    scoring = make(3, 8, 1)
    columns = np.random.default_rng(1).lognormal(2, 2, (3, 140_001))
    for one, other in zip(score(columns, scoring), score(columns, scoring, run_on_threads), strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(explain(columns, scoring), explain(columns, scoring, run_on_threads), strict=True):
        assert np.array_equal(one, other)


def test_any_layout_and_type_of_columns_is_taken():
    scoring = make(3, 4, 2)
    columns = np.random.default_rng(2).integers(0, 50, (3, 100)).astype(float)
    wanted = score(columns, scoring)
    frozen = columns.copy()
    frozen.flags.writeable = False
    for same in (np.asfortranarray(columns), columns.astype(np.int32), columns.astype(np.float32), frozen):
        found = score(same, scoring)
        assert np.array_equal(found.scores, wanted.scores)
        assert np.array_equal(found.segments, wanted.segments)


def test_a_missing_feature_gives_no_score_and_no_segment():
    columns = np.random.default_rng(3).normal(size=(3, 5))
    columns[1, 2] = np.nan
    scored = score(columns, make(3, 4, 3))
    assert np.isnan(scored.scores).tolist() == [False, False, True, False, False]
    assert (scored.segments < 0).tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(("d", "scale"), [(3, 1.0), (5, 1.0), (3, 1e160)])
def test_many_with_ties_and_missing_features_are_scored_like_the_formula(d, scale):
    scoring = make(d, 7, d, logs=False)
    scoring.centroids[3:] = scoring.centroids[0] * np.array([[1.0], [1.0], [2.0], [-1.0]])
    columns = np.round(np.random.default_rng(d).normal(0, 3, (d, 2500))) * scale
    columns[1, ::100] = np.nan
    wanted = []
    for start in range(0, 2500, 500):  # less than a tile is scored plainly
        wanted += score(columns[:, start : start + 500], scoring).segments.tolist()
    scored = score(columns, scoring)
    assert scored.segments.tolist() == wanted
    assert (scored.segments < 0).sum() == 25
    assert np.array_equal(scored.scores, value_scores(standardise(columns, scoring)), equal_nan=True)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 20), st.integers(0, 2**32))
def test_explain(d, k, n, seed):
    scoring = make(d, k, seed)
    columns = np.random.default_rng(seed).normal(size=(d, n))
    contributions, own, second = explain(columns, scoring)
    assert np.array_equal(contributions, standardise(columns, scoring))
    for i, row in enumerate(contributions.T.tolist()):
        squares = sorted(naive.square_distance(row, c) for c in scoring.centroids.tolist())
        assert own[i] == math.sqrt(squares[0])
        assert second[i] == math.sqrt(squares[1]) if k > 1 else math.isnan(second[i])


def test_explain_of_a_missing_feature_is_missing():
    _, own, second = explain(np.array([[np.nan, 1.0], [1.0, 1.0]]), make(2, 3, 4))
    assert np.isnan(own).tolist() == np.isnan(second).tolist() == [True, False]


def test_a_scoring_that_does_not_fit_is_refused():
    scoring = make(3, 4, 5)
    with pytest.raises(ValueError, match=r"columns: shape is \(2, 7\), wanted \(3, n\)"):
        score(np.zeros((2, 7)), scoring)
    with pytest.raises(ValueError, match="centroids: shape"):
        prepare(scoring._replace(centroids=np.zeros((4, 2))))
    with pytest.raises(ValueError, match="no feature"):
        prepare(Scoring(*(np.empty(0),) * 6, centroids=np.zeros((1, 0))))


@settings(deadline=None)
@given(st.integers(1, 18), st.integers(0, 20), st.integers(0, 2**32))
def test_class_codes(d, n, seed):
    rng = np.random.default_rng(seed)
    columns = rng.integers(-2, 3, (d, n)).astype(float)
    cuts, signs = rng.integers(-2, 3, d).astype(float), rng.choice([-1.0, 1.0], d)
    varies = rng.choice([True, False], d)
    codes = class_codes(columns, cuts, signs, varies)
    assert codes.dtype == (np.int16 if d <= 15 else np.int64)
    plain = [naive.class_code(row, cuts, signs, varies) for row in columns.T.tolist()]
    assert codes.tolist() == plain


def test_recency_frequency_monetary_read_from_the_left():
    signs, cuts = np.array([-1.0, 1, 1]), np.array([30.0, 2, 100])
    columns = np.array([[10.0, 10, 30, 99], [3, 1, 2, 1], [200, 200, 100, 5]])
    assert [f"{code:03b}" for code in class_codes(columns, cuts, signs)] == ["111", "101", "111", "000"]
