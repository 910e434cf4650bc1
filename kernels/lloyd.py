"""Full passes: assign every customer to the nearest centroid, move every centroid to its members' mean, repeat.

    centroid_c = Σ weight x / Σ weight over the members of c

Source: Lloyd, "Least squares quantization in PCM" (1982). Sums are kept per block of 65,536 customers and merged
in block order; within a block only customers who changed their centroid are taken out and put in, which after the
first passes are few. Who cannot have changed is not looked at (`bounds.py`).
"""

from collections.abc import Callable

import numpy as np

from kernels._jit import FIRST, frozen, kernel, row_kernel
from kernels._run import Run, blocks
from kernels._types import Floats, Labels
from kernels.bounds import Bounds, Look, gather, list_open, new_bounds, new_look, put_back, set_bounds, travel
from kernels.minibatch import add_members
from kernels.nearest import TILE, nearest_tile, own_squares
from kernels.rough import Rough, label_tile, measure_tile, new_rough, set_centroids

_FEW_OF = 3  # where more than a third of a tile is to be looked at, all of it is
_LONG = 10  # passes: with fewer, centroids move too far in each for bounds to hold


@kernel
def _count_changes(found: Labels, labels: Labels) -> int:
    changed = np.int32(0)
    for i in range(len(found)):
        changed += np.int32(1) if found[i] != labels[i] else np.int32(0)
    return int(changed)


@row_kernel
def _move1(points: Floats, i: int, old: int, new: int, sums: Floats) -> None:
    """Carry customer i from one sum to the other; old is -1 before the first pass."""
    n_features = points.shape[0]
    sums[new, n_features] += 1.0
    for j in range(n_features):
        sums[new, j] += points[j, i]
    if old >= 0:
        sums[old, n_features] -= 1.0
        for j in range(n_features):
            sums[old, j] -= points[j, i]


@kernel
def _move_members(points: Floats, start: int, found: Labels, labels: Labels, sums: Floats) -> None:
    """Carry those whose label changes from one sum to the other; write labels."""
    for i in range(len(found)):
        old, new = labels[i], found[i]
        if old != new:
            labels[i] = new
            _move1(points, start + i, old, new, sums)


@kernel
def _move_listed(points: Floats, start: int, rows: Labels, found: Labels, labels: Labels, sums: Floats) -> int:
    """Do as _move_members for those at rows only, of whom found tells the centroid; return how many changed."""
    changed = 0
    for t in range(len(rows)):
        i = rows[t]
        old, new = labels[i], found[t]
        if old != new:
            changed += 1
            labels[i] = new
            _move1(points, start + int(i), old, new, sums)
    return changed


@kernel
def _pass_tile(
    points: Floats, low: int, high: int, centroids: Floats, labels: Labels, sums: Floats, rough: Rough,
    bounds: Bounds, look: Look,
) -> int:  # fmt: skip
    """Bring labels (int32[high - low]) and sums up to date; return how many changed."""
    n = high - low
    bounded = len(bounds.until) > 0
    n_open = list_open(bounds, low, high, look.rows) if bounded else n
    if n_open == 0:
        return 0
    if n_open * _FEW_OF <= n:
        m = gather(points, low, n_open, look)
        label_tile(rough, frozen(look.points), FIRST, m, frozen(centroids), rough.labels[:m])
        set_bounds(bounds, rough, look.until[:m])
        put_back(look, n_open, bounds.until[low:high])
        return _move_listed(points, low, look.rows[:n_open], rough.labels[:n_open], labels, sums)
    found = rough.labels[:n]
    label_tile(rough, points, low, high, frozen(centroids), found)
    if bounded:
        set_bounds(bounds, rough, bounds.until[low:high])
    changed = _count_changes(found, labels)
    if changed > 0:
        _move_members(points, low, found, labels, sums)
    return changed


