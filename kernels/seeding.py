"""Starting centroids: greedy k-means++.

    next centroid: of 2 + ⌊ln k⌋ candidates, each drawn with probability ∝ weight · D(x)^2, the one that leaves
    the least Σ weight · D(x)^2,  D(x) = distance to the nearest centroid so far

Source: Arthur, Vassilvitskii, "k-means++: the advantages of careful seeding" (2007), section 5; the number of
candidates is the one of scikit-learn. Sums run over 1,024 lanes (lane i = rows i, i + 1024, …), so strict
additions are vector code, and a draw scans the lanes, then one lane, instead of all rows.
"""

import math

from kernels._jit import frozen, kernel
from kernels._types import Floats
from kernels.nearest import TILE, square_distances


def n_candidates(k: int) -> int:
    """Return how many candidates compete for each centroid after the first."""
    return 2 + int(math.log(k))


def n_uniforms(k: int) -> int:
    """Return how many random numbers `seed_centroids` uses."""
    return 1 + (k - 1) * n_candidates(k)


@kernel
def _add_least(squares: Floats, closest: Floats, lanes: Floats) -> None:
    for i in range(len(squares)):
        lanes[i] += squares[i] if squares[i] < closest[i] else closest[i]


@kernel
def _add_least_weighted(squares: Floats, closest: Floats, weights: Floats, lanes: Floats) -> None:
    for i in range(len(squares)):
        lanes[i] += (squares[i] if squares[i] < closest[i] else closest[i]) * weights[i]


@kernel
def _keep_least(squares: Floats, closest: Floats) -> None:
    for i in range(len(squares)):
        closest[i] = squares[i] if squares[i] < closest[i] else closest[i]


@kernel
def total(lanes: Floats) -> float:
    """Return the sum, strictly in order."""
    found = 0.0
    for i in range(len(lanes)):
        found += lanes[i]
    return found


@kernel
def draw_row(closest: Floats, weights: Floats, lanes: Floats, uniform: float) -> int:
    """Return a row drawn with probability ∝ closest · weight, whose sums by lane are lanes; any row when all are 0."""
    n_rows = len(closest)
    weighted = len(weights) > 0
    rest = uniform * total(lanes)
    chosen = -1
    before = 0.0
    # the last lane with a chance stays chosen if rounding lets the target slip past it
    for i in range(len(lanes)):
        if lanes[i] > 0.0:
            chosen = i
            if before + lanes[i] > rest:
                break
            before += lanes[i]
    if chosen < 0:
        return min(int(uniform * n_rows), n_rows - 1)
    row = chosen
    for i in range(chosen, n_rows, TILE):
        chance = closest[i] * weights[i] if weighted else closest[i]
        if chance > 0.0:
            row = i
            before += chance
            if before > rest:
                break
    return row


@kernel
def _try_candidates(points: Floats, weights: Floats, closest: Floats, candidates: Floats, scratch: Floats) -> int:
    """Return the candidate that leaves the least potential; scratch[1 + c] gets its sums by lane."""
    n_rows = len(closest)
    n_tried = candidates.shape[0]
    scratch[1 : 1 + n_tried] = 0.0
    for start in range(0, n_rows, TILE):
        stop = min(start + TILE, n_rows)
        squares = scratch[0, : stop - start]
        for c in range(n_tried):
            square_distances(points, start, stop, frozen(candidates), c, squares)
            if len(weights) > 0:
                _add_least_weighted(squares, closest[start:stop], weights[start:stop], scratch[1 + c])
            else:
                _add_least(squares, closest[start:stop], scratch[1 + c])
    best = 0
    least = total(scratch[1])
    for c in range(1, n_tried):
        potential = total(scratch[1 + c])
        if potential < least:
            least = potential
            best = c
    return best


@kernel
def _approach(points: Floats, centroids: Floats, c: int, closest: Floats, squares: Floats) -> None:
    """Let centroid c bring whom it can nearer."""
    for start in range(0, len(closest), TILE):
        stop = min(start + TILE, len(closest))
        square_distances(points, start, stop, frozen(centroids), c, squares[: stop - start])
        _keep_least(squares[: stop - start], closest[start:stop])


@kernel
def _start_lanes(points: Floats, weights: Floats, kept: Floats, closest: Floats, scratch: Floats) -> None:
    """Write closest, given the kept centroids (f64[c, d]; none: 1), and its sums by lane to scratch[1]."""
    closest[:] = math.inf if kept.shape[0] > 0 else 1.0
    for c in range(kept.shape[0]):
        _approach(points, kept, c, closest, scratch[0])
    lanes = scratch[1]
    lanes[:] = 0.0
    for i in range(len(closest)):
        lanes[i % TILE] += closest[i] * weights[i] if len(weights) > 0 else closest[i]


@kernel
def seed_centroids(
    points: Floats,
    weights: Floats,
    uniforms: Floats,
    n_kept: int,
    closest: Floats,
    candidates: Floats,
    scratch: Floats,
    out_centroids: Floats,
) -> None:
    """Write greedy k-means++ centroids of points (f64[d, m]) to out_centroids (f64[k, d]), after n_kept that stay.

    weights f64[n], or f64[0] for none; uniforms f64[n_uniforms(k)]. Scratch: closest f64[m], candidates
    f64[n_candidates, d], scratch f64[1 + n_candidates, TILE].
    """
    n_features = points.shape[0]
    lanes = scratch[1]
    _start_lanes(points, weights, out_centroids[:n_kept], closest, scratch)
    used = 0
    for c in range(n_kept, out_centroids.shape[0]):
        n_tried = 1 if c == 0 else candidates.shape[0]
        for t in range(n_tried):
            row = draw_row(closest, weights, lanes, uniforms[used])
            used += 1
            for j in range(n_features):
                candidates[t, j] = points[j, row]
        if c == 0:
            closest[:] = math.inf
        best = _try_candidates(points, weights, closest, candidates[:n_tried], scratch)
        for j in range(n_features):
            out_centroids[c, j] = candidates[best, j]
        lanes = scratch[1 + best]
        _approach(points, candidates, best, closest, scratch[0])
