import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels._jit import readonly
from kernels.nearest import TILE
from kernels.random import uniforms
from kernels.seeding import n_candidates, n_uniforms, seed_centroids
from tests.kernels import naive_kmeans as naive


def seed(points, k, random, weights=None, kept=()):
    d, n = points.shape
    centroids = np.zeros((k, d))
    centroids[: len(kept)] = np.reshape(kept, (-1, d))
    weights = np.empty(0) if weights is None else weights
    candidates, scratch = np.empty((n_candidates(k), d)), np.empty((1 + n_candidates(k), TILE))
    seed_centroids(
        readonly(points),
        readonly(weights),
        readonly(random),
        len(kept),
        np.empty(n),
        candidates,
        scratch,
        centroids,
    )
    return centroids


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 8), st.integers(1, 40), st.integers(0, 2**32))
def test_equals_the_plain_greedy_seeding(d, k, n, number):
    points = np.random.default_rng(number).normal(size=(d, n))
    random = uniforms(number, 0, n_uniforms(k))
    if k > n:
        k = 1
    found = seed(points, k, random)
    wanted = naive.greedy_seeds(points.T.tolist(), k, random.tolist(), n_candidates(k))
    # another order of summation may choose another one of two equal candidates
    rows = points.T.tolist()
    assert naive.inertia(rows, found.tolist()) == pytest.approx(naive.inertia(rows, wanted), rel=1e-9, abs=1e-12)


def test_more_than_a_tile():
    points = np.random.default_rng(0).normal(size=(2, 2500))
    random = uniforms(0, 0, n_uniforms(5))
    wanted = naive.greedy_seeds(points.T.tolist(), 5, random.tolist(), n_candidates(5))
    assert seed(points, 5, random).tolist() == wanted


def test_distinct_points_are_all_found_and_the_rest_repeats():
    points = np.array([[0.0, 0, 0, 5, 5, 9, 9, 9]])
    found = seed(points, 3, uniforms(1, 0, 50))
    assert sorted(found[:, 0]) == [0.0, 5.0, 9.0]
    assert set(seed(points, 6, uniforms(1, 0, 50))[:, 0]) == {0.0, 5.0, 9.0}


def test_who_weighs_nothing_is_not_drawn():
    points = np.arange(50.0)[None]
    weights = np.zeros(50)
    weights[[7, 31]] = [1.0, 1e-9]
    for number in range(5):
        assert sorted(seed(points, 2, uniforms(number, 0, 50), weights)[:, 0]) == [7.0, 31.0]
        assert 0 <= seed(points, 1, uniforms(number, 0, 50), np.zeros(50))[0, 0] < 50


def test_kept_centroids_stay_and_the_others_avoid_them():
    points = np.array([[0.0, 0, 4, 4, 8, 8]])
    for number in range(5):
        found = seed(points, 3, uniforms(number, 0, 50), kept=[[0.0], [8.0]])
        assert found[:, 0].tolist() == [0.0, 8.0, 4.0]
