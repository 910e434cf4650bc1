import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import lloyd
from kernels._jit import readonly
from kernels._run import run_serially
from kernels.bounds import gather, list_open, new_bounds, new_look, put_back, set_bounds, travel
from kernels.nearest import TILE
from kernels.rough import label_tile, new_rough, set_centroids
from tests.kernels import naive_scoring as naive


@settings(deadline=None)
@given(
    d=st.integers(3, 6),
    k=st.integers(1, 9),
    n=st.integers(1, 40),
    seed=st.integers(0, 2**32),
    step=st.sampled_from([0.0, 1e-9, 1e-3, 0.1, 1.0]),
    on_a_grid=st.booleans(),
    scale=st.sampled_from([1e-160, 1e-12, 1.0, 1e12, 1e160]),
    shift=st.sampled_from([0.0, 1e6]),
)
def test_who_is_not_looked_at_keeps_the_label_that_the_plain_loop_finds(d, k, n, seed, step, on_a_grid, scale, shift):
    rng = np.random.default_rng(seed)
    points, centroids = rng.normal(size=(d, n)), rng.normal(size=(k, d))
    if on_a_grid:  # so that distances tie
        points, centroids = np.round(points), np.round(centroids)
    points, centroids = readonly((points + shift) * scale), (centroids + shift) * scale
    bounds, rough, labels = new_bounds(d, n, False), new_rough(d, k), np.empty(n, dtype=np.int32)
    assert list_open(bounds, 0, n, np.empty(TILE, dtype=np.int32)) == n
    set_centroids(rough, centroids)
    label_tile(rough, points, 0, n, centroids, labels)
    set_bounds(bounds, rough, bounds.until)
    for _ in range(3):
        moved = centroids + rng.normal(size=(k, d)) * step * scale
        bounds.travelled[0] += travel(centroids, moved)
        centroids = moved
        n_open = list_open(bounds, 0, n, rows := np.full(TILE, -1, dtype=np.int32))
        looked_at = set(rows[:n_open].tolist()) if n_open < n else set(range(n))
        for i in set(range(n)) - looked_at:
            assert naive.nearest(points[:, i].tolist(), centroids.tolist()) == labels[i]


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32))
def test_travel_is_the_two_largest_moves(d, k, seed):
    before, after = np.random.default_rng(seed).normal(size=(2, k, d))
    moves = sorted(
        (sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) ** 0.5 for x, y in zip(after, before, strict=True))
    )
    assert travel(before, after) == pytest.approx(sum(moves[-2:]), rel=1e-9)
    assert travel(before, before) == 0.0


@pytest.mark.parametrize("n_open", [1, 63, 64, 65, TILE - 1])
def test_those_listed_are_copied_and_put_back_to_their_places(n_open):
    rng = np.random.default_rng(n_open)
    points, bounds, look = readonly(rng.normal(size=(3, 5 + TILE))), new_bounds(3, 5 + TILE, False), new_look(3)
    listed = np.sort(rng.permutation(TILE)[:n_open])
    bounds.until[:] = 2.0
    bounds.until[5 + listed] = [np.nan, 0.5, 1.0][n_open % 3]  # one that reaches as far as the centroids came is open
    bounds.travelled[0] = 1.0
    assert list_open(bounds, 5, 5 + TILE, look.rows) == n_open
    assert look.rows[:n_open].tolist() == listed.tolist()
    assert n_open <= gather(points, 5, n_open, look) <= TILE
    assert np.array_equal(look.points[:, :n_open], points[:, 5 + listed])
    look.until[:] = 7.0
    put_back(look, n_open, bounds.until[5:])
    assert np.flatnonzero(bounds.until == 7.0).tolist() == (5 + listed).tolist()


@pytest.mark.parametrize(("d", "k"), [(2, 5), (3, 8), (5, 12)])
def test_refining_with_bounds_gives_the_same_bits(monkeypatch, d, k):
    rng = np.random.default_rng(d)
    points = readonly(rng.normal(size=(d, 3000)) + rng.integers(0, 3, (d, 3000)))
    found = []
    for never in (False, True):
        monkeypatch.setattr(lloyd, "new_bounds", lambda d, n, weighted, never=never: new_bounds(d, n, never))
        centroids = points[:, :k].T.copy()
        passes = lloyd.refine(points, readonly(np.empty(0)), centroids, 100, 0.0, run_serially, lambda: None)
        found.append((passes, centroids.tolist()))
    assert found[0] == found[1]
    assert found[0][0] > 10