@kernel
def _pass(
    points: Floats,
    weights: Floats,
    start: int,
    stop: int,
    centroids: Floats,
    labels: Labels,
    sums: Floats,
    squares: Floats,
    rough: Rough,
    bounds: Bounds,
    look: Look,
) -> int:
    """Do as pass_block; return how many changed. squares is scratch, f64[TILE]."""
    weighted = len(weights) > 0
    changed = 0
    if weighted:
        sums[:] = 0.0
    set_centroids(rough, frozen(centroids))
    for low in range(start, stop, TILE):
        high = min(low + TILE, stop)
        if not weighted:
            changed += _pass_tile(points, low, high, centroids, labels[low:high], sums, rough, bounds, look)
            continue
        found = rough.labels[: high - low]
        measure_tile(rough, points, low, high, frozen(centroids), found, squares[: high - low])
        add_members(points, weights, low, found, squares, sums)
        changed += _count_changes(found, labels[low:high])
        for i in range(len(found)):  # a slice set to a slice compiles its error message too: half a second each
            labels[low + i] = found[i]
    return changed


@kernel
def pass_block(
    points: Floats,
    weights: Floats,
    start: int,
    stop: int,
    centroids: Floats,
    labels: Labels,
    sums: Floats,
    squares: Floats,
    bounds: Bounds,
    out: Floats,
) -> None:
    """Assign points[:, start:stop] (of f64[d, n]) and bring the block's sums (f64[k, d + 1], weight last) up to date.

    labels int32[n]: -1 before the first pass, when sums must be 0. weights f64[n] or f64[0] for ones; with
    weights sums are built anew, because taking real weights out again would leave a rest. bounds: of all n, whose
    `travelled` says how far centroids have come since they were new. Writes out f64[1]: how many changed. squares is
    scratch, f64[TILE].
    """
    rough, look = new_rough(points.shape[0], len(centroids)), new_look(points.shape[0])
    out[0] = _pass(points, weights, start, stop, centroids, labels, sums, squares, rough, bounds, look)


@kernel
def _add(values: Floats, lanes: Floats) -> None:
    for i in range(len(values)):
        lanes[i] += values[i]


@kernel
def inertia_of(points: Floats, weights: Floats, centroids: Floats, labels: Labels, scratch: Floats) -> float:
    """Return the inertia of points f64[d, n] with these labels (int32[n], >= 0); scratch f64[>= 2, TILE].

    Each of 1,024 lanes adds up every 1,024th customer, which keeps strict additions vector code.
    """
    lanes = scratch[0]
    lanes[:] = 0.0
    for low in range(0, len(labels), TILE):
        high = min(low + TILE, len(labels))
        squares = scratch[1, : high - low]
        own_squares(points, low, centroids, labels[low:high], squares)
        if len(weights) > 0:
            for i in range(len(squares)):
                squares[i] *= weights[low + i]
        _add(squares, lanes)
    inertia = 0.0
    for i in range(TILE):
        inertia += lanes[i]
    return inertia


@kernel
def move_centroids(sums: Floats, centroids: Floats) -> float:
    """Move each centroid with members to their mean; return the sum of squared moves."""
    n_features = centroids.shape[1]
    moved = 0.0
    for c in range(centroids.shape[0]):
        weight = sums[c, n_features]
        if weight > 0.0:
            for j in range(n_features):
                mean = sums[c, j] / weight
                step = mean - centroids[c, j]
                moved += step * step
                centroids[c, j] = mean
    return moved


@kernel
def farthest(points: Floats, weights: Floats, centroids: Floats, scratch: Floats, out: Floats) -> int:
    """Return who is worst fitted (weight · distance^2 to the nearest centroid, ties to the first); out[0] = how badly.

    weights f64[n] or f64[0]; scratch f64[>= 3, TILE].
    """
    n_rows = points.shape[1]
    worst, most = 0, -1.0
    for low in range(0, n_rows, TILE):
        high = min(low + TILE, n_rows)
        best = scratch[1, : high - low]
        nearest_tile(points, low, high, frozen(centroids), scratch[0, : high - low], best, scratch[2, : high - low])
        for i in range(len(best)):
            badness = best[i] * weights[low + i] if len(weights) > 0 else best[i]
            if badness > most:
                worst, most = low + i, badness
    out[0] = most
    return worst


