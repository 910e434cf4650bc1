"""What segments look like from outside: sizes and sums, overlap of two segmentations, drift of a distribution.

    PSI = Σ_b (a_b - e_b) · ln(a_b / e_b),  a, e = actual and expected share of bin b, at least `floor`

Sums run over blocks of 65,536 customers merged in block order. Source: the population stability index of credit
scoring (Siddiqi, "Credit Risk Scorecards", 2006).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, readonly
from kernels._run import Run, blocks, run_serially
from kernels._types import Floats, Ints, Labels
from kernels.nearest import TILE


class SegmentSums(NamedTuple):
    """sizes int64[k], sums f64[d, k] of the columns, score_sums f64[k]."""

    sizes: Ints
    sums: Floats
    score_sums: Floats


@kernel
def _add_to_segments(
    columns: Floats, scores: Floats, segments: Labels, start: int, stop: int, sizes: Ints, sums: Floats
) -> None:
    """Add customers start … stop to sizes (int64[k]) and sums (f64[k, d + 1], the score last); both start at 0."""
    n_features = columns.shape[0]
    for i in range(start, stop):
        c = segments[i]
        if c >= 0:
            sizes[c] += 1
            sums[c, n_features] += scores[i]
            for j in range(n_features):
                sums[c, j] += columns[j, i]


@kernel
def _crosstab(old: Labels, new: Labels, out: Ints) -> None:
    for i in range(len(old)):
        if old[i] >= 0 and new[i] >= 0:
            out[old[i], new[i]] += 1


@kernel
def _bin_counts(values: Floats, edges: Floats, out: Ints) -> None:
    """Write the counts of the bins to out (int64[b + 1], zeros), and that of NaN to its last place.

    Each value is compared with every edge, a tile of values at a time: there are few edges, and no branch.
    """
    places, not_a_number = np.empty(TILE, dtype=np.int64), len(edges) + 1
    for start in range(0, len(values), TILE):
        tile = values[start : start + TILE]
        for i in range(len(tile)):
            places[i] = 0 if tile[i] == tile[i] else not_a_number
        for b in range(len(edges)):
            edge = edges[b]
            for i in range(len(tile)):
                places[i] += 1 if edge <= tile[i] else 0
        for i in range(len(tile)):
            out[np.uint64(places[i])] += 1


def _labels(segments: Labels, name: str, k: int) -> Labels:
    """Return segments as read-only int32[n]; refuse ids of k and above, which a kernel would write out of bounds."""
    segments = readonly(np.ascontiguousarray(segments, dtype=np.int32))
    if len(segments) and int(segments.max()) >= k:
        raise ValueError(f"{name}: largest id is {int(segments.max())}, wanted below {k}")
    return segments


def segment_sums(columns: Floats, scores: Floats, segments: Labels, k: int, run: Run = run_serially) -> SegmentSums:
    """Return sizes, and sums of columns f64[d, n] and scores f64[n], per segment int32[n] (-1 is skipped)."""
    columns = readonly(np.ascontiguousarray(columns, dtype=np.float64))
    scores = readonly(np.ascontiguousarray(scores, dtype=np.float64))
    segments = _labels(segments, "segments", k)
    n_features, n = columns.shape
    if len(scores) != n or len(segments) != n:
        raise ValueError(f"segment_sums: {n} customers, {len(scores)} scores, {len(segments)} segments; wanted as many")
    cuts = list(blocks(n))
    sizes = np.zeros((len(cuts), k), dtype=np.int64)
    sums = np.zeros((len(cuts), k, n_features + 1))

    def piece(b: int, start: int, stop: int) -> Callable[[], None]:
        return lambda: _add_to_segments(columns, scores, segments, start, stop, sizes[b], sums[b])

    run([piece(b, start, stop) for b, (start, stop) in enumerate(cuts)])
    merged = np.zeros((k, n_features + 1))
    for block_sums in sums:
        merged += block_sums
    return SegmentSums(sizes.sum(axis=0), np.ascontiguousarray(merged[:, :-1].T), merged[:, -1].copy())


def crosstab(old: Labels, new: Labels, k_old: int, k_new: int) -> Ints:
    """Return how many customers (int64[k_old, k_new]) have each pair of segments; pairs with a -1 are left out."""
    if len(old) != len(new):
        raise ValueError(f"crosstab: {len(old)} old and {len(new)} new segments; wanted as many")
    out = np.zeros((k_old, k_new), dtype=np.int64)
    _crosstab(_labels(old, "old", k_old), _labels(new, "new", k_new), out)
    return out


def match_segments(overlap: Ints) -> Ints:
    """Return which old id each new segment takes (int64[k_new], a permutation), given the crosstab int64[k_old, k_new].

    The largest overlap chooses first (ties: lower old, then lower new id); who overlaps with nothing left takes
    the lowest free id. Old ids of k_new and above find no place: ids stay 0 … k_new - 1.
    """
    k_old, k_new = overlap.shape
    taken: dict[int, int] = {}
    free = set(range(k_new))
    pairs = sorted(
        (-int(overlap[old, new]), old, new)
        for old in range(min(k_old, k_new))
        for new in range(k_new)
        if overlap[old, new] > 0
    )
    for _, old, new in pairs:
        if old in free and new not in taken:
            taken[new] = old
            free.remove(old)
    rest = iter(sorted(free))
    return np.array([taken[new] if new in taken else next(rest) for new in range(k_new)], dtype=np.int64)


def bin_counts(values: Floats, edges: Floats) -> Ints:
    """Return how many values (f64[n]; NaN is left out) fall into each bin (int64[b]), edges f64[b - 1] ascending.

    Bin i holds edges[i - 1] <= value < edges[i].
    """
    out = np.zeros(len(edges) + 2, dtype=np.int64)
    _bin_counts(
        readonly(np.ascontiguousarray(values, dtype=np.float64)),
        readonly(np.ascontiguousarray(edges, dtype=np.float64)),
        out,
    )
    return out[:-1]


def sorted_bin_counts(ordered: Floats, edges: Floats) -> Ints:
    """Return what `bin_counts` does, of values f64[n] that ascend and hold no NaN."""
    below = np.searchsorted(ordered, edges, side="left")
    return np.diff(below, prepend=0, append=len(ordered)).astype(np.int64)


def psi(
    expected: NDArray[np.float64] | NDArray[np.int64],
    actual: NDArray[np.float64] | NDArray[np.int64],
    floor: float = 1e-4,
) -> float:
    """Return the population stability index of two histograms (counts or shares, [b]); 0.0 where either is empty."""
    if len(expected) != len(actual):
        raise ValueError(f"psi: {len(expected)} expected and {len(actual)} actual bins; wanted as many")
    expected_sum, actual_sum = float(np.sum(expected)), float(np.sum(actual))
    if expected_sum <= 0.0 or actual_sum <= 0.0:
        return 0.0
    e = np.maximum(np.asarray(expected, dtype=np.float64) / expected_sum, floor)
    a = np.maximum(np.asarray(actual, dtype=np.float64) / actual_sum, floor)
    return float(np.sum((a - e) * np.log(a / e)))
