"""The fused hot path: transform, standardise, weight, value score, nearest centroid, in one pass over tiles.

    t_j = sign(v) log1p(log_factor_j |v|)  or  v where log_factor_j = 0
    x_j = (t_j - centre_j) · (sign_j weight_j / spread_j),  0 where spread_j = 0
    score = Σ_j x_j in feature order,   segment = argmin_c |x - centroid_c|^2, ties to the lower id

Every loop is elementwise, so a customer's numbers do not depend on who else is in the request. Source: semantics
of the service; the tile loop is `nearest.py`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import FIRST, frozen, kernel, readonly
from kernels._run import Run, blocks, run_serially
from kernels._types import Bools, Floats, Ints, Labels
from kernels.entering import CENTRE, CLIP, FACTOR, LOG, enter_tile
from kernels.nearest import TILE, nearest_tile, square_distances, write_segments
from kernels.rough import FEW_FEATURES, new_rough, set_centroids, settle
from kernels.scaling import linear1, signed_log1


class Scoring(NamedTuple):
    """What turns columns into scores: one entry per feature, and the centroids in the weighted space.

    signs f64[d] (+1, or -1 where smaller is better), log_factors f64[d] (0 = no logarithm), clips bool[d]
    (negative enters as 0), centres f64[d], spreads f64[d] (0 = all alike), weights f64[d] (sum 1), centroids
    f64[k, d].
    """

    signs: Floats
    log_factors: Floats
    clips: NDArray[np.bool_] | NDArray[np.uint8]
    centres: Floats
    spreads: Floats
    weights: Floats
    centroids: Floats


class Prepared(NamedTuple):
    """A `Scoring` checked once: table f64[4, d] (log factor, clip, centre, factor) and centroids f64[k, d]."""

    table: Floats
    centroids: Floats


class Scored(NamedTuple):
    """Value scores f64[n] and segments int32[n] (-1, with a NaN score, where a feature is NaN)."""

    scores: Floats
    segments: Labels


class Explained(NamedTuple):
    """contributions f64[d, n] (the x_j), Euclidean distance to the own and the second nearest centroid, f64[n] each."""

    contributions: Floats
    own_distance: Floats
    second_distance: Floats


@kernel
def _linear(values: Floats, clip: bool, centre: float, factor: float, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = linear1(values[i], clip, centre, factor)


@kernel
def _logarithmic(values: Floats, log_factor: float, clip: bool, centre: float, factor: float, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = (signed_log1(values[i], log_factor, clip) - centre) * factor


@kernel
def _standardise_tile(columns: Floats, start: int, stop: int, table: Floats, at: int, out: Floats) -> None:
    """Write x_j of columns[:, start:stop] to out[:, at : at + stop - start]."""
    for j in range(columns.shape[0]):
        values = columns[j, start:stop]
        x = out[j, at : at + stop - start]
        clip = table[CLIP, j] != 0.0
        if table[LOG, j] != 0.0:
            _logarithmic(values, table[LOG, j], clip, table[CENTRE, j], table[FACTOR, j], x)
        else:
            _linear(values, clip, table[CENTRE, j], table[FACTOR, j], x)


@kernel
def _add(x: Floats, total: Floats) -> None:
    for i in range(len(total)):
        total[i] += x[i]


@kernel
def _add_up(x: Floats, start: int, stop: int, out_scores: Floats) -> None:
    """Write the scores of customers start … stop of x f64[d, n]."""
    for low in range(start, stop, TILE):
        high = min(low + TILE, stop)
        total = out_scores[low:high]
        for i in range(len(total)):
            total[i] = x[0, low + i]
        for j in range(1, x.shape[0]):
            _add(x[j, low:high], total)


@kernel
def _score_plainly(
    columns: Floats,
    table: Floats,
    centroids: Floats,
    start: int,
    stop: int,
    scratch: Floats,
    out_scores: Floats,
    out_segments: Labels,
) -> None:
    """Do as _score, all in float64."""
    n_features = columns.shape[0]
    for low in range(start, stop, TILE):
        high = min(low + TILE, stop)
        m = high - low
        _standardise_tile(columns, low, high, table, FIRST, scratch)
        x = frozen(scratch[:n_features])
        _add_up(x, FIRST, m, out_scores[low:high])
        squares, best, near = scratch[n_features, :m], scratch[n_features + 1, :m], scratch[n_features + 2, :m]
        nearest_tile(x, FIRST, m, centroids, squares, best, near)
        write_segments(best, near, out_segments[low:high])


@kernel
def _score(
    columns: Floats,
    table: Floats,
    centroids: Floats,
    start: int,
    stop: int,
    scratch: Floats,
    out_scores: Floats,
    out_segments: Labels,
) -> None:
    """Score customers start … stop of columns f64[d, n]; scratch f64[d + 3, >= min(TILE, n)]; outputs have length n.

    x is written in full only for less than a tile, for few features, and where `rough` is in doubt.
    """
    n_features = columns.shape[0]
    if n_features <= FEW_FEATURES or stop - start < TILE:
        _score_plainly(columns, table, centroids, start, stop, scratch, out_scores, out_segments)
        return
    rough = new_rough(n_features, len(centroids))
    set_centroids(rough, centroids)
    for low in range(start, stop, TILE):
        high = min(low + TILE, stop)
        labels = out_segments[low:high]
        n_doubts = enter_tile(rough, columns, low, high, table, out_scores[low:high], labels)
        if n_doubts > 0:
            _standardise_tile(columns, low, high, table, FIRST, scratch)
            settle(rough, n_doubts, frozen(scratch[:n_features]), FIRST, high - low, centroids, labels)


@kernel
def _standardise(columns: Floats, table: Floats, start: int, stop: int, out: Floats) -> None:
    """Write x_j of customers start … stop to the same places of out f64[d, n]."""
    for low in range(start, stop, TILE):
        high = min(low + TILE, stop)
        _standardise_tile(columns, low, high, table, low, out)


@kernel
def _scale(x: Floats, centre: float, factor: float) -> None:
    for i in range(len(x)):
        x[i] = (x[i] - centre) * factor


@kernel
def _standardise_logs(columns: Floats, table: Floats, start: int, stop: int, out: Floats) -> None:
    """Do as _standardise where out holds the logarithms already, of the features that have one."""
    for j in range(columns.shape[0]):
        x = out[j, start:stop]
        if table[LOG, j] != 0.0:
            _scale(x, table[CENTRE, j], table[FACTOR, j])
        else:
            _linear(columns[j, start:stop], table[CLIP, j] != 0.0, table[CENTRE, j], table[FACTOR, j], x)


@kernel
def _explain(
    points: Floats, centroids: Floats, start: int, stop: int, scratch: Floats, out_own: Floats, out_second: Floats
) -> None:
    """Write the two smallest distances from points f64[d, n] to centroids; scratch f64[>= TILE]."""
    for low in range(start, stop, TILE):
        high = min(low + TILE, stop)
        own, second, squares = out_own[low:high], out_second[low:high], scratch[: high - low]
        own[:] = np.inf
        second[:] = np.inf
        for c in range(centroids.shape[0]):
            square_distances(points, low, high, centroids, c, squares)
            for i in range(len(squares)):
                square = squares[i]
                middle = own[i] if square < own[i] else square
                second[i] = middle if middle < second[i] else second[i]
                own[i] = square if square < own[i] else own[i]
        for i in range(len(own)):
            missing = points[0, low + i] != points[0, low + i] or squares[i] != squares[i]
            own[i] = np.nan if missing else np.sqrt(own[i])
            second[i] = np.nan if missing or centroids.shape[0] == 1 else np.sqrt(second[i])


def _canonical(columns: Floats, n_features: int) -> Floats:
    """Return columns as read-only C-contiguous float64[d, n]; free when they are already."""
    if not (columns.dtype == np.float64 and columns.flags.c_contiguous):
        columns = np.ascontiguousarray(columns, dtype=np.float64)
    if columns.ndim != 2 or columns.shape[0] != n_features:
        raise ValueError(f"columns: shape is {columns.shape}, wanted ({n_features}, n): one row per feature")
    return readonly(columns)


def prepare(scoring: Scoring) -> Prepared:
    """Check a scoring and bring it into the two arrays that kernels take; do this once per model, not per request."""
    spreads = np.asarray(scoring.spreads, dtype=np.float64)
    varies = spreads != 0.0
    signed_weights = np.asarray(scoring.signs, dtype=np.float64) * scoring.weights
    factors = np.where(varies, signed_weights / np.where(varies, spreads, 1.0), 0.0)
    clips = np.asarray(scoring.clips) != 0
    table = np.array([scoring.log_factors, clips, scoring.centres, factors], dtype=np.float64)
    centroids = np.array(scoring.centroids, dtype=np.float64, order="C", ndmin=2)
    n_features = table.shape[1]
    if n_features == 0:
        raise ValueError("scoring: no feature; at least one is needed")
    if len(centroids) == 0 or centroids.shape[1] != n_features:
        raise ValueError(f"centroids: shape is {centroids.shape}, wanted (k >= 1, {n_features})")
    return Prepared(readonly(table), readonly(centroids))


def score(columns: Floats, scoring: Scoring | Prepared, run: Run = run_serially) -> Scored:
    """Return value score and segment of each customer of columns f64[d, n], raw features."""
    prepared = scoring if isinstance(scoring, Prepared) else prepare(scoring)
    table, centroids = prepared
    columns = _canonical(columns, table.shape[1])
    n_features, n = columns.shape
    scores = np.empty(n)
    segments = np.empty(n, dtype=np.int32)

    def piece(start: int, stop: int) -> Callable[[], None]:
        scratch = np.empty((n_features + 3, min(TILE, stop - start)))
        return lambda: _score(columns, table, centroids, start, stop, scratch, scores, segments)

    _over_blocks(n, piece, run)
    return Scored(scores, segments)


def standardise(
    columns: Floats, scoring: Scoring | Prepared, run: Run = run_serially, *, logs: Floats | None = None
) -> Floats:
    """Return x f64[d, n], the same bits that `score` adds up.

    Where logs f64[d, n] are given, they hold `scaling.signed_log` of each feature that has a logarithm, and become x.
    """
    prepared = scoring if isinstance(scoring, Prepared) else prepare(scoring)
    columns = _canonical(columns, prepared.table.shape[1])
    x = np.empty(columns.shape) if logs is None else logs
    standardise_block = _standardise if logs is None else _standardise_logs

    def piece(start: int, stop: int) -> Callable[[], None]:
        return lambda: standardise_block(columns, prepared.table, start, stop, x)

    _over_blocks(columns.shape[1], piece, run)
    return x


def value_scores(x: Floats, run: Run = run_serially) -> Floats:
    """Return the scores f64[n] of what `standardise` gave, the same bits as `score`."""
    x = readonly(np.ascontiguousarray(x, dtype=np.float64))
    scores = np.empty(x.shape[1])

    def piece(start: int, stop: int) -> Callable[[], None]:
        return lambda: _add_up(x, start, stop, scores)

    _over_blocks(x.shape[1], piece, run)
    return scores


def explain(columns: Floats, scoring: Scoring | Prepared, run: Run = run_serially) -> Explained:
    """Return what each feature adds to the score, and the distances to the two nearest centroids (NaN for none)."""
    prepared = scoring if isinstance(scoring, Prepared) else prepare(scoring)
    x = standardise(columns, prepared, run)
    n = x.shape[1]
    own, second = np.empty(n), np.empty(n)
    points = readonly(x)

    def piece(start: int, stop: int) -> Callable[[], None]:
        return lambda: _explain(points, prepared.centroids, start, stop, np.empty(TILE), own, second)

    _over_blocks(n, piece, run)
    return Explained(x, own, second)


def _over_blocks(n: int, piece: Callable[[int, int], Callable[[], None]], run: Run) -> None:
    """Run piece(start, stop) over the fixed blocks; a small request is not worth a hop."""
    thunks = [piece(start, stop) for start, stop in blocks(n)]
    if len(thunks) == 1:
        thunks[0]()
    elif thunks:
        run(thunks)


@kernel
def _class_codes(columns: Floats, cuts: Floats, signs: Floats, varies: Bools, out: Ints) -> None:
    for j in range(columns.shape[0]):
        sign, cut = signs[j], signs[j] * cuts[j]
        bit = np.int64(1 if varies[j] else 0) << (columns.shape[0] - 1 - j)
        values = columns[j]
        for i in range(len(out)):
            out[i] |= bit if sign * values[i] >= cut else 0


def class_codes(columns: Floats, cuts: Floats, signs: Floats, varies: Bools | None = None) -> NDArray[np.signedinteger]:
    """Return each customer's pattern of high features: bit d - 1 - j is set when sign_j v_j >= sign_j cut_j.

    columns f64[d, n] raw, cuts and signs f64[d], varies bool[d] (False: all alike, so low). int16[n] up to 15
    features, int64[n] above, where the pattern needs the room.
    """
    n_features = len(cuts)
    columns = _canonical(columns, n_features)
    if varies is None:
        varies = np.ones(n_features, dtype=np.bool_)
    codes = np.zeros(columns.shape[1], dtype=np.int64)
    _class_codes(
        columns,
        readonly(np.ascontiguousarray(cuts, dtype=np.float64)),
        readonly(np.ascontiguousarray(signs, dtype=np.float64)),
        readonly(np.ascontiguousarray(varies, dtype=np.bool_)),
        codes,
    )
    return codes.astype(np.int16) if n_features <= 15 else codes
