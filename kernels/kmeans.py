"""k-means for customers: many cheap starts on a sample, the best one refined on all, then frozen and ordered by value.

    minimise Σ weight · |x - c(x)|^2

Starts (greedy k-means++, mini-batches, a few full passes) compete on a sample, the leaders run to their end
there, and the winner is refined by full passes over all customers. Then centroids are ordered by coordinate sum,
descending, frozen, and one assignment follows with scoring's own arithmetic, so that scoring the fitted customers
gives their segments again. Source: semantics of the service, 3.5; the parts name theirs (seeding, minibatch,
lloyd).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kernels._jit import frozen, kernel, readonly
from kernels._run import Run, blocks, run_serially
from kernels._types import Floats, Ints, Labels
from kernels.lloyd import fill_empty, refine
from kernels.nearest import TILE
from kernels.random import sample_order
from kernels.rough import measure_tile, new_rough, set_centroids
from kernels.scaling import moments
from kernels.starts import best_start

MAX_SEGMENTS = 256
MAX_FEATURES = 32
MAX_SAMPLE = 65_536
MAX_PASSES = 100  # over all customers
# centroids have settled when Σ move^2 is below this times the mean variance of a feature:
TOLERANCE_OF_ALL = 1e-7  # where the sample is everyone
TOLERANCE_OF_SAMPLE = 1e-5  # where full passes follow
TOLERANCE = 1e-4  # of those; scikit-learn's, and less than what another sample would change
_SAMPLE_STREAM = -1  # starts and swaps use 0 and above


class KMeansFit(NamedTuple):
    """centroids f64[k, d], labels int32[n], their inertia, sizes int64[k]; starts, mini-batch steps, full passes."""

    centroids: Floats
    labels: Labels
    inertia: float
    sizes: Ints
    n_starts: int
    n_steps: int
    n_passes: int


def no_check() -> None:
    """Never cancel."""


def sample_rows(k: int, n_features: int) -> int:
    """Return how many sampled customers the starts use: fewer where a pass is dear, never under 64 per segment."""
    return min(MAX_SAMPLE, max(64 * k, 2**23 // (k * n_features)))


def fit_kmeans(
    points: Floats,
    k: int,
    *,
    seed: int = 0,
    n_init: int = 10,
    sample: Ints | None = None,
    sample_weights: Floats | None = None,
    init: Floats | None = None,
    run: Run = run_serially,
    check: Callable[[], None] = no_check,
) -> KMeansFit:
    """Cluster points f64[d, n] (weighted space, finite) into k segments; the same bits for the same input, any `run`.

    sample int64[m]: the customers on whom starts compete, in an order that says nothing about them; None draws
    them. sample_weights f64[n] >= 0. init f64[k, d]: start there instead, and keep its order; otherwise segment 0
    has the largest coordinate sum. check is called between passes and may raise to cancel. No segment is empty if
    k points differ (see `count_distinct`).
    """
    points = readonly(np.ascontiguousarray(points, dtype=np.float64))
    weights = _checked_weights(points, k, n_init, sample_weights)
    n_features, n = points.shape
    variance = sum(moments(row, run).m2 for row in points) / (n * n_features)
    n_steps = 0
    tolerance = TOLERANCE * variance
    if init is not None:
        centroids = np.array(init, dtype=np.float64, order="C", ndmin=2)
        if centroids.shape != (k, n_features):
            raise ValueError(f"init: shape is {centroids.shape}, wanted ({k}, {n_features})")
        n_init = 0
    else:
        if sample is None:
            sample = sample_order(seed, _SAMPLE_STREAM, n, MAX_SAMPLE)
        rows = sample[: sample_rows(k, n_features)]
        on_sample = TOLERANCE_OF_SAMPLE * variance
        if len(rows) == n:
            on_sample = tolerance = TOLERANCE_OF_ALL * variance
        sampled = readonly(np.ascontiguousarray(points[:, rows]))
        sampled_weights = readonly(weights[rows] if len(weights) else weights)
        centroids, n_steps = best_start(sampled, sampled_weights, k, seed, n_init, on_sample, run, check)
    n_passes = refine(points, weights, centroids, MAX_PASSES, tolerance, run, check)
    found = _freeze(points, weights, centroids, init is None, run, check)
    return KMeansFit(*found, n_init, n_steps, n_passes)


def _checked_weights(points: Floats, k: int, n_init: int, sample_weights: Floats | None) -> Floats:
    """Return the weights as f64[n], or f64[0] for none; refuse what cannot be clustered."""
    if points.ndim != 2 or points.shape[1] == 0 or not 1 <= points.shape[0] <= MAX_FEATURES:
        raise ValueError(f"points: shape is {points.shape}, wanted (1 to {MAX_FEATURES} features, n >= 1)")
    if not 1 <= k <= MAX_SEGMENTS:
        raise ValueError(f"k: is {k}, wanted 1 to {MAX_SEGMENTS}")
    if n_init < 1:
        raise ValueError(f"n_init: is {n_init}, wanted 1 or more")
    if sample_weights is None:
        return readonly(np.empty(0))
    weights = readonly(np.ascontiguousarray(sample_weights, dtype=np.float64))
    if weights.shape != (points.shape[1],) or not (weights >= 0.0).all():
        raise ValueError(f"sample_weights: shape is {weights.shape}, wanted ({points.shape[1]},), none below 0")
    return weights


def order_by_value(centroids: Floats) -> Ints:
    """Return the order int64[k]: coordinate sum (in feature order) descending, ties by coordinates, also descending."""
    sums = [sum(row) for row in centroids.tolist()]
    keys = [(-total, *(-x for x in row)) for total, row in zip(sums, centroids.tolist(), strict=True)]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


@kernel
def _assign(
    points: Floats,
    weights: Floats,
    start: int,
    stop: int,
    centroids: Floats,
    labels: Labels,
    squares: Floats,
    sizes: Ints,
    out: Floats,
) -> None:
    """Write labels[start:stop], and the block's sizes int64[k] and inertia out f64[1]; scratch: squares f64[TILE]."""
    rough = new_rough(points.shape[0], len(centroids))
    set_centroids(rough, frozen(centroids))
    sizes[:] = 0
    inertia = 0.0
    for low in range(start, stop, TILE):
        high = min(low + TILE, stop)
        best, near = squares[: high - low], labels[low:high]
        measure_tile(rough, points, low, high, frozen(centroids), near, best)
        for i in range(high - low):
            sizes[near[i]] += 1
            inertia += best[i] * (weights[low + i] if len(weights) > 0 else 1.0)
    out[0] = inertia