@kernel
def fill_empty(points: Floats, weights: Floats, empty: Floats, centroids: Floats, scratch: Floats, out: Floats) -> int:
    """Move each centroid c with empty[c] != 0 to whoever is worst fitted then; return how many moved."""
    moved = 0
    for c in range(centroids.shape[0]):
        if empty[c] != 0.0:
            row = farthest(points, weights, centroids, scratch, out)
            if out[0] > 0.0:
                moved += 1
                for j in range(points.shape[0]):
                    centroids[c, j] = points[j, row]
    return moved


@kernel
def lloyd(
    points: Floats,
    weights: Floats,
    max_passes: int,
    tolerance: float,
    centroids: Floats,
    labels: Labels,
    sums: Floats,
    empty: Floats,
    scratch: Floats,
    out: Floats,
) -> int:
    """Repeat passes over a sample until no label changes or the centroids move by <= tolerance (sum of squares).

    Writes centroids f64[k, d], labels int32[m], out f64[2] (inertia last); returns the number of passes.
    Scratch: sums f64[k, d + 1], empty f64[k], scratch f64[>= 4, TILE].
    """
    n_features = points.shape[0]
    rough = new_rough(n_features, len(centroids))
    bounds, look = new_bounds(n_features, points.shape[1], len(weights) > 0 or max_passes < _LONG), new_look(n_features)
    assigned = centroids.copy()  # those that the labels belong to
    labels[:] = -1
    sums[:] = 0.0
    passes = 0
    while passes < max_passes:
        bounds.travelled[0] += travel(assigned, centroids)
        changed = _pass(
            points, weights, FIRST, points.shape[1], centroids, labels, sums, scratch[0], rough, bounds, look
        )
        for c in range(len(centroids)):
            for j in range(n_features):
                assigned[c, j] = centroids[c, j]
        passes += 1
        if changed == 0:
            break
        moved = move_centroids(sums, centroids)
        n_empty = 0
        for c in range(centroids.shape[0]):
            empty[c] = 0.0 if sums[c, n_features] > 0.0 else 1.0
            n_empty += 1 if empty[c] != 0.0 else 0
        if n_empty > 0 and fill_empty(points, weights, empty, centroids, scratch, out) > 0:
            continue
        if moved <= tolerance:
            break
    out[1] = inertia_of(points, weights, assigned, labels, scratch)
    return passes


def refine(
    points: Floats,
    weights: Floats,
    centroids: Floats,
    max_passes: int,
    tolerance: float,
    run: Run,
    check: Callable[[], None],
) -> int:
    """Move centroids (f64[k, d], in place) by full passes over points f64[d, n] on `run`'s threads; return how many.

    Ends when no label changes or the centroids move by no more than tolerance (sum of squares).
    """
    n_features, n_rows = points.shape
    k = len(centroids)
    cuts = list(blocks(n_rows))
    labels = np.full(n_rows, -1, dtype=np.int32)
    sums = np.zeros((len(cuts), k, n_features + 1))
    scratch = np.empty((len(cuts), 4, TILE))
    out = np.empty((len(cuts), 1))
    bounds = new_bounds(n_features, n_rows, len(weights) > 0)
    assigned = centroids.copy()  # those that the labels belong to

    def piece(b: int, start: int, stop: int) -> Callable[[], None]:
        mine = sums[b], scratch[b, 0], bounds, out[b]
        return lambda: pass_block(points, weights, start, stop, centroids, labels, *mine)

    thunks = [piece(b, start, stop) for b, (start, stop) in enumerate(cuts)]
    for passes in range(1, max_passes + 1):
        check()
        bounds.travelled[0] += travel(assigned, centroids)
        run(thunks)
        assigned[:] = centroids
        if not out[:, 0].any():
            return passes
        merged = sums[0].copy()
        for block_sums in sums[1:]:
            merged += block_sums
        moved = move_centroids(merged, centroids)
        empty = np.where(merged[:, n_features] > 0.0, 0.0, 1.0)
        filled = 0
        if empty.any():
            filled = fill_empty(points, weights, empty, centroids, scratch[0], np.empty(1))
        if not filled and moved <= tolerance:
            return passes
    return max_passes
