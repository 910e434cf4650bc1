"""A score's percentile among those of the fit, read from its quantiles.

    between quantiles p - 1 and p:  probability_(p-1) + (score - quantile_(p-1)) · slope_p
    equal to several quantiles:     the midpoint of their probabilities

Source: semantics of the service, 3.7.
"""

import numpy as np

from kernels._jit import kernel, readonly
from kernels._types import Floats, Places
from kernels.nearest import TILE

_EQUAL, _TIE, _BASE, _FROM, _SLOPE, _TOP = range(6)  # rows of the table that percentiles are read from


@kernel
def fill_table(quantiles: Floats, probabilities: Floats, table: Floats) -> None:
    """Write the table f64[6, b + 1] whose column p serves a score above exactly p of the b ascending quantiles.

    A score equal to quantile p (row _EQUAL) gets _TIE; another one min(_BASE + (score - _FROM) · _SLOPE, _TOP).
    """
    n_quantiles = len(quantiles)
    last = probabilities[n_quantiles - 1]
    first = 0
    for p in range(n_quantiles):
        first = p if quantiles[p] != quantiles[first] else first
        table[_EQUAL, p] = quantiles[p]
        table[_TIE, first] = 0.5 * (probabilities[first] + probabilities[p])
        below = max(p - 1, 0)
        gap = quantiles[p] - quantiles[below]
        table[_BASE, p] = probabilities[below]
        table[_FROM, p] = quantiles[below]
        table[_SLOPE, p] = (probabilities[p] - probabilities[below]) / gap if gap > 0.0 else 0.0
        table[_TOP, p] = probabilities[p]
    table[_EQUAL, n_quantiles] = np.nan
    table[_TIE, n_quantiles] = last
    table[_BASE, n_quantiles] = last
    table[_FROM, n_quantiles] = quantiles[n_quantiles - 1]
    table[_SLOPE, n_quantiles] = 0.0
    table[_TOP, n_quantiles] = last


@kernel
def _halve(scores: Floats, quantiles: Floats, half: np.uint64, places: Places) -> None:
    """Take each binary search one step further."""
    for i in range(len(scores)):
        further = places[i] + half
        places[i] = further if quantiles[further - np.uint64(1)] < scores[i] else places[i]


@kernel
def _look_up(scores: Floats, table: Floats, places: Places, out: Floats) -> None:
    equal, tie, base, start, slope, top = table[0], table[1], table[2], table[3], table[4], table[5]
    for i in range(len(scores)):
        score, p = scores[i], places[i]
        between = base[p] + (score - start[p]) * slope[p] if slope[p] > 0.0 else base[p]
        between = top[p] if between > top[p] else between
        between = tie[p] if equal[p] == score else between
        out[i] = between if score == score else score


@kernel
def write_percentiles(scores: Floats, quantiles: Floats, table: Floats, places: Places, out: Floats) -> None:
    """Write percentiles; the searches of a tile advance together, without a branch: 5x faster than one by one."""
    for low in range(0, len(scores), TILE):
        tile = scores[low : low + TILE]
        found = places[: len(tile)]
        found[:] = 0
        length = len(quantiles)
        while length > 1:
            half = length >> 1
            _halve(tile, quantiles, np.uint64(half), found)
            length -= half
        _halve(tile, quantiles, np.uint64(1), found)
        _look_up(tile, table, found, out[low : low + len(tile)])


def percentiles(scores: Floats, quantiles: Floats, probabilities: Floats) -> Floats:
    """Return each score's percentile, 0 … 100 (f64[n]; NaN where the score is), given the fit's ascending quantiles.

    quantiles f64[b], probabilities f64[b] in percent. A score equal to several quantiles gets the midpoint of
    their probabilities; between two it is interpolated; outside it is clamped.
    """
    if len(quantiles) == 0 or len(quantiles) != len(probabilities):
        raise ValueError(f"percentiles: {len(quantiles)} quantiles, {len(probabilities)} probabilities; wanted as many")
    scores = readonly(np.ascontiguousarray(scores, dtype=np.float64))
    quantiles = readonly(np.ascontiguousarray(quantiles, dtype=np.float64))
    table = np.empty((6, len(quantiles) + 1))
    fill_table(quantiles, readonly(np.ascontiguousarray(probabilities, dtype=np.float64)), table)
    out = np.empty(len(scores))
    write_percentiles(scores, quantiles, readonly(table), np.empty(min(TILE, len(scores)), dtype=np.uint64), out)
    return out
