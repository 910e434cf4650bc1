"""From raw features to comparable ones: a logarithm with a unit, a centre, a spread.

    t = sign(x) · log1p(factor · |x|),   z = (t - centre) / spread
    zscore: mean, standard deviation (ddof 0); minmax: min, max - min; robust: median, interquartile range / 1.349

Moments run over blocks of 65,536 values merged in block order (Chan, Golub, LeVeque, "Updating formulae and a
pairwise algorithm for computing sample variances", 1979), so that threads change no bit. Within a block each of
1,024 lanes adds up every 1,024th value, which keeps strict additions vector code.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from kernels._jit import kernel, readonly, row_kernel
from kernels._run import Run, blocks, run_serially
from kernels._types import Floats
from kernels.log1p import log1p

Scaler = Literal["zscore", "minmax", "robust", "none"]

LANES = 1024
IQR_PER_SIGMA = 1.349  # the interquartile range of a normal distribution, in standard deviations

# in percent: each tenth, then each hundredth of the top tenth, where the customers who matter most are told apart
SCORE_PROBABILITIES: Floats = readonly(np.concatenate([np.arange(1000) / 10.0, (9990.0 + np.arange(1, 11)) / 100.0]))


class Moments(NamedTuple):
    """Count, mean, sum of squared deviations from the mean, and range of some values."""

    count: int  # type: ignore[assignment]  # the name that statistics has; tuple.count is not missed
    mean: float
    m2: float
    minimum: float
    maximum: float


NO_MOMENTS = Moments(0, 0.0, 0.0, math.inf, -math.inf)


@row_kernel
def linear1(v: float, clip: bool, centre: float, factor: float) -> float:
    """Return a value without a logarithm in the weighted space; with clip a negative one enters as 0."""
    v = 0.0 if clip and v < 0.0 else v
    return (v - centre) * factor


@kernel
def signed_log1(x: float, log_factor: float, clip: bool) -> float:
    """Return sign(x) · log1p(log_factor · |x|) of one value; with clip a negative one counts as 0."""
    x = 0.0 if clip and x < 0.0 else x
    size = log1p(log_factor * abs(x))
    return -size if x < 0.0 else size


@kernel
def _signed_log(values: Floats, log_factor: float, clip: bool, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = signed_log1(values[i], log_factor, clip)


@kernel
def _moments(values: Floats, lanes: Floats, out: Floats) -> None:
    """Write mean, m2, min, max (f64[4]) of a block (f64[m], m >= 1); lanes is scratch, f64[3, LANES]."""
    n = len(values)
    sums, lows, highs = lanes[0], lanes[1], lanes[2]
    sums[:] = 0.0
    lows[:] = values[0]
    highs[:] = values[0]
    for start in range(0, n, LANES):
        tile = values[start : start + LANES]
        for i in range(len(tile)):
            v = tile[i]
            sums[i] += v
            lows[i] = v if v < lows[i] else lows[i]
            highs[i] = v if v > highs[i] else highs[i]
    total, low, high = 0.0, lows[0], highs[0]
    for i in range(LANES):
        total += sums[i]
        low = min(low, lows[i])
        high = max(high, highs[i])
    mean = total / n

    sums[:] = 0.0
    for start in range(0, n, LANES):
        tile = values[start : start + LANES]
        for i in range(len(tile)):
            deviation = tile[i] - mean
            sums[i] += deviation * deviation
    m2 = 0.0
    for i in range(LANES):
        m2 += sums[i]
    out[0], out[1], out[2], out[3] = mean, m2, low, high


def signed_log(values: Floats, log_factor: float, clip: bool, out: Floats | None = None) -> Floats:
    """Return sign(x) · log1p(log_factor · |x|) of each value (f64[n]); with clip a negative one enters as 0.

    log_factor is 100 / unit, or 1 for a plain log1p. The same bits as inside `scoring.score`. Written to out (f64[n])
    where that is given.
    """
    values = readonly(np.ascontiguousarray(values, dtype=np.float64))
    out = np.empty(len(values)) if out is None else out
    _signed_log(values, float(log_factor), bool(clip), out)
    return out


def median_nonzero_abs(values: Floats) -> float:
    """Return the median of |x| over the values that are not 0; 0.0 where there is none."""
    sizes = np.abs(values[values != 0.0])
    return _median(sizes) if len(sizes) else 0.0


def sorted_median_nonzero_abs(ordered: Floats, clip: bool) -> float:
    """Return what `median_nonzero_abs` does, of values f64[n] that ascend; with clip of those above 0 only."""
    if not clip and len(ordered) and ordered[0] < 0.0:
        return median_nonzero_abs(ordered)
    positive = ordered[np.searchsorted(ordered, 0.0, side="right") :]
    middle = len(positive) // 2
    return _middle(positive, middle, middle - 1) if len(positive) else 0.0


def _median(values: Floats) -> float:
    """Return the median; two middle values are averaged. Shuffles its argument."""
    middle = len(values) // 2
    values.partition(middle)
    return _middle(values, middle, int(values[:middle].argmax()) if middle else 0)


def _middle(values: Floats, high_place: int, low_place: int) -> float:
    """Return the value at high_place, or its mean with that at low_place where the number of values is even."""
    high = float(values[high_place])
    low = high if len(values) % 2 else float(values[low_place])
    return low + 0.5 * (high - low)


def merge_moments(a: Moments, b: Moments) -> Moments:
    """Return the moments of both sets of values together; exact for equal values."""
    if a.count == 0 or b.count == 0:
        return b if a.count == 0 else a
    count = a.count + b.count
    shift = b.mean - a.mean
    return Moments(
        count,
        a.mean + shift * (b.count / count),
        a.m2 + b.m2 + shift * shift * (a.count * (b.count / count)),
        min(a.minimum, b.minimum),
        max(a.maximum, b.maximum),
    )


def moments(values: Floats, run: Run = run_serially) -> Moments:
    """Return the moments of finite values (f64[n]); the same bits for any `run`."""
    values = readonly(np.ascontiguousarray(values, dtype=np.float64))
    cuts = list(blocks(len(values)))
    parts = np.empty((len(cuts), 4))

    def piece(number: int, start: int, stop: int) -> Callable[[], None]:
        return lambda: _moments(values[start:stop], np.empty((3, LANES)), parts[number])

    run([piece(number, start, stop) for number, (start, stop) in enumerate(cuts)])
    merged = NO_MOMENTS
    for (start, stop), (mean, m2, low, high) in zip(cuts, parts.tolist(), strict=True):
        merged = merge_moments(merged, Moments(stop - start, mean, m2, low, high))
    return merged


def quantiles(values: Floats, probabilities: Floats) -> Floats:
    """Return the quantiles of values (f64[n], n >= 1) at ascending probabilities in percent, linear in between."""
    return sorted_quantiles(np.sort(values), probabilities)


def sorted_quantiles(ordered: Floats, probabilities: Floats) -> Floats:
    """Return the quantiles of values that ascend (f64[n], n >= 1), as `quantiles`."""
    if len(ordered) == 0:
        raise ValueError("quantiles: values is empty; at least one value is needed")
    if bool((np.diff(probabilities) < 0).any()):
        raise ValueError("quantiles: probabilities do not ascend; sort them")
    # multiplied first: 50 · 58 / 100 is the middle of 59 values, 50 · 0.58 lies below it
    places = np.asarray(probabilities, dtype=np.float64) * (len(ordered) - 1) / 100.0
    places = np.clip(places, 0.0, len(ordered) - 1.0)
    lower = np.floor(places).astype(np.int64)
    upper = np.minimum(lower + 1, len(ordered) - 1)
    low, high = ordered[lower], ordered[upper]
    # low + fraction · (high - low) can leave [low, high] by a rounding: quantiles must ascend
    found: Floats = np.minimum(low + (places - lower) * (high - low), high)
    return np.maximum.accumulate(found)


def centre_and_spread(
    values: Floats, scaler: Scaler, run: Run = run_serially, known: Moments | None = None
) -> tuple[float, float, bool]:
    """Return (centre, spread, fell_back) of transformed values (f64[n], n >= 1).

    spread is 0.0 exactly when all values are equal (decided on min and max: a variance of equal values may round
    to something above 0). fell_back: robust found an interquartile range of 0 and gave mean and deviation
    instead. known: the moments of values, where they are there already.
    """
    if len(values) == 0:
        raise ValueError("centre_and_spread: values is empty; at least one value is needed")
    found = moments(values, run) if known is None else known
    if found.minimum == found.maximum:
        return found.minimum, 0.0, False
    if scaler == "none":
        return 0.0, 1.0, False
    if scaler == "minmax":
        return found.minimum, found.maximum - found.minimum, False
    fell_back = False
    if scaler == "robust":
        low, median, high = quantiles(values, np.array([25.0, 50.0, 75.0])).tolist()
        if high > low:
            return median, (high - low) / IQR_PER_SIGMA, False
        fell_back = True
    elif scaler != "zscore":
        raise ValueError(f"centre_and_spread: scaler is {scaler!r}, wanted zscore, minmax, robust or none")
    deviation = math.sqrt(found.m2 / found.count)
    # values a few denormals apart: their squares vanish, their range does not
    return found.mean, deviation if deviation > 0.0 else found.maximum - found.minimum, fell_back
