"""Mini-batch k-means: centroids move after every batch of 1,024 customers, each at its own falling rate.

    centroid += (weight of its batch members / weight it has ever seen) · (their mean - centroid)

Stops when the smoothed inertia of the batches has not fallen for a while. Source: Sculley, "Web-scale k-means
clustering" (2010); smoothing as in scikit-learn. A centroid that no batch visits is starved: it moves to the
worst-fitted customer of the batch at hand. The sample is in random order already, so a batch is a slice.
"""

import math

from kernels._jit import frozen, kernel
from kernels._types import Floats, Labels
from kernels.nearest import TILE
from kernels.rough import measure_tile, new_rough, set_centroids

PATIENCE = 8  # steps without a new best smoothed inertia
MAX_EPOCHS = 3  # passes over the sample; Lloyd passes follow, which do the rest better


@kernel
def add_members(points: Floats, weights: Floats, start: int, near: Labels, best: Floats, sums: Floats) -> float:
    """Add points[:, start : start + len(near)] to sums (f64[k, d + 1], weight last); return their inertia."""
    n_features = points.shape[0]
    inertia = 0.0
    for i in range(len(near)):
        c = near[i]
        weight = weights[start + i] if len(weights) > 0 else 1.0
        inertia += weight * best[i]
        sums[c, n_features] += weight
        for j in range(n_features):
            sums[c, j] += weight * points[j, start + i]
    return inertia


@kernel
def _step(seen: Floats, sums: Floats, centroids: Floats) -> None:
    """Move each centroid towards its batch members; seen f64[k] is the weight each has ever seen."""
    n_features = centroids.shape[1]
    for c in range(centroids.shape[0]):
        weight = sums[c, n_features]
        if weight > 0.0:
            seen[c] += weight
            for j in range(n_features):
                centroids[c, j] += (sums[c, j] - weight * centroids[c, j]) / seen[c]


@kernel
def _feed_starved(points: Floats, start: int, best: Floats, seen: Floats, centroids: Floats) -> None:
    """Move each centroid that has seen nobody to the worst-fitted customer of the batch, a different one each."""
    for c in range(centroids.shape[0]):
        if seen[c] > 0.0:
            continue
        worst = 0
        for i in range(len(best)):
            worst = i if best[i] > best[worst] else worst
        if best[worst] > 0.0:
            best[worst] = 0.0
            for j in range(points.shape[0]):
                centroids[c, j] = points[j, start + worst]


@kernel
def minibatches(
    points: Floats, weights: Floats, first: int, centroids: Floats, seen: Floats, sums: Floats, scratch: Floats
) -> int:
    """Move centroids (f64[k, d]) by batches of points (f64[d, m], in random order) from batch `first` on; count them.

    weights f64[m] or f64[0]; scratch: seen f64[k], sums f64[k, d + 1], scratch f64[>= 1, TILE].
    """
    n_rows = points.shape[1]
    n_batches = (n_rows + TILE - 1) // TILE
    smoothing = min(1.0, 2.0 * TILE / (n_rows + 1.0))
    smoothed, least, since = 0.0, math.inf, 0
    rough = new_rough(points.shape[0], len(centroids))
    seen[:] = 0.0
    steps = 0
    while steps < MAX_EPOCHS * n_batches and since < PATIENCE:
        start = ((first + steps) % n_batches) * TILE
        stop = min(start + TILE, n_rows)
        size = stop - start
        best, near = scratch[0, :size], rough.labels[:size]
        set_centroids(rough, frozen(centroids))
        measure_tile(rough, points, start, stop, frozen(centroids), near, best)
        sums[:] = 0.0
        inertia = add_members(points, weights, start, near, best, sums) / size
        _step(seen, sums, centroids)
        _feed_starved(points, start, best, seen, centroids)
        smoothed = inertia if steps == 0 else smoothed + smoothing * (inertia - smoothed)
        since = 0 if smoothed < least else since + 1
        least = min(least, smoothed)
        steps += 1
    return steps
