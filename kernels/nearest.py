"""The nearest centroid of each customer in a tile: the one distance arithmetic that fitting and scoring share.

    distance^2 = (((x_0 - c_0)^2 + (x_1 - c_1)^2) + (x_2 - c_2)^2) + …, ties to the lower id

The centroid loop is outside and every inner loop is elementwise over slices taken as arrays of their own (no
check for negative indices): vector code, and a customer gets the same bits alone, in a tile's tail, or among
millions. 1 M x 3, 8 centroids: half the time of going customer by customer. Source: kernel notes; Lloyd, "Least
squares quantization in PCM" (1982).
"""

import numpy as np

from kernels._jit import FIRST, kernel
from kernels._types import Floats, Labels

TILE = 1024  # three features, distance and label of a tile: 40 KB, which stays in L1/L2


@kernel
def _distance2(x0: Floats, x1: Floats, c0: float, c1: float, out_squares: Floats) -> None:
    """Write the squared distance over the first two features."""
    for i in range(len(out_squares)):
        a = x0[i] - c0
        b = x1[i] - c1
        out_squares[i] = a * a + b * b


@kernel
def _add_feature(x: Floats, c: float, squares: Floats) -> None:
    """Add one feature's square to each distance."""
    for i in range(len(squares)):
        a = x[i] - c
        squares[i] += a * a


@kernel
def _add_features(x0: Floats, x1: Floats, c0: float, c1: float, squares: Floats) -> None:
    """Add two features' squares, one after the other: a third less traffic than one feature at a time."""
    for i in range(len(squares)):
        a = x0[i] - c0
        b = x1[i] - c1
        squares[i] = (squares[i] + a * a) + b * b


@kernel
def square_distances(points: Floats, start: int, stop: int, centroids: Floats, c: int, out_squares: Floats) -> None:
    """Write to out_squares (f64[stop - start]) the squared distance of points[:, start:stop] to centroid c."""
    n_features = points.shape[0]
    if n_features == 1:
        out_squares[:] = 0.0
        _add_feature(points[0, start:stop], centroids[c, 0], out_squares)
        return
    _distance2(points[0, start:stop], points[1, start:stop], centroids[c, 0], centroids[c, 1], out_squares)
    j = 2
    while j + 1 < n_features:
        _add_features(
            points[j, start:stop], points[j + 1, start:stop], centroids[c, j], centroids[c, j + 1], out_squares
        )
        j += 2
    if j < n_features:
        _add_feature(points[j, start:stop], centroids[c, j], out_squares)


@kernel
def _keep_nearer(squares: Floats, c: float, best: Floats, near: Floats) -> None:
    """Move to centroid c whoever is strictly nearer to it."""
    for i in range(len(best)):
        nearer = squares[i] < best[i]
        best[i] = squares[i] if nearer else best[i]
        near[i] = c if nearer else near[i]


@kernel
def _keep_nearer_two(x0: Floats, x1: Floats, x2: Floats, centroids: Floats, c: int, best: Floats, near: Floats) -> None:
    """Do distance and choice in one go for centroids c and c + 1 and three features: 1.5x faster than in two passes."""
    p0, p1, p2 = centroids[c, 0], centroids[c, 1], centroids[c, 2]
    q0, q1, q2 = centroids[c + 1, 0], centroids[c + 1, 1], centroids[c + 1, 2]
    first = float(c)
    second = float(c + 1)
    for i in range(len(best)):
        a, b, e = x0[i] - p0, x1[i] - p1, x2[i] - p2
        f, g, h = x0[i] - q0, x1[i] - q1, x2[i] - q2
        square_p = a * a + b * b + e * e
        square_q = f * f + g * g + h * h
        nearer = square_p < best[i]
        least = square_p if nearer else best[i]
        label = first if nearer else near[i]
        nearer = square_q < least
        best[i] = square_q if nearer else least
        near[i] = second if nearer else label


@kernel
def nearest_tile(
    points: Floats, start: int, stop: int, centroids: Floats, squares: Floats, best: Floats, near: Floats
) -> None:
    """Find the nearest centroid of points[:, start:stop] (f64[d, n]) among centroids (f64[k, d]).

    Writes best (f64[stop - start], squared distance) and near (f64[stop - start], id; a float because lanes of
    one width keep the loop vector code). squares is scratch of the same length. A NaN feature gives best NaN and
    near 0.
    """
    n_centroids = centroids.shape[0]
    square_distances(points, start, stop, centroids, FIRST, best)
    near[:] = 0.0
    c = FIRST + 1
    if points.shape[0] == 3:
        x0, x1, x2 = points[0, start:stop], points[1, start:stop], points[2, start:stop]
        while c + 1 < n_centroids:
            _keep_nearer_two(x0, x1, x2, centroids, c, best, near)
            c += 2
    while c < n_centroids:
        square_distances(points, start, stop, centroids, c, squares)
        _keep_nearer(squares, float(c), best, near)
        c += 1


@kernel
def write_segments(best: Floats, near: Floats, out_segments: Labels) -> None:
    """Write ids as int32[m]; -1 where the distance is NaN."""
    for i in range(len(near)):
        out_segments[i] = np.int32(near[i]) if best[i] == best[i] else np.int32(-1)


@kernel
def nearest_row(points: Floats, i: int, centroids: Floats) -> int:
    """Return who is nearest to customer i of points f64[d, n], by the same arithmetic; -1 where a feature is NaN."""
    near, best = 0, np.inf
    for c in range(centroids.shape[0]):
        square = 0.0
        for j in range(points.shape[0]):
            a = points[j, i] - centroids[c, j]
            square += a * a
        if square != square:
            return -1
        if square < best:
            near, best = c, square
    return near


@kernel
def _own_square(x: Floats, coordinates: Floats, labels: Labels, squares: Floats) -> None:
    """Add one feature's square, to the own centroid."""
    for i in range(len(squares)):
        a = x[i] - coordinates[np.uint32(max(labels[i], 0))]
        squares[i] += a * a


@kernel
def own_squares(points: Floats, start: int, centroids: Floats, labels: Labels, out_squares: Floats) -> None:
    """Write the squared distances of points[:, start : start + len(labels)] to the centroids of labels (-1: of 0)."""
    out_squares[:] = 0.0
    for j in range(points.shape[0]):
        _own_square(points[j, start : start + len(labels)], centroids[:, j], labels, out_squares)
