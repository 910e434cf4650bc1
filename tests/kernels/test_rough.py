import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels._jit import readonly
from kernels.nearest import TILE, nearest_tile, own_squares
from kernels.rough import label_tile, measure_tile, new_rough, set_centroids
from tests.kernels import naive_scoring as naive


def label(points, centroids):
    points, centroids = readonly(points), readonly(centroids)
    rough = new_rough(*centroids.shape[::-1])
    set_centroids(rough, centroids)
    labels = np.empty(points.shape[1], dtype=np.int32)
    for start in range(0, len(labels), TILE):
        stop = min(start + TILE, len(labels))
        label_tile(rough, points, start, stop, centroids, labels[start:stop])
    return labels


def plain(points, centroids):
    """The float64 arithmetic of a tile, which test_nearest.py compares with the plain loop."""
    squares, best, near = np.empty((3, points.shape[1]))
    nearest_tile(readonly(points), 0, points.shape[1], readonly(centroids), squares, best, near)
    return np.where(np.isnan(best), -1, near).tolist()


@settings(deadline=None)
@given(
    d=st.integers(1, 13),
    k=st.integers(1, 14),
    n=st.integers(1, 40),
    seed=st.integers(0, 2**32),
    on_a_grid=st.booleans(),
    scale=st.sampled_from([1e-160, 1e-30, 1e-12, 1.0, 1e12, 5e18, 1e30, 1e160]),
    shift=st.sampled_from([0.0, 1.0, 1e9]),
)
def test_labels_are_those_of_the_plain_loop(d, k, n, seed, on_a_grid, scale, shift):
    rng = np.random.default_rng(seed)
    points, centroids = rng.normal(size=(d, n)), rng.normal(size=(k, d))
    if on_a_grid:  # so that distances tie
        points, centroids = np.round(points), np.round(centroids)
    points, centroids = (points + shift) * scale, (centroids + shift) * scale
    assert label(points, centroids).tolist() == [naive.nearest(row, centroids.tolist()) for row in points.T.tolist()]


@pytest.mark.parametrize(("d", "k"), [(32, 256), (3, 255), (3, 8), (8, 32), (5, 1)])
def test_many_customers_some_of_them_halfway_between_centroids(d, k):
    rng = np.random.default_rng(d * k)
    points, centroids = rng.normal(size=(d, 300)), rng.normal(size=(k, d))
    for i in range(0, 300, 30):  # few enough to be looked at one by one; as near to the middle as float64 comes
        one, other = centroids[i % k], centroids[(i + 1) % k]
        points[:, i] = 0.5 * (one + other) + (other - one) * (i % 7 - 3) * 1e-16
    assert label(points, centroids).tolist() == plain(points, centroids)


def test_ties_go_to_the_lower_id_one_by_one_and_by_the_tile():
    centroids = np.array([[3.0, 0, 0], [1, 0, 0], [-1, 0, 0], [1, 0, 0]])
    points = np.array([[0.0, 0, 0], [5, 0, 0], *[[3.0, 1, 1]] * 30]).T.copy()
    assert label(points, centroids).tolist() == [1, 0, *[0] * 30]
    assert (label(np.zeros((3, 2000)), centroids) == 1).all()


@pytest.mark.parametrize("n", [2, 3000])
def test_nan_has_no_label_and_infinite_distance_has_one(n):
    points = np.zeros((4, n))
    points[0, 0], points[2, 1] = np.nan, 1e300
    centroids = np.array([[9.0, 0, 0, 0], [1.0, 0, 0, 0], [2.0, 0, 0, 0]])
    assert label(points, centroids).tolist() == [-1, 0, *[1] * (n - 2)]


@pytest.mark.parametrize(("d", "k"), [(2, 3), (8, 32)])
def test_distances_to_the_nearest(d, k):
    rng = np.random.default_rng(d)
    points, centroids = readonly(rng.normal(size=(d, 100))), readonly(rng.normal(size=(k, d)))
    rough = new_rough(d, k)
    set_centroids(rough, centroids)
    labels, squares, again = np.empty(90, dtype=np.int32), np.empty(90), np.empty(90)
    measure_tile(rough, points, 5, 95, centroids, labels, squares)
    own_squares(points, 5, centroids, labels, again)
    rows = points.T[5:95].tolist()
    assert labels.tolist() == [naive.nearest(row, centroids.tolist()) for row in rows]
    assert squares.tolist() == [min(naive.square_distance(row, c) for c in centroids.tolist()) for row in rows]
    assert np.array_equal(squares, again)
