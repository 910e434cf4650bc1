import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels._jit import readonly
from kernels.nearest import TILE, nearest_tile, square_distances, write_segments
from tests.kernels import naive_scoring as naive


def nearest(points, centroids, start=0, stop=None):
    stop = points.shape[1] if stop is None else stop
    squares, best, near = np.empty((3, stop - start))
    nearest_tile(readonly(points), start, stop, readonly(centroids), squares, best, near)
    return best, near


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 30), st.integers(0, 2**32), st.booleans())
def test_nearest_tile_equals_the_plain_loop_bit_for_bit(d, k, n, seed, on_a_grid):
    rng = np.random.default_rng(seed)
    points, centroids = rng.normal(size=(d, n)), rng.normal(size=(k, d))
    if on_a_grid:  # so that distances tie
        points, centroids = np.round(points), np.round(centroids)
    best, near = nearest(points, centroids)
    rows, plain = points.T.tolist(), centroids.tolist()
    assert near.tolist() == [naive.nearest(row, plain) for row in rows]
    assert best.tolist() == [min(naive.square_distance(row, c) for c in plain) for row in rows]


@pytest.mark.parametrize(("d", "k"), [(32, 256), (3, 256), (3, 255), (1, 2), (31, 3)])
def test_many_features_and_centroids(d, k):
    rng = np.random.default_rng(d * k)
    points, centroids = rng.normal(size=(d, 20)), rng.normal(size=(k, d))
    _, near = nearest(points, centroids)
    assert near.tolist() == [naive.nearest(row, centroids.tolist()) for row in points.T.tolist()]


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5])
def test_ties_go_to_the_lower_id(d):
    points, centroids = np.zeros((d, 7)), np.ones((6, d)) * np.array([[2], [1], [-1], [1], [-1], [1]])
    assert (nearest(points, centroids)[1] == 1).all()


def test_a_part_of_the_points_gives_the_same_bits():
    rng = np.random.default_rng(0)
    points, centroids = rng.normal(size=(3, TILE)), rng.normal(size=(8, 3))
    best, near = nearest(points, centroids)
    for start, stop in ((0, 1), (5, 6), (17, 400), (1000, TILE)):
        part = nearest(points, centroids, start, stop)
        assert np.array_equal(part[0], best[start:stop])
        assert np.array_equal(part[1], near[start:stop])


def test_nan_has_no_segment_and_infinite_distance_has_one():
    points = np.array([[0.0, np.nan, 1e300], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    best, near = nearest(points, np.array([[1.0, 0, 0], [0.0, 0, 0], [2.0, 0, 0]]))
    segments = np.empty(3, dtype=np.int32)
    write_segments(best, near, segments)
    assert segments.tolist() == [1, -1, 0]


def test_square_distances_of_one_feature():
    out = np.empty(2)
    square_distances(readonly(np.array([[1.0, 3.0]])), 0, 2, readonly(np.array([[5.0], [4.0]])), 1, out)
    assert out.tolist() == [9.0, 1.0]
