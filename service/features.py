"""Customers → points: which features, transformed and standardised how, weighted how much (semantics §3.1 to 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.keys import stable_hash
from kernels.profiles import sorted_bin_counts
from kernels.scaling import (
    Moments,
    centre_and_spread,
    moments,
    signed_log,
    sorted_median_nonzero_abs,
    sorted_quantiles,
)
from kernels.scoring import Scoring, standardise
from proto.ahp import judged
from proto.errors import ErrorCode, RequestError
from proto.model import Feature, Model, Notice
from proto.options import FitOptions, SegmentOptions
from proto.schemas import Plan
from service.population import Population, view_keys
from service.threads import ThreadTeam

__all__ = ["Cohort", "Distribution", "Scaled", "Step", "check_feature_options", "cohort_of", "parameters", "scale"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CORRELATED = 0.8
CORRELATION_SAMPLE = 1_048_576
DRIFT_PERCENTS = np.arange(10.0, 100.0, 10.0)
LARGEST = 1e130  # of a feature: the square of its smallest difference, and sums of its squares, still are numbers
DEFAULT_LOGS = ("frequency", "monetary")

Options = FitOptions | SegmentOptions


class Cohort(NamedTuple):
    """The customers that take part in a fit: those with a purchase.

    `members` int64[m] are their places in the population (None: everyone), `raw` float64[d, m] their untransformed
    features, `hashes` uint64[m] the fixed hashes of their ids.
    """

    population: Population
    names: list[str]
    signs: list[int]
    members: Ints | None
    raw: Floats
    hashes: npt.NDArray[np.uint64]


class Step(NamedTuple):
    """One feature's way into the weighted space."""

    name: str
    sign: int
    log: bool
    log_unit: float
    centre: float
    spread: float
    weight: float


class Distribution(NamedTuple):
    """How one feature's untransformed values lie; `shares` float64[b] are those of the bins that `edges` part."""

    moments: Moments
    median: float
    edges: Floats
    shares: Floats


class Scaled(NamedTuple):
    """Each feature's way into the weighted space, what there is to tell of it, and `points` float64[d, m] in it."""

    steps: list[Step]
    distributions: list[Distribution]
    points: Floats


class _Feature(NamedTuple):
    """One feature before its weight is known."""

    log_unit: float
    centre: float
    spread: float
    fell_back: bool
    distribution: Distribution


def parameters(features: Sequence[Step | Feature], centroids: Floats) -> Scoring:
    """The kernels' view of features, just fitted or out of a model; `centroids` float64[k, d]."""
    return Scoring(
        signs=np.array([f.sign for f in features], np.float64),
        log_factors=np.array([100.0 / f.log_unit if f.log else 0.0 for f in features]),
        clips=np.array([f.log and f.name == "monetary" for f in features]),
        centres=np.array([f.centre for f in features]),
        spreads=np.array([f.spread for f in features]),
        weights=np.array([f.weight for f in features]),
        centroids=centroids,
    )


def check_feature_options(plan: Plan, options: Options, init: Model | None) -> None:
    """Refuses weights, logs or a model to start from that name other features than this fit, or another k."""
    names = list(plan.feature_names)
    if options.weights is not None and set(options.weights) != set(names):
        raise RequestError(
            ErrorCode.BAD_OPTION,
            f"weights= names {', '.join(options.weights)}, but the features are {', '.join(names)}: name each of them "
            "once (0 leaves one out of the distances).",
            option="weights",
            found=sorted(options.weights),
            wanted=names,
        )
    for name in options.log or ():
        if name not in names:
            raise RequestError(
                ErrorCode.BAD_OPTION,
                f"log={name} names no feature; the features are {', '.join(names)}.",
                option="log",
                found=name,
                wanted=names,
            )
    if init is None:
        return
    if [(f.name, f.sign) for f in init.features] != list(zip(names, plan.signs, strict=True)):
        theirs = [_signed(f.name, f.sign) for f in init.features]
        ours = [_signed(name, sign) for name, sign in zip(names, plan.signs, strict=True)]
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            f"The model to start from has the features {', '.join(theirs)}, this fit {', '.join(ours)}; they must be "
            "the same.",
            option="init",
            found=theirs,
            wanted=ours,
        )
    if "k" in options.model_fields_set and options.k != len(init.segments):
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            f"k={options.k}, but the model to start from has {len(init.segments)} segments; leave k out.",
            option="k",
            found=options.k,
            wanted=len(init.segments),
        )


def _signed(name: str, sign: int) -> str:
    return f"-{name}" if sign < 0 and name != "recency_days" else name


def cohort_of(population: Population, plan: Plan) -> Cohort:
    """Everyone with a purchase; RequestError when a feature leaves what can be compared."""
    members = None if population.purchased is None else np.flatnonzero(population.purchased)
    names = list(plan.feature_names)
    raw = population.matrix(names, members)
    _check_magnitudes(names, raw)
    keys = population.keys if members is None else view_keys(population.keys, members)
    return Cohort(population, names, list(plan.signs), members, raw, stable_hash(keys))


