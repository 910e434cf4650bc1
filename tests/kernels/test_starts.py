import numpy as np
import pytest

from kernels import starts
from kernels._jit import readonly
from kernels._run import run_serially
from kernels.kmeans import fit_kmeans
from kernels.random import uniforms
from kernels.seeding import n_uniforms
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


@pytest.mark.parametrize(("k", "ties"), [(2, 0), (3, 1), (5, 0), (7, 1)])
def test_swaps_are_the_plain_ones(k, ties, monkeypatch):
    """The same bits as with numpy between the kernels."""
    monkeypatch.setattr(starts, "SWAPS_OF_FEW", 9)
    points = readonly(np.round(np.random.default_rng(k).normal(size=(2, 30)), 2 - ties))
    weights, found, wanted = readonly(np.empty(0)), starts._new_start(2, 30, k), starts._new_start(2, 30, k)
    for start in (found, wanted):
        start.centroids[:] = points[:, :k].T
    starts._swap(points, weights, 7, 2**32, 0.0, found)
    plain_swaps(points, weights, 7, 2**32, wanted)
    assert found.centroids.tobytes() == wanted.centroids.tobytes()
    assert found.labels.tobytes() == wanted.labels.tobytes()


def plain_swaps(points, weights, seed, stream, start):
    k = len(start.centroids)
    starts._pursue(points, weights, starts.HEAT_PASSES, 0.0, start)
    best, least, use = start.centroids.copy(), start.inertia, np.empty(k)
    starts._usefulness(points, weights, best, use, start.scratch)
    for trial in range(starts.SWAPS_OF_FEW):
        spared = (trial // 3) % max(1, k // 2)
        gone = np.argsort(use, kind="stable")[spared : spared + 1 + trial % 3][: k - 1]
        start.centroids[: k - len(gone)] = np.delete(best, gone, axis=0)
        starts._seed(points, weights, uniforms(seed, stream + trial, n_uniforms(k)), k - len(gone), start)
        starts._pursue(points, weights, starts.HEAT_PASSES, 0.0, start)
        if start.inertia < least:
            best, least = start.centroids.copy(), start.inertia
            starts._usefulness(points, weights, best, use, start.scratch)
    start.centroids[:] = best


def test_a_whole_fit():
    points = np.array([[0.0, 1, 10, 11, 20, 21, 20, 21]])
    fit = fit_kmeans(points, 3, n_init=2)
    assert fit.centroids[:, 0].tolist() == [20.5, 10.5, 0.5]
    assert fit.labels.tolist() == [2, 2, 1, 1, 0, 0, 0, 0]
    assert fit.sizes.tolist() == [4, 2, 2]
    assert fit.inertia == 2.0
