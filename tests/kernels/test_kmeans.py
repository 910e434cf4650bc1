import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from kernels.kmeans import count_distinct, fit_kmeans, order_by_value, sample_rows
from kernels.scoring import Scoring, score
from tests.kernels import naive_kmeans as naive
from tests.kernels import naive_scoring
from tests.kernels.threads import needs_jit, run_on_threads

pytestmark = needs_jit  # test_starts.py has fits small enough for plain Python


def shop(n, seed):
    """Standardised log features like a shop's: skewed, correlated, with many one-time buyers."""
    rng = np.random.default_rng(seed)
    frequency = 1 + rng.negative_binomial(0.7, 0.2, n)
    money = frequency * rng.lognormal(3, 0.7, n)
    recency = rng.gamma(1.5, 80, n) / np.sqrt(frequency)
    x = np.stack([-recency, np.log1p(100 * frequency / 2), np.log1p(100 * money / np.median(money))])
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True) / 3


def assert_sound(points, k, fit, weights=None):
    """Check what every fit promises."""
    n_distinct = len({tuple(row) for row in (points + 0.0).T.tolist()})
    assert fit.centroids.shape == (k, len(points))
    assert fit.labels.dtype == np.int32
    rows, centroids = points.T.tolist(), fit.centroids.tolist()
    assert fit.labels.tolist() == [naive_scoring.nearest(row, centroids) for row in rows]
    assert fit.sizes.tolist() == np.bincount(fit.labels, minlength=k).tolist()
    assert (fit.sizes > 0).sum() >= min(k, n_distinct)
    assert fit.inertia == pytest.approx(naive.inertia(rows, centroids, weights), rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 8), st.integers(0, 2**32), st.booleans())
def test_every_fit_is_sound(d, n, k, seed, duplicates):
    rng = np.random.default_rng(seed)
    points = rng.integers(-2, 3, (d, n)).astype(float) if duplicates else rng.normal(size=(d, n))
    k = count_distinct(points, k)
    fit = fit_kmeans(points, k, seed=seed, n_init=2)
    assert_sound(points, k, fit)
    sums = fit.centroids.sum(axis=1)
    assert (np.diff(sums) <= 1e-9).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 30), st.integers(1, 5), st.integers(0, 2**32))
def test_every_weighted_fit_is_sound(n, k, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(2, n))
    weights = rng.uniform(0, 2, n) * rng.integers(0, 2, n)
    k = count_distinct(points, k)
    fit = fit_kmeans(points, k, n_init=2, sample_weights=weights)
    assert_sound(points, k, fit, weights.tolist())


def test_iris():
    points = np.ascontiguousarray(load_iris().data.T)
    for seed in range(3):
        assert fit_kmeans(points, 3, seed=seed).inertia == pytest.approx(78.8514, abs=1e-4)


@pytest.mark.parametrize("k", [3, 8])
def test_as_good_as_ten_runs_of_scikit_learn_and_stable(k):
    points = shop(4000, k)
    best = KMeans(k, n_init=10, random_state=0).fit(points.T).inertia_
    fits = [fit_kmeans(points, k, seed=seed) for seed in range(5)]
    assert np.median([fit.inertia for fit in fits]) <= 1.002 * best
    pairs = [(a, b) for a in range(5) for b in range(a)]
    stable = np.mean([adjusted_rand_score(fits[a].labels, fits[b].labels) for a, b in pairs])
    assert stable >= 0.9


def test_same_seed_same_bits_whatever_the_run():
    points = shop(3000, 0)
    fits = [fit_kmeans(points, 6, seed=3), fit_kmeans(points, 6, seed=3, run=run_on_threads)]
    for one, other in zip(*fits, strict=True):
        assert np.array_equal(one, other)


def test_threads_change_no_bit_over_many_blocks():
    points = shop(150_000, 1)
    fits = [fit_kmeans(points, 5, n_init=3), fit_kmeans(points, 5, n_init=3, run=run_on_threads)]
    for one, other in zip(*fits, strict=True):
        assert np.array_equal(one, other)


def test_scoring_the_fitted_points_gives_their_segments():
    points = shop(5000, 2)
    fit = fit_kmeans(points, 8)
    ones = np.ones(3)
    scored = score(points, Scoring(ones, 0 * ones, ones < 0, 0 * ones, ones, ones, fit.centroids))
    assert np.array_equal(scored.segments, fit.labels)


def test_duplicates_count_like_weights():
    points = shop(300, 3)
    weights = np.arange(300) % 3 + 1.0
    doubled = np.repeat(points, weights.astype(int), axis=1)
    weighted = fit_kmeans(points, 4, sample_weights=weights)
    repeated = fit_kmeans(np.ascontiguousarray(doubled), 4)
    assert weighted.inertia == pytest.approx(repeated.inertia, rel=1e-3)
    again = fit_kmeans(points, 4, sample_weights=weights, init=repeated.centroids)
    assert again.centroids == pytest.approx(repeated.centroids, abs=1e-6)
    assert np.array_equal(np.repeat(again.labels, weights.astype(int)), repeated.labels)


