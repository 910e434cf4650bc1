import numpy as np
import pytest

from kernels._jit import readonly
from kernels.minibatch import add_members, minibatches
from kernels.nearest import TILE
from tests.kernels import naive_kmeans as naive


def run(points, centroids, weights=None, first=0):
    k, d = centroids.shape
    centroids = centroids.copy()
    weights = np.empty(0) if weights is None else weights
    seen, sums, scratch = np.empty(k), np.empty((k, d + 1)), np.empty((4, TILE))
    steps = minibatches(readonly(points), readonly(weights), first, centroids, seen, sums, scratch)
    return centroids, steps


def test_add_members():
    points, weights = np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([1.0, 2, 3])
    sums = np.zeros((2, 3))
    best = np.array([10.0, 20])
    inertia = add_members(readonly(points), readonly(weights), 1, np.array([1, 1], dtype=np.int32), best, sums)
    assert inertia == 2 * 10 + 3 * 20
    assert sums.tolist() == [[0, 0, 0], [13, 28, 5]]


def test_one_batch_again_and_again_settles_on_means():
    points = np.random.default_rng(0).normal(size=(2, 500))
    found, steps = run(points, np.zeros((1, 2)))
    assert steps >= 1
    assert found[0] == pytest.approx(points.mean(axis=1))


@pytest.mark.parametrize("weighted", [False, True])
def test_lowers_the_inertia(weighted):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(3, 4000)) + 5 * rng.integers(0, 3, 4000)
    weights = rng.uniform(0, 2, 4000) if weighted else None
    seeds = points[:, :4].T.copy()
    rows = points.T.tolist()
    found, steps = run(points, seeds, weights, first=2)
    plain = None if weights is None else weights.tolist()
    assert naive.inertia(rows, found.tolist(), plain) < 0.9 * naive.inertia(rows, seeds.tolist(), plain)
    assert 1 <= steps <= 12
    assert np.array_equal(found, run(points, seeds, weights, first=2)[0])


def test_a_starved_centroid_is_fed():
    points = np.concatenate([np.zeros((1, 50)), np.full((1, 50), 3.0)], axis=1)
    found, _ = run(points, np.array([[1.0], [1e9]]))
    low, high = sorted(found[:, 0])
    assert low < 1.0
    assert 2.0 < high < 4.0