def _freeze(
    points: Floats, weights: Floats, centroids: Floats, reorder: bool, run: Run, check: Callable[[], None]
) -> tuple[Floats, Labels, float, Ints]:
    """Order the centroids, then only assign; fill what is empty and repeat. Return centroids, labels, inertia, sizes.

    Each filling lowers the (unweighted) inertia, so this ends.
    """
    k = len(centroids)
    labels = np.empty(points.shape[1], dtype=np.int32)
    cuts = list(blocks(points.shape[1]))
    scratch = np.empty((len(cuts), 3, TILE))
    sizes = np.empty((len(cuts), k), dtype=np.int64)
    out = np.empty((len(cuts), 1))
    while True:
        if reorder:
            centroids = centroids[order_by_value(centroids)]
        frozen = centroids

        def piece(b: int, start: int, stop: int, frozen: Floats = frozen) -> Callable[[], None]:
            return lambda: _assign(points, weights, start, stop, frozen, labels, scratch[b, 0], sizes[b], out[b])

        check()
        run([piece(b, start, stop) for b, (start, stop) in enumerate(cuts)])
        total = sizes.sum(axis=0)
        empty = np.where(total == 0, 1.0, 0.0)
        no_weights = readonly(np.empty(0))  # a segment needs a member, whatever that one weighs
        if not empty.any() or not fill_empty(points, no_weights, empty, centroids, scratch[0], np.empty(1)):
            return centroids, labels, sum(out[:, 0].tolist()), total


def count_distinct(points: Floats, limit: int) -> int:
    """Return how many different points there are among points f64[d, n], at most limit; stops once that is reached."""
    found: set[bytes] = set()
    step = max(TILE, 4 * limit)
    for start in range(0, points.shape[1], step):
        # + 0.0 makes -0.0 and 0.0 the same point
        rows = np.ascontiguousarray(points[:, start : start + step].T) + 0.0
        found.update(row.tobytes() for row in np.unique(rows, axis=0))
        if len(found) >= limit:
            return limit
    return len(found)
