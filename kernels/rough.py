"""The nearest centroid in float32, and whether that is beyond doubt; for the few in doubt the plain arithmetic decides.

    |x - c|^2 < |x - e|^2   <=>   g_c < g_e,   g_c = |c|^2 / 2 - x · c
    beyond doubt: second least g - least g > (d + 8) 2^-22 (|x|^2 + max_c |c|^2) + 2^-100

x and c count from the centroids' mean on. A float32 g misses the true one by at most (d + 3) 2^-24 (|x|^2 + |c|^2), two
of them by twice that; what is asked for is more than twice as much, which leaves room for the rounding of the norms and
of the plain distances in float64. NaN and overflow make the comparison false, so they are in doubt. So labels are those
of `nearest.py`, bit for bit, whatever the machine makes of float32. 1 M x 8, 32 centroids: a third of its time.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import kernel, rough_kernel, rough_row_kernel, row_kernel
from kernels._types import Floats, Labels, Singles
from kernels.nearest import TILE, nearest_row, nearest_tile, own_squares, write_segments

NORMS, LEAST, SECOND, _SUMS, _MORE_SUMS = range(5)  # rows of Rough.work
FEW_FEATURES = 2  # up to here the plain arithmetic is no slower
_FEW_PRODUCTS = 128  # features x centroids: below, the distances are cheaper had on the way than afterwards
_EIGHT = 8  # centroids that fit into registers, if there are three features
_MANY = 16  # in doubt: every 16th of a tile; then all of it is done again, in vector code


class Rough(NamedTuple):
    """Centroids in float32, and room for a tile of customers; centroids and features fill up to multiples of four."""

    middle: Floats  # f64[d], the centroids' mean
    centroids: Singles  # f32[4 ⌈k/4⌉, 4 ⌈d/4⌉] from there on, then zeros
    halves: Singles  # f32[4 ⌈k/4⌉], |c|^2 / 2, then infinity, which is never nearest
    doubts: Singles  # f32[2]: two g nearer than [0] + [1] |x|^2 are in doubt
    columns: Singles  # f32[4 ⌈d/4⌉, TILE], the customers' features, then zeros
    work: Singles  # f32[5, TILE]
    exact: Floats  # f64[3, TILE]
    labels: Labels  # int32[TILE]


@kernel
def new_rough(n_features: int, k: int) -> Rough:
    """Return room for k centroids, to be filled by `set_centroids`."""
    n_columns, n_rows = (n_features + 3) // 4 * 4, (k + 3) // 4 * 4
    columns = np.empty((n_columns, TILE), dtype=np.float32)
    columns[n_features:] = np.float32(0.0)
    return Rough(
        np.empty(n_features),
        np.zeros((n_rows, n_columns), dtype=np.float32),
        np.full(n_rows, np.inf, dtype=np.float32),
        np.empty(2, dtype=np.float32),
        columns,
        np.empty((5, TILE), dtype=np.float32),
        np.empty((3, TILE)),
        np.empty(TILE, dtype=np.int32),
    )


@kernel
def set_centroids(rough: Rough, centroids: Floats) -> None:
    """Take centroids f64[k, d]."""
    k, n_features = centroids.shape
    for j in range(n_features):
        total = 0.0
        for c in range(k):
            total += centroids[c, j]
        rough.middle[j] = total / k
    largest = 0.0
    for c in range(k):
        norm = 0.0
        for j in range(n_features):
            x = centroids[c, j] - rough.middle[j]
            rough.centroids[c, j] = np.float32(x)
            norm += x * x
        rough.halves[c] = np.float32(0.5 * norm)
        largest = max(largest, norm)
    slope = (n_features + 8) * 2.0**-22
    # no sum of products overflows on the way to a small one: the norm of a customer is in float32 as well
    rough.doubts[0] = np.float32(slope * largest + 2.0**-100 if largest < 2.0**120 else np.inf)
    rough.doubts[1] = np.float32(slope)


@rough_kernel
def _load(x: Floats, middle: float, column: Singles, norms: Singles) -> None:
    """Write a feature from the middle on, and add its square to the norms."""
    for i in range(len(column)):
        a = np.float32(x[i] - middle)
        column[i] = a
        norms[i] += a * a


@rough_kernel
def _load_three(
    x0: Floats, x1: Floats, x2: Floats, middle: Floats, out0: Singles, out1: Singles, out2: Singles, norms: Singles
) -> None:
    """Do as _load for three features in one go."""
    m0, m1, m2 = middle[0], middle[1], middle[2]
    for i in range(len(norms)):
        a, b, c = np.float32(x0[i] - m0), np.float32(x1[i] - m1), np.float32(x2[i] - m2)
        out0[i], out1[i], out2[i] = a, b, c
        norms[i] = a * a + b * b + c * c


@rough_kernel
def _multiply(
    x0: Singles, x1: Singles, x2: Singles, x3: Singles,
    p: Singles, q: Singles, half_p: np.float32, half_q: np.float32, out_p: Singles, out_q: Singles,
) -> None:  # fmt: skip
    """Write half - x · c over four features for two centroids p, q."""
    p0, p1, p2, p3 = p[0], p[1], p[2], p[3]
    q0, q1, q2, q3 = q[0], q[1], q[2], q[3]
    for i in range(len(out_p)):
        out_p[i] = half_p - x0[i] * p0 - x1[i] * p1 - x2[i] * p2 - x3[i] * p3
        out_q[i] = half_q - x0[i] * q0 - x1[i] * q1 - x2[i] * q2 - x3[i] * q3


@rough_kernel
def _multiply_more(
    x0: Singles, x1: Singles, x2: Singles, x3: Singles, p: Singles, q: Singles, sums_p: Singles, sums_q: Singles
) -> None:
    """Take four more features off."""
    p0, p1, p2, p3 = p[0], p[1], p[2], p[3]
    q0, q1, q2, q3 = q[0], q[1], q[2], q[3]
    for i in range(len(sums_p)):
        sums_p[i] = sums_p[i] - x0[i] * p0 - x1[i] * p1 - x2[i] * p2 - x3[i] * p3
        sums_q[i] = sums_q[i] - x0[i] * q0 - x1[i] * q1 - x2[i] * q2 - x3[i] * q3


@row_kernel
def _keep_two1(
    g: np.float32, c: np.int32, least: np.float32, second: np.float32, near: np.int32
) -> tuple[np.float32, np.float32, np.int32]:
    """Return the two least of g, least and second, and who has the least."""
    nearer = g < least
    middle = least if nearer else g
    return g if nearer else least, middle if middle < second else second, c if nearer else near


@kernel
def _keep_two(p: Singles, q: Singles, c: int, least: Singles, second: Singles, near: Labels) -> None:
    """Let centroids c and c + 1 compete, of which p and q say how near they are."""
    first, next_ = np.int32(c), np.int32(c + 1)
    for i in range(len(least)):
        a, b, n = _keep_two1(p[i], first, least[i], second[i], near[i])
        least[i], second[i], near[i] = _keep_two1(q[i], next_, a, b, n)


@row_kernel
def _plane(centroid: Singles, half: np.float32) -> tuple[np.float32, np.float32, np.float32, np.float32]:
    """Return what tells how near a centroid is: numbers that stay in registers."""
    return centroid[0], centroid[1], centroid[2], half


@rough_row_kernel
def _g(
    plane: tuple[np.float32, np.float32, np.float32, np.float32], x: np.float32, y: np.float32, z: np.float32
) -> np.float32:
    """Return half - x · c over three features."""
    return plane[3] - x * plane[0] - y * plane[1] - z * plane[2]


@rough_kernel
def _compare_three(
    x0: Singles, x1: Singles, x2: Singles,
    centroids: Singles, halves: Singles, c: int, least: Singles, second: Singles, near: Labels,
) -> None:  # fmt: skip
    """Do all for three features and centroids c to c + 3 in one go: 1.2 times faster than in two passes each."""
    p, q = _plane(centroids[c], halves[c]), _plane(centroids[c + 1], halves[c + 1])
    r, s = _plane(centroids[c + 2], halves[c + 2]), _plane(centroids[c + 3], halves[c + 3])
    first, next_, third, fourth = np.int32(c), np.int32(c + 1), np.int32(c + 2), np.int32(c + 3)
    for i in range(len(least)):
        x, y, z = x0[i], x1[i], x2[i]
        a, b, n = _keep_two1(_g(p, x, y, z), first, least[i], second[i], near[i])
        a, b, n = _keep_two1(_g(q, x, y, z), next_, a, b, n)
        a, b, n = _keep_two1(_g(r, x, y, z), third, a, b, n)
        least[i], second[i], near[i] = _keep_two1(_g(s, x, y, z), fourth, a, b, n)


@row_kernel
def _in_doubt(least: np.float32, second: np.float32, norm: np.float32, base: np.float32, slope: np.float32) -> bool:
    """Tell whether rounding may have chosen; true for NaN."""
    return not second - least > base + slope * norm


@row_kernel
def _better_pair(
    p: np.float32, p_second: np.float32, p_near: np.int32, q: np.float32, q_second: np.float32, q_near: np.int32
) -> tuple[np.float32, np.float32, np.int32]:
    """Return the two least of two pairs, and who has the least; ties to the first."""
    nearer = q < p
    loser, second = p if nearer else q, q_second if nearer else p_second
    return q if nearer else p, loser if loser < second else second, q_near if nearer else p_near


@row_kernel
def _pair(p: np.float32, p_near: np.int32, q: np.float32, q_near: np.int32) -> tuple[np.float32, np.float32, np.int32]:
    """Return the lesser one of two, the other, and who is the lesser; ties to the first."""
    nearer = q < p
    return q if nearer else p, p if nearer else q, q_near if nearer else p_near


@rough_kernel
def _compare_eight(
    x0: Singles, x1: Singles, x2: Singles,
    planes: Singles, halves: Singles, least: Singles, second: Singles, near: Labels,
) -> None:  # fmt: skip
    """Do all for three features and eight centroids, with nothing kept on the way.

    A tournament of pairs: 1.4 times faster than four centroids after four. Doubts are counted elsewhere: a count is an
    int64, and would halve the lanes of all.
    """
    p0, p1, p2 = _plane(planes[0], halves[0]), _plane(planes[1], halves[1]), _plane(planes[2], halves[2])
    p3, p4, p5 = _plane(planes[3], halves[3]), _plane(planes[4], halves[4]), _plane(planes[5], halves[5])
    p6, p7 = _plane(planes[6], halves[6]), _plane(planes[7], halves[7])
    for i in range(len(near)):
        x, y, z = x0[i], x1[i], x2[i]
        a, a_second, a_near = _pair(_g(p0, x, y, z), np.int32(0), _g(p1, x, y, z), np.int32(1))
        b, b_second, b_near = _pair(_g(p2, x, y, z), np.int32(2), _g(p3, x, y, z), np.int32(3))
        c, c_second, c_near = _pair(_g(p4, x, y, z), np.int32(4), _g(p5, x, y, z), np.int32(5))
        d, d_second, d_near = _pair(_g(p6, x, y, z), np.int32(6), _g(p7, x, y, z), np.int32(7))
        a, a_second, a_near = _better_pair(a, a_second, a_near, b, b_second, b_near)
        c, c_second, c_near = _better_pair(c, c_second, c_near, d, d_second, d_near)
        a, a_second, a_near = _better_pair(a, a_second, a_near, c, c_second, c_near)
        least[i], second[i], near[i] = a, a_second, a_near


@kernel
def _count_doubts(least: Singles, second: Singles, norms: Singles, base: np.float32, slope: np.float32) -> int:
    found = np.int32(0)
    for i in range(len(least)):
        found += np.int32(1) if _in_doubt(least[i], second[i], norms[i], base, slope) else np.int32(0)
    return int(found)


@kernel
def compare(rough: Rough, n_features: int, n: int, out_labels: Labels) -> int:
    """Write who is nearest to the first n customers of rough.columns, with their norms, to out_labels (int32[n]).

    Return how many are in doubt; their labels may be wrong.
    """
    least, second, norms = rough.work[LEAST, :n], rough.work[SECOND, :n], rough.work[NORMS, :n]
    x, centroids, halves = rough.columns, rough.centroids, rough.halves
    if n_features == 3 and len(halves) == _EIGHT:
        _compare_eight(x[0, :n], x[1, :n], x[2, :n], centroids, halves, least, second, out_labels)
        return _count_doubts(least, second, norms, rough.doubts[0], rough.doubts[1])
    least[:] = np.float32(np.inf)
    second[:] = np.float32(np.inf)
    out_labels[:] = np.int32(0)
    if n_features == 3:
        for c in range(0, len(halves), 4):
            _compare_three(x[0, :n], x[1, :n], x[2, :n], centroids, halves, c, least, second, out_labels)
    else:
        p, q = rough.work[_SUMS, :n], rough.work[_MORE_SUMS, :n]
        for c in range(0, len(halves), 2):
            _multiply(
                x[0, :n], x[1, :n], x[2, :n], x[3, :n], centroids[c], centroids[c + 1], halves[c], halves[c + 1], p, q
            )
            for j in range(4, len(x), 4):
                _multiply_more(
                    x[j, :n], x[j + 1, :n], x[j + 2, :n], x[j + 3, :n], centroids[c, j:], centroids[c + 1, j:], p, q
                )
            _keep_two(p, q, c, least, second, out_labels)
    return _count_doubts(least, second, norms, rough.doubts[0], rough.doubts[1])


@kernel
def settle(
    rough: Rough, n_doubts: int, points: Floats, start: int, stop: int, centroids: Floats, out_labels: Labels
) -> None:
    """Mend the labels of points[:, start:stop] after `compare`: where there is doubt the plain arithmetic decides."""
    n = stop - start
    if n_doubts * _MANY > n:
        squares, best, near = rough.exact[0, :n], rough.exact[1, :n], rough.exact[2, :n]
        nearest_tile(points, start, stop, centroids, squares, best, near)
        write_segments(best, near, out_labels)
    elif n_doubts > 0:
        norms, least, second = rough.work[NORMS], rough.work[LEAST], rough.work[SECOND]
        for i in range(n):
            if _in_doubt(least[i], second[i], norms[i], rough.doubts[0], rough.doubts[1]):
                out_labels[i] = nearest_row(points, start + i, centroids)


@kernel
def label_tile(rough: Rough, points: Floats, start: int, stop: int, centroids: Floats, out_labels: Labels) -> None:
    """Write who is nearest to points[:, start:stop] (of f64[d, n], at most TILE) as int32[stop - start]; -1 for NaN.

    centroids f64[k, d] are those that rough was set to.
    """
    n_features, n = points.shape[0], stop - start
    n_doubts = n
    norms, x = rough.work[NORMS, :n], rough.columns
    if n_features == 3:
        x0, x1, x2 = points[0, start:stop], points[1, start:stop], points[2, start:stop]
        _load_three(x0, x1, x2, rough.middle, x[0, :n], x[1, :n], x[2, :n], norms)
    elif n_features > FEW_FEATURES:
        norms[:] = np.float32(0.0)
        for j in range(n_features):
            _load(points[j, start:stop], rough.middle[j], x[j, :n], norms)
    if n_features > FEW_FEATURES:
        n_doubts = compare(rough, n_features, n, out_labels)
    settle(rough, n_doubts, points, start, stop, centroids, out_labels)


@kernel
def measure_tile(
    rough: Rough, points: Floats, start: int, stop: int, centroids: Floats, out_labels: Labels, out_squares: Floats
) -> None:
    """Do as `label_tile` for finite points, and write the squared distances to the nearest as f64[stop - start]."""
    if centroids.size < _FEW_PRODUCTS:
        n = stop - start
        nearest_tile(points, start, stop, centroids, rough.exact[0, :n], out_squares, rough.exact[2, :n])
        write_segments(out_squares, rough.exact[2, :n], out_labels)
    else:
        label_tile(rough, points, start, stop, centroids, out_labels)
        own_squares(points, start, centroids, out_labels, out_squares)
