"""A handful of customers, scored in one call: what `scoring.py` and `profiles.py` do in six, with their own loops.

    score, segment (scoring.score) → percentile (percentiles.percentiles) → class (scoring.class_codes)
    → sizes, shares, means per segment (profiles.segment_sums)

The calls from Python, not the loops, are what scoring a hundred customers costs: 100 µs apart, 8 µs together. The
loops are the very kernels of those files, so a customer gets the same bits alone as among millions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import FIRST, frozen, kernel, readonly
from kernels._types import Bools, Floats, Ints
from kernels.nearest import TILE
from kernels.percentiles import fill_table, write_percentiles
from kernels.profiles import _add_to_segments
from kernels.scoring import Prepared, _class_codes, _score

__all__ = ["FewScores", "ScoringOfFew", "prepare_few", "score_few"]

_PLACE, _CUT, _SIGN, _VARIES = range(4)  # rows of a class table


class ScoringOfFew(NamedTuple):
    """A model as the kernel takes it.

    table f64[4, d] and centroids f64[k, d] as in `scoring.Prepared`; percentiles f64[6, b + 1], see
    `percentiles.fill_table`; classes f64[4, c]: which of the told columns makes each bit of the class, its cut, its
    sign and whether it varies (c is 0 where there is no class).
    """

    table: Floats
    centroids: Floats
    percentiles: Floats
    classes: Floats


class FewScores(NamedTuple):
    """What a reply says of n customers and k segments.

    words f64[2n + ⌈n/2⌉ + 2⌈n/4⌉] holds, one after the other and each padded with zeros to whole words: scores
    f64[n], percentiles f64[n], segments int32[n], segments int16[n], class codes int16[n]: as an Arrow body has them.
    sizes int64[k + 1]: customers of each segment, and how many have a revenue below zero. figures f64[k, m + 4]: room
    for the size, share, mean of each of the m told columns, share of the revenue, mean score; NaN where there is none.
    """

    words: Floats
    sizes: Ints
    figures: Floats


def prepare_few(
    scoring: Prepared,
    quantiles: Floats,
    probabilities: Floats,
    places: Sequence[int],
    cuts: Floats,
    signs: Floats,
    varies: Bools,
) -> ScoringOfFew:
    """Bring a model into arrays once: `scoring`, the arguments of `percentiles` and, with places, of `class_codes`."""
    table = np.empty((6, len(quantiles) + 1))
    fill_table(
        readonly(np.ascontiguousarray(quantiles, dtype=np.float64)),
        readonly(np.ascontiguousarray(probabilities, dtype=np.float64)),
        table,
    )
    classes = np.array([places, cuts, signs, varies], dtype=np.float64)
    return ScoringOfFew(scoring.table, scoring.centroids, readonly(table), readonly(classes))


@kernel
def _gather(values: Floats, places: Ints, n: int, columns: Floats) -> bool:
    """Copy values[places[j] : places[j] + n] to columns[j]; tell whether all of them are finite."""
    finite = True
    for j in range(len(places)):
        for i in range(n):
            value = values[places[j] + i]
            columns[j, i] = value
            finite &= value - value == 0.0
    return finite


@kernel
def _classify(columns: Floats, classes: Floats, out_codes: NDArray[np.int16]) -> None:
    """Write the class of each customer; out_codes starts at 0."""
    n_bits, n = classes.shape[1], columns.shape[1]
    if n_bits == 0:
        return
    picked, varies = np.empty((n_bits, n)), np.empty(n_bits, dtype=np.bool_)
    for c in range(n_bits):
        place = int(classes[_PLACE, c])
        for i in range(n):
            picked[c, i] = columns[place, i]
        varies[c] = classes[_VARIES, c] != 0.0
    codes = np.zeros(n, dtype=np.int64)
    _class_codes(frozen(picked), classes[_CUT], classes[_SIGN], frozen(varies), codes)
    for i in range(n):
        out_codes[i] = codes[i]


@kernel
def _describe(sums: Floats, sizes: Ints, n: int, has_revenue: bool, figures: Floats) -> None:
    """Write the figures of each segment from sums f64[k, n_told + 1], the score's last, the revenue's before it."""
    k, n_sums = sums.shape
    n_means = n_sums - 2 if has_revenue else n_sums - 1
    revenue = 0.0
    for s in range(k):
        revenue += sums[s, n_means] if has_revenue else 0.0
    for s in range(k):
        size = sizes[s]
        figures[s, 0] = 0.0
        figures[s, 1] = size / n
        for j in range(n_means):
            figures[s, 2 + j] = sums[s, j] / size if size else np.nan
        figures[s, n_means + 2] = sums[s, n_means] / revenue if revenue > 0.0 else np.nan
        figures[s, n_means + 3] = sums[s, n_sums - 1] / size if size else np.nan


@kernel
def _score_few(
    values: Floats,
    places: Ints,
    n: int,
    table: Floats,
    centroids: Floats,
    percentiles: Floats,
    classes: Floats,
    has_revenue: bool,
    words: Floats,
    sizes: Ints,
    figures: Floats,
) -> bool:
    """Write what `FewScores` holds; return False, with the rest unwritten, where a number is not finite."""
    n_told, n_features, k = len(places), table.shape[1], len(centroids)
    half, quarter = (n + 1) >> 1, (n + 3) >> 2
    columns = np.empty((n_told, n))
    if not _gather(values, places, n, columns):
        return False
    words[2 * n :] = 0.0
    scores = words[:n]
    segments = words[2 * n : 2 * n + half].view(np.int32)[:n]
    names = words[2 * n + half : 2 * n + half + quarter].view(np.int16)
    codes = words[2 * n + half + quarter :].view(np.int16)
    scratch = np.empty((n_features + 3, min(TILE, n)))
    _score(frozen(columns[:n_features]), table, centroids, FIRST, n, scratch, scores, segments)
    for i in range(n):
        if scores[i] - scores[i] != 0.0:
            return False
        names[i] = segments[i]
    quantiles = percentiles[0, : percentiles.shape[1] - 1]
    write_percentiles(frozen(scores), quantiles, percentiles, np.empty(min(TILE, n), dtype=np.uint64), words[n : 2 * n])
    _classify(columns, classes, codes)
    sums = np.zeros((k, n_told + 1))
    sizes[:] = 0
    _add_to_segments(frozen(columns), frozen(scores), frozen(segments), FIRST, n, sizes, sums)
    _describe(sums, sizes, n, has_revenue, figures)
    if has_revenue:
        for i in range(n):
            sizes[k] += columns[n_told - 1, i] < 0.0
    return True


def score_few(values: Floats, places: Ints, n: int, scoring: ScoringOfFew, *, has_revenue: bool) -> FewScores | None:
    """Score n ≥ 1 customers; None where a feature or a score is not finite.

    values f64[·] holds the told columns, each n long from places int64[·] on (both read-only): the d features, what
    else segments are described by, and last, where there is one, the revenue.
    """
    k = len(scoring.centroids)
    words = np.empty(2 * n + ((n + 1) >> 1) + 2 * ((n + 3) >> 2))
    sizes, figures = np.empty(k + 1, dtype=np.int64), np.empty((k, len(places) + 4 - has_revenue))
    if not _score_few(values, places, n, *scoring, has_revenue, words, sizes, figures):
        return None
    return FewScores(words, sizes, figures)
