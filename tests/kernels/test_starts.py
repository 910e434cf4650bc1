import numpy as np
import pytest

from kernels import starts
from kernels._jit import readonly
from kernels._run import run_serially
from kernels.kmeans import fit_kmeans
from tests.kernels import naive_kmeans as naive
from tests.kernels.threads import run_on_threads


@pytest.fixture(autouse=True)
def few_swaps(monkeypatch):
    """So that these run in plain Python too."""
    monkeypatch.setattr(starts, "SWAPS_OF_FEW", 4)
    monkeypatch.setattr(starts, "LEADERS_OF_FEW", 2)


def best(points, k, seed=0, run=run_serially, weights=None):
    weights = readonly(np.empty(0)) if weights is None else weights
    return starts.best_start(readonly(points), weights, k, seed, 3, 0.0, run, lambda: None)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_winner_has_settled_and_is_the_same_on_threads(weighted):
    points = np.random.default_rng(0).normal(size=(2, 30))
    weights = readonly(np.linspace(0.5, 2, 30)) if weighted else None
    centroids, steps = best(points, 3, weights=weights)
    assert steps >= 3
    plain = None if weights is None else weights.tolist()
    settled, _ = naive.lloyd(points.T.tolist(), centroids.tolist(), plain)
    assert centroids == pytest.approx(np.array(settled), abs=1e-9)
    assert np.array_equal(centroids, best(points, 3, run=run_on_threads, weights=weights)[0])


def test_groups_far_apart_are_found():
    points = np.concatenate([c + np.random.default_rng(1).normal(size=(2, 8)) for c in (0, 50, 100)], axis=1)
    centroids, _ = best(points, 3)
    assert np.sort(centroids[:, 0]) == pytest.approx([0, 50, 100], abs=2)


def test_use_is_what_the_inertia_rises_by():
    points, centroids = np.random.default_rng(2).normal(size=(2, 25)), np.random.default_rng(3).normal(size=(4, 2))
    use = np.empty(4)
    starts._usefulness(readonly(points), readonly(np.empty(0)), centroids, use, np.empty((4, 1024)))
    rows = points.T.tolist()
    without = [naive.inertia(rows, np.delete(centroids, c, axis=0).tolist()) for c in range(4)]
    assert use == pytest.approx(np.array(without) - naive.inertia(rows, centroids.tolist()))


def test_a_whole_fit():
    points = np.array([[0.0, 1, 10, 11, 20, 21, 20, 21]])
    fit = fit_kmeans(points, 3, n_init=2)
    assert fit.centroids[:, 0].tolist() == [20.5, 10.5, 0.5]
    assert fit.labels.tolist() == [2, 2, 1, 1, 0, 0, 0, 0]
    assert fit.sizes.tolist() == [4, 2, 2]
    assert fit.inertia == 2.0
