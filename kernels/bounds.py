"""Who cannot have changed: bounds that carry over from one full pass to the next.

    x stays with its centroid l while   Σ over the passes since then of (largest + second largest move)  <  slack,
    slack <= |x - c| - |x - c_l| of every other centroid c

No c comes nearer to x, nor goes l farther away, than by its own move. Source: Hamerly, "Making k-means even faster"
(2010). The slack is made of what `rough.compare` found in float32, less its possible error, which is millions of times
that of the plain float64 distances: so labels are the same bits as if everybody had been compared with everyone.

    |x - c| - |x - c_l| = (|x - c|^2 - |x - c_l|^2) / (|x - c| + |x - c_l|),   |x - c|^2 = 2 g_c + |x|^2

1 M x 3, 8 centroids: a pass that moves little takes a tenth.
"""

from typing import NamedTuple

import numpy as np

from kernels._jit import kernel, rough_kernel
from kernels._types import Floats, Labels, Singles
from kernels.nearest import TILE
from kernels.rough import FEW_FEATURES, LEAST, NORMS, SECOND, Rough

_UP, _DOWN = 1.0 + 2.0**-22, 1.0 - 2.0**-22  # more than a float32 is off
_VECTORS = 64  # customers: four vectors of sixteen


class Bounds(NamedTuple):
    """until f32[n]: how far centroids may travel before a customer is looked at again; travelled f64[1]: how far now.

    until is f32[0] where everybody is looked at in every pass.
    """

    until: Singles
    travelled: Floats


class Look(NamedTuple):
    """Those of a tile who are looked at again: rows int32[TILE], points f64[d, TILE] and until f32[TILE]."""

    rows: Labels
    points: Floats
    until: Singles


@kernel
def new_bounds(n_features: int, n: int, never: bool) -> Bounds:
    """Return bounds that hold for nobody yet; never any where `rough.label_tile` has no float32 to make them of."""
    n_bounds = 0 if never or n_features <= FEW_FEATURES else n
    return Bounds(np.full(n_bounds, -1.0, dtype=np.float32), np.zeros(1))


@kernel
def new_look(n_features: int) -> Look:
    """Return the scratch of a thread."""
    return Look(np.empty(TILE, dtype=np.int32), np.empty((n_features, TILE)), np.empty(TILE, dtype=np.float32))


@kernel
def travel(before: Floats, after: Floats) -> float:
    """Return the sum of the two largest moves of centroids f64[k, d], rounded up."""
    largest, second = 0.0, 0.0
    for c in range(before.shape[0]):
        square = 0.0
        for j in range(before.shape[1]):
            step = after[c, j] - before[c, j]
            square += step * step
        move = np.sqrt(square)
        second = max(second, min(move, largest))
        largest = max(largest, move)
    return (largest + second) * (1.0 + 2.0**-40)


@kernel
def list_open(bounds: Bounds, start: int, stop: int, rows: Labels) -> int:
    """Write which of customers start … stop may have changed (counted from start on) to rows; return how many."""
    limit = np.float32(bounds.travelled[0] * _UP)
    until = bounds.until[start:stop]
    n_open = np.int32(0)
    for i in range(len(until)):
        n_open += np.int32(0) if until[i] > limit else np.int32(1)
    if 0 < n_open < len(until):
        n_open = np.int32(0)
        for i in range(len(until)):
            rows[n_open] = i
            n_open += np.int32(0) if until[i] > limit else np.int32(1)
    return int(n_open)


@rough_kernel
def _write_until(
    least: Singles, second: Singles, norms: Singles, doubts: Singles, travelled: np.float32, out: Singles
) -> None:
    """Write travelled + slack, a little less than it is; NaN or below 0 where nothing is sure."""
    zero, two, shrink = np.float32(0.0), np.float32(2.0), np.float32(1.0 - 2.0**-18)
    base, slope = doubts[0], doubts[1]
    for i in range(len(out)):
        doubt = base + slope * norms[i]
        own, other = two * least[i] + norms[i], two * second[i] + norms[i]
        own = own if own > zero else zero
        other = other if other > zero else zero
        slack = two * (second[i] - least[i] - doubt) / (np.sqrt(own + doubt) + np.sqrt(other + doubt))
        out[i] = (travelled + slack) * shrink


@kernel
def set_bounds(bounds: Bounds, rough: Rough, out: Singles) -> None:
    """Write the bounds (f32[m]) of the m customers that rough has just compared."""
    n = len(out)
    least, second, norms = rough.work[LEAST, :n], rough.work[SECOND, :n], rough.work[NORMS, :n]
    _write_until(least, second, norms, rough.doubts, np.float32(bounds.travelled[0] * _DOWN), out)


@kernel
def gather(points: Floats, start: int, n_open: int, look: Look) -> int:
    """Copy the n_open customers at start + look.rows of points f64[d, n] to look.points; return how many these are.

    They fill up to whole vectors with the last one again: what is left over of a vector loop goes one by one.
    """
    n_filled = min((n_open + _VECTORS - 1) // _VECTORS * _VECTORS, TILE)
    for i in range(n_open, n_filled):
        look.rows[i] = look.rows[n_open - 1]
    for j in range(points.shape[0]):
        values, column = points[j, start:], look.points[j]
        for i in range(n_filled):
            column[i] = values[np.uint32(look.rows[i])]
    return n_filled


@kernel
def put_back(look: Look, n_open: int, out_until: Singles) -> None:
    """Write the first n_open of look.until to their places in a tile's bounds."""
    for t in range(n_open):
        out_until[np.uint32(look.rows[t])] = look.until[t]
