import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels._jit import readonly
from kernels._run import run_serially
from kernels.lloyd import farthest, fill_empty, lloyd, refine
from kernels.nearest import TILE
from tests.kernels import naive_kmeans as naive
from tests.kernels.threads import needs_jit, run_on_threads

NO_WEIGHTS = readonly(np.empty(0))


def go(points, centroids, weights=NO_WEIGHTS, passes=300):
    (k, d), n = centroids.shape, points.shape[1]
    centroids, labels, out = centroids.copy(), np.empty(n, dtype=np.int32), np.empty(2)
    sums, empty, scratch = np.empty((k, d + 1)), np.empty(k), np.empty((4, TILE))
    points, weights = readonly(points), readonly(weights)
    n_passes = lloyd(points, weights, passes, 0.0, centroids, labels, sums, empty, scratch, out)
    return centroids, labels, out[1], n_passes


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(5, 60), st.integers(0, 2**32), st.booleans())
def test_equals_plain_lloyd(d, k, n, seed, weighted):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(d, n))
    weights = rng.uniform(0.1, 3, n) if weighted else NO_WEIGHTS
    start = points[:, :k].T.copy()
    plain = weights.tolist() if weighted else None
    wanted, wanted_labels = naive.lloyd(points.T.tolist(), start.tolist(), plain)
    if len(set(wanted_labels)) < k:
        return  # the plain one leaves a centroid without members
    found, labels, inertia, _ = go(points, start, weights)
    assert inertia <= naive.inertia(points.T.tolist(), start.tolist(), plain) * (1 + 1e-12) + 1e-20
    if labels.tolist() == wanted_labels:
        assert found == pytest.approx(np.array(wanted), abs=1e-9)
        assert inertia == pytest.approx(naive.inertia(points.T.tolist(), wanted, plain), rel=1e-9, abs=1e-20)
    else:  # a centroid lost its members on the way and was moved
        assert naive.lloyd(points.T.tolist(), found.tolist(), plain)[1] == labels.tolist()


def test_a_centroid_without_members_moves_to_the_worst_fitted():
    points = np.array([[0.0, 0, 1, 1, 50]])
    found, labels, inertia, _ = go(points, np.array([[0.0], [1.0], [1e6]]))
    assert sorted(found[:, 0]) == [0.0, 1.0, 50.0]
    assert inertia == 0.0
    assert len(set(labels.tolist())) == 3


def test_farthest_is_the_first_of_the_worst_by_weight():
    points, centroids, out = np.array([[0.0, 3, -3, 2]]), np.array([[0.0]]), np.empty(1)
    scratch = np.empty((4, TILE))
    assert farthest(readonly(points), NO_WEIGHTS, centroids, scratch, out) == 1
    assert out[0] == 9.0
    weights = np.array([9.0, 1, 1, 5])
    assert farthest(readonly(points), readonly(weights), centroids, scratch, out) == 3
    assert out[0] == 20.0


def test_fill_empty_takes_a_different_one_each_time_and_stops_when_all_fit():
    points, scratch, out = readonly(np.array([[0.0, 0, 7, 9]])), np.empty((4, TILE)), np.empty(1)
    centroids = np.zeros((4, 1))
    assert fill_empty(points, NO_WEIGHTS, np.array([0.0, 1, 1, 1]), centroids, scratch, out) == 2
    assert centroids[:, 0].tolist() == [0.0, 9.0, 7.0, 0.0]


@pytest.mark.parametrize("weighted", [False, True])
def test_refine_does_what_lloyd_does(weighted):
    rng = np.random.default_rng(5)
    points = rng.normal(size=(3, 3000))
    weights = readonly(rng.uniform(0, 1, 3000)) if weighted else NO_WEIGHTS
    start = points[:, :6].T.copy()
    centroids, checked = start.copy(), []
    passes = refine(readonly(points), weights, centroids, 300, 0.0, run_serially, lambda: checked.append(1))
    found, _, _, n_passes = go(points, start, weights)
    assert np.array_equal(centroids, found)
    assert passes == n_passes == len(checked)


@needs_jit
def test_threads_change_no_bit():
    points = readonly(np.random.default_rng(6).normal(size=(3, 200_000)))
    found = []
    for run in (run_serially, run_on_threads):
        centroids = points[:, :8].T.copy()
        refine(points, NO_WEIGHTS, centroids, 8, 0.0, run, lambda: None)
        found.append(centroids)
    assert np.array_equal(*found)