def _check_magnitudes(names: list[str], raw: Floats) -> None:
    """Refuses features whose squares, summed over all customers, would leave what float64 can hold."""
    for name, values in zip(names, raw, strict=True):
        largest = float(max(values.max(), -values.min()))
        if largest > LARGEST or 0 < largest < 1 / LARGEST:
            size = "large" if largest > 1 else "small"
            raise RequestError(
                ErrorCode.OVERFLOW,
                f"The feature {name} reaches {largest:.3g}, too {size} to be compared in 64-bit floats: there "
                f"is room between {1 / LARGEST:g} and {LARGEST:g}. Send it in another unit.",
                column=name,
                found=largest,
                wanted=LARGEST if size == "large" else 1 / LARGEST,
            )


def _feature(name: str, values: Floats, log: bool, out_logs: Floats, options: Options, team: ThreadTeam) -> _Feature:
    """One feature, sorted once for all that needs its order; `out_logs` float64[m] gets its values after the log."""
    ordered = np.sort(values)
    deciles = sorted_quantiles(ordered, DRIFT_PERCENTS)  # ascending, as it wants them
    edges = _drift_edges(deciles)
    counts = sorted_bin_counts(ordered, edges)
    unit, clip = 100.0, name == "monetary"
    if log and options.log_unit == "median":
        # Where nothing is above 0 the logs are all 0, whatever the unit.
        unit = sorted_median_nonzero_abs(ordered, clip) or unit
    del ordered
    untransformed = moments(values, team.run)
    if log:
        values = signed_log(values, 100.0 / unit, clip, out_logs)
    known = None if log else untransformed
    found = centre_and_spread(values, options.scaler, team.run, known)
    median = float(deciles[len(deciles) // 2])
    return _Feature(unit, *found, Distribution(untransformed, median, edges, counts / counts.sum()))


def _drift_edges(deciles: Floats) -> Floats:
    """The edges of the drift bins, at most as many as the deciles: these, and what follows a value that several share.

    That value then has a bin of its own. Else a frequency that is 1 for nine customers in ten would have one bin from
    1 on, and whatever happened to it no drift.
    """
    edges, times = np.unique(deciles, return_counts=True)
    return np.union1d(edges, np.nextafter(edges[times > 1], np.inf))


def scale(cohort: Cohort, options: Options, notices: list[Notice], team: ThreadTeam) -> Scaled:
    """Brings the features into the weighted space; what the caller should know of them is added to `notices`."""
    names = cohort.names
    logs = options.log if options.log is not None else [name for name in DEFAULT_LOGS if name in names]
    weights = options.weights or dict.fromkeys(names, 1.0)
    if options.ahp is not None:
        weights = dict(zip(names, judged(options.ahp).weights.tolist(), strict=True))
    total = sum(weights.values())
    points = np.empty(cohort.raw.shape)

    def feature(j: int) -> _Feature:
        return _feature(names[j], cohort.raw[j], names[j] in logs, points[j], options, team)

    features = team.map(feature, range(len(names)))
    for name, values, found in zip(names, cohort.raw, features, strict=True):
        if found.spread == 0:
            alike = f"{name} is the same for every customer"
            if values.min() != values.max():
                alike = f"The log makes {name} the same for every customer (what is below 0 enters it as 0)"
            notices.append(
                Notice(
                    code="constant_feature",
                    message=f"{alike}, so it cannot tell them apart.",
                    facts={"feature": name},
                )
            )
        elif found.fell_back:
            notices.append(
                Notice(
                    code="robust_fell_back",
                    message=f"At least half of the customers share one value of {name}: its interquartile range is 0, "
                    "so it is scaled by mean and standard deviation.",
                    facts={"feature": name},
                )
            )
    # The mean per occasion exists for transactions only.
    if cohort.population.sums is not None and options.monetary == "sum":
        correlation = _correlation({name: points[j] for j, name in enumerate(names) if name in logs})
        if correlation > CORRELATED:
            notices.append(_correlated(correlation))
    steps = [
        Step(name, sign, name in logs, found.log_unit, found.centre, found.spread, weights[name] / total)
        for name, sign, found in zip(names, cohort.signs, features, strict=True)
    ]
    points = standardise(cohort.raw, parameters(steps, np.zeros((1, len(steps)))), team.run, logs=points)
    return Scaled(steps, [found.distribution for found in features], points)


def _correlation(logged: dict[str, Floats]) -> float:
    """Pearson's of the logs of frequency and monetary value, 0 where one is not logged or does not vary."""
    if not all(name in logged for name in DEFAULT_LOGS):
        return 0.0
    x, y = (logged[name][:CORRELATION_SAMPLE] for name in DEFAULT_LOGS)
    if len(x) < 3 or x.min() == x.max() or y.min() == y.max():
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    return round(float(x @ y / np.sqrt((x @ x) * (y @ y))), 3)


def _correlated(correlation: float) -> Notice:
    return Notice(
        code="frequency_monetary_correlated",
        message=f"Frequency and monetary value say nearly the same (the logs correlate at {correlation:.2f}); "
        "monetary=mean looks at the spend per occasion instead.",
        facts={"correlation": correlation},
    )