def test_who_weighs_nothing_moves_no_centroid_but_gets_a_segment():
    points = np.array([[0.0, 1, 10, 11, 500]])
    fit = fit_kmeans(points, 2, sample_weights=np.array([1.0, 1, 1, 1, 0]))
    assert fit.centroids[:, 0].tolist() == [10.5, 0.5]
    assert fit.labels.tolist() == [1, 1, 0, 0, 0]
    assert fit.inertia == 1.0


def test_one_segment_is_the_mean():
    points = shop(500, 4)
    fit = fit_kmeans(points, 1)
    assert fit.centroids[0] == pytest.approx(points.mean(axis=1), abs=1e-12)
    assert fit.sizes.tolist() == [500]


@pytest.mark.parametrize("n", [1, 2, 7, 256])
def test_as_many_segments_as_points(n):
    points = np.random.default_rng(n).normal(size=(2, n))
    fit = fit_kmeans(points, n, n_init=1)
    assert fit.sizes.tolist() == [1] * n
    assert fit.inertia == 0.0


def test_many_segments_and_features():
    points = np.random.default_rng(9).normal(size=(32, 3000))
    fit = fit_kmeans(points, 256, n_init=1)
    assert fit.sizes.min() > 0
    assert fit.sizes.sum() == 3000


def test_constant_features_and_too_few_distinct_points():
    points = np.stack([np.arange(20.0) % 2, np.full(20, 3.0)])
    assert sorted(fit_kmeans(points, 2).sizes) == [10, 10]
    fit = fit_kmeans(points, 5)
    assert sorted(fit.sizes.tolist()) == [0, 0, 0, 10, 10]
    assert fit.inertia == 0.0


def test_an_init_keeps_its_order_and_no_segment_stays_empty():
    points = np.array([[0.0, 1, 10, 11, 20, 21]])
    fit = fit_kmeans(points, 3, init=np.array([[0.5], [20.0], [11.0]]))
    assert fit.centroids[:, 0].tolist() == [0.5, 20.5, 10.5]
    assert fit.n_starts == fit.n_steps == 0
    far = fit_kmeans(points, 3, init=np.array([[0.5], [1e6], [-1e6]]))
    assert far.sizes.tolist() == [2, 2, 2]


def test_starts_see_only_the_sample_in_its_order():
    points = shop(2000, 5)
    sample = np.random.default_rng(0).permutation(2000)[:700]
    shuffle = np.random.default_rng(1).permutation(2000)
    place = np.empty(2000, dtype=np.int64)
    place[shuffle] = np.arange(2000)
    one = fit_kmeans(points, 5, sample=sample)
    other = fit_kmeans(np.ascontiguousarray(points[:, shuffle]), 5, sample=place[sample])
    assert other.centroids == pytest.approx(one.centroids, abs=1e-9)
    assert (one.labels[shuffle] != other.labels).sum() <= 1


def test_sample_rows_fall_where_a_pass_is_dear():
    assert sample_rows(8, 3) == 65_536
    assert sample_rows(256, 32) == 16_384


def test_order_is_by_value_then_by_coordinates():
    centroids = np.array([[0.0, 1.0], [2.0, 2.0], [1.0, 0.0], [-1.0, -1.0]])
    assert order_by_value(centroids).tolist() == [1, 2, 0, 3]


def test_a_check_that_raises_cancels():
    def check():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        fit_kmeans(shop(100, 6), 3, check=check)
    with pytest.raises(TimeoutError):
        fit_kmeans(shop(100, 6), 3, init=np.zeros((3, 3)), check=check)


@pytest.mark.parametrize(
    ("points", "k", "options", "message"),
    [
        (np.empty((3, 0)), 1, {}, "points: shape"),
        (np.empty(3), 1, {}, "points: shape"),
        (np.empty((33, 9)), 1, {}, "1 to 32 features"),
        (np.empty((2, 9)), 0, {}, "k: is 0"),
        (np.empty((2, 9)), 257, {}, "k: is 257"),
        (np.empty((2, 9)), 2, {"n_init": 0}, "n_init"),
        (np.zeros((2, 9)), 2, {"sample_weights": np.ones(8)}, "sample_weights"),
        (np.zeros((2, 9)), 2, {"sample_weights": -np.ones(9)}, "none below 0"),
        (np.zeros((2, 9)), 2, {"init": np.zeros((2, 3))}, r"init: shape is \(2, 3\)"),
    ],
)
def test_what_cannot_be_clustered_is_refused(points, k, options, message):
    with pytest.raises(ValueError, match=message):
        fit_kmeans(points, k, **options)


@given(st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)), max_size=30), st.integers(1, 12))
def test_count_distinct(rows, limit):
    points = np.array(rows, dtype=float).reshape(-1, 2).T
    assert count_distinct(points, limit) == min(limit, len(set(rows)))


def test_count_distinct_looks_beyond_the_first_rows_and_knows_one_zero():
    points = np.zeros((1, 5000))
    points[0, ::2] = -0.0
    assert count_distinct(points, 3) == 1
    points[0, 4999] = 1.0
    assert count_distinct(points, 3) == 2
