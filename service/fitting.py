"""Population → model: transform, standardise, weight, cluster, and describe the segments (semantics §3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.keys import stable_hash
from kernels.kmeans import count_distinct, fit_kmeans
from kernels.profiles import bin_counts, crosstab, match_segments, segment_sums
from kernels.scaling import (
    SCORE_PROBABILITIES,
    centre_and_spread,
    median_nonzero_abs,
    moments,
    quantiles,
    signed_log,
)
from kernels.scoring import Scoring, score, standardise
from proto.classes import RFM, UNDIFFERENTIATED, ClassName, class_name, segment_labels
from proto.errors import ErrorCode, RequestError
from proto.model import Aggregation, Feature, FittedOn, Model, Notice, Segment, seal
from proto.options import FitOptions, SegmentOptions
from proto.schemas import Plan
from service.population import Population, view_keys
from service.scoring import scoring_of
from service.threads import ThreadTeam

__all__ = ["Fitted", "fit"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int32]

STARTS_SAMPLE = 65_536  # customers on which the k-means starts compete
QUANTILES_SAMPLE = 1_048_576  # customers from which the score quantiles are taken
DRIFT_PERCENTS = np.arange(10.0, 100.0, 10.0)
CORRELATED = 0.8
LARGEST = 1e130  # of a feature: the square of its smallest difference, and sums of its squares, still are numbers
BORDERLINE = 0.1
DEFAULT_LOGS = ("frequency", "monetary")

Options = FitOptions | SegmentOptions
Check = Callable[[], None]


class Fitted(NamedTuple):
    """`scores` float64[n] and `segments` int32[n] over the whole population: NaN and −1 without a purchase."""

    model: Model
    scores: Floats
    segments: Labels
    crosstab: list[list[int]] | None


class Step(NamedTuple):
    """One feature's way into the weighted space."""

    name: str
    sign: int
    log: bool
    log_unit: float
    centre: float
    spread: float
    weight: float


def fit(
    population: Population,
    plan: Plan,
    options: Options,
    aggregation: Aggregation | None,
    init: Model | None,
    team: ThreadTeam,
    check: Check,
) -> Fitted:
    """Fits a model on the customers with a purchase; RequestError when there are none, or too few for strict_k."""
    members = None if population.purchased is None else np.flatnonzero(population.purchased)
    if population.n_fitted == 0:
        raise _nobody(population)
    names, signs = list(plan.feature_names), list(plan.signs)
    _check_names(names, signs, options, init)
    notices = list(population.notices)
    raw = population.matrix(names, members)
    _check_magnitudes(names, raw)
    keys = population.keys if members is None else view_keys(population.keys, members)
    hashes = stable_hash(keys)

    steps, transformed_correlation = _steps(names, signs, raw, options, notices, team)
    if transformed_correlation > CORRELATED and aggregation is not None and aggregation.monetary == "sum":
        notices.append(_correlated(transformed_correlation))
    scoring = _scoring(steps, np.zeros((1, len(names))))
    points = standardise(raw, scoring, team.run)
    check()

    start, old = None, None
    k = options.k
    if init is not None:
        if "k" in options.model_fields_set and options.k != len(init.segments):
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"k={options.k}, but the model to start from has {len(init.segments)} segments; leave k out.",
                option="k",
                found=options.k,
                wanted=len(init.segments),
            )
        k = len(init.segments)
        old = score(raw, scoring_of(init), team.run).segments
        start = _start_centroids(points, old, init)
    k = _distinct_k(points, k, options, notices)
    if start is not None and k < len(start):
        start = start[:k]
    found = fit_kmeans(
        points,
        k,
        seed=options.seed,
        n_init=options.n_init,
        sample=_by_hash(hashes, STARTS_SAMPLE),
        init=start,
        run=team.run,
        check=check,
    )
    centroids = found.centroids
    table = None
    if init is not None and old is not None:
        before = crosstab(old, found.labels, len(init.segments), k)
        if k == len(init.segments):
            # new segment → the old id it overlaps most with: the ids stay with the customers
            ids = match_segments(before)
            ordered = np.empty_like(centroids)
            ordered[ids] = centroids
            centroids = ordered
    scoring = _scoring(steps, centroids)
    scored = score(raw, scoring, team.run)
    if init is not None and old is not None:
        table = [[int(c) for c in row] for row in crosstab(old, scored.segments, len(init.segments), k)]
    check()

    model = _model(
        population, members, raw, scored.scores, scored.segments, hashes, steps, centroids, options, aggregation,
        found, notices, team,
    )  # fmt: skip
    scores = np.full(population.n, np.nan) if members is not None else scored.scores
    segments = np.full(population.n, -1, np.int32) if members is not None else scored.segments
    if members is not None:
        scores[members] = scored.scores
        segments[members] = scored.segments
    return Fitted(model, scores, segments, table)


def _nobody(population: Population) -> RequestError:
    counts = population.counts
    left_out = {
        "rows_in": counts.rows_in,
        "rows_after_as_of": counts.rows_after_as_of,
        "rows_before_window": counts.rows_before_window,
        "rows_with_nulls": sum(counts.rows_with_nulls.values()),
        "rows_not_finite": counts.rows_not_finite,
        "refund_rows": counts.refund_rows,
        "customers_without_purchase": counts.customers_without_purchase,
    }
    if counts.rows_in == 0:
        why = "the body has no rows"
    else:
        why = "of " + ", ".join(f"{name}={count:,}" for name, count in left_out.items() if count) + " none is left"
    return RequestError(
        ErrorCode.NO_CUSTOMERS,
        f"There is no customer with a purchase to fit: {why}. Send purchases (amount ≥ 0) inside the window.",
        **left_out,
    )


# Features


def _check_names(names: list[str], signs: list[int], options: Options, init: Model | None) -> None:
    """Refuses weights, logs or a model to start from that name other features than this fit."""
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
    if init is not None and [(f.name, f.sign) for f in init.features] != list(zip(names, signs, strict=True)):
        theirs = [_signed(f.name, f.sign) for f in init.features]
        ours = [_signed(name, sign) for name, sign in zip(names, signs, strict=True)]
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            f"The model to start from has the features {', '.join(theirs)}, this fit {', '.join(ours)}; they must be "
            "the same.",
            option="init",
            found=theirs,
            wanted=ours,
        )


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


def _signed(name: str, sign: int) -> str:
    return f"-{name}" if sign < 0 and name != "recency_days" else name


def _steps(
    names: list[str], signs: list[int], raw: Floats, options: Options, notices: list[Notice], team: ThreadTeam
) -> tuple[list[Step], float]:
    """Each feature's transformation, and the correlation of the logs of frequency and monetary (0 where unlogged)."""
    logs = options.log if options.log is not None else [name for name in DEFAULT_LOGS if name in names]
    weights = options.weights or dict.fromkeys(names, 1.0)
    total = sum(weights.values())
    steps, logged = [], {}
    for name, sign, values in zip(names, signs, raw, strict=True):
        clip = name == "monetary"
        unit = 100.0
        transformed = values
        if name in logs:
            if options.log_unit == "median":
                unit = median_nonzero_abs(np.maximum(values, 0.0) if clip else values)
            transformed = logged[name] = signed_log(values, 100.0 / unit, clip)
        centre, spread, fell_back = centre_and_spread(transformed, options.scaler, team.run)
        if spread == 0:
            notices.append(
                Notice(
                    code="constant_feature",
                    message=f"{name} is the same for every customer, so it cannot tell them apart.",
                    facts={"feature": name},
                )
            )
        elif fell_back:
            notices.append(
                Notice(
                    code="robust_fell_back",
                    message=f"At least half of the customers share one value of {name}: its interquartile range is 0, "
                    "so it is scaled by mean and standard deviation.",
                    facts={"feature": name},
                )
            )
        steps.append(Step(name, sign, name in logs, unit, centre, spread, weights[name] / total))
    return steps, _correlation(logged)


def _correlation(logged: dict[str, Floats]) -> float:
    if not all(name in logged for name in DEFAULT_LOGS):
        return 0.0
    x, y = (logged[name][:QUANTILES_SAMPLE] for name in DEFAULT_LOGS)
    if len(x) < 3 or x.min() == x.max() or y.min() == y.max():
        return 0.0
    return round(float(np.corrcoef(x, y)[0, 1]), 3)


def _correlated(correlation: float) -> Notice:
    return Notice(
        code="frequency_monetary_correlated",
        message=f"Frequency and monetary value say nearly the same (the logs correlate at {correlation:.2f}); "
        "monetary=mean looks at the spend per occasion instead.",
        facts={"correlation": correlation},
    )


def _scoring(steps: list[Step], centroids: Floats) -> Scoring:
    return Scoring(
        signs=np.array([s.sign for s in steps], np.float64),
        log_factors=np.array([100.0 / s.log_unit if s.log else 0.0 for s in steps]),
        clips=np.array([s.log and s.name == "monetary" for s in steps]),
        centres=np.array([s.centre for s in steps]),
        spreads=np.array([s.spread for s in steps]),
        weights=np.array([s.weight for s in steps]),
        centroids=centroids,
    )


# Clustering


def _by_hash(hashes: npt.NDArray[np.uint64], most: int) -> Ints:
    """At most `most` customers, those with the smallest hashes, in hash order: the same for any order of the rows."""
    if len(hashes) > most:
        chosen = np.argpartition(hashes, most)[:most]
        return chosen[np.argsort(hashes[chosen], kind="stable")].astype(np.int64)
    return np.argsort(hashes, kind="stable").astype(np.int64)


def _distinct_k(points: Floats, k: int, options: Options, notices: list[Notice]) -> int:
    distinct = count_distinct(points, k)
    if distinct >= k:
        return k
    if options.strict_k:
        raise RequestError(
            ErrorCode.TOO_FEW_POINTS,
            f"There are {distinct} distinct customers for k={k} segments. Lower k, or leave strict_k out to have it "
            "lowered.",
            option="k",
            found=distinct,
            wanted=k,
        )
    notices.append(
        Notice(
            code="k_lowered",
            message=f"There are {distinct} distinct customers for k={k} segments, so there are {distinct} segments.",
            facts={"k": distinct, "k_requested": k},
        )
    )
    return distinct


def _start_centroids(points: Floats, old: Labels, init: Model) -> Floats:
    """The old model's segments in the new weighted space: the means of the customers it puts into each.

    The old coordinates themselves belong to the old scale. A segment nobody falls into any more starts at the mean.
    """
    k = len(init.segments)
    sums = segment_sums(points, np.zeros(points.shape[1]), old, k)
    centroids = np.repeat(points.mean(axis=1)[None, :], k, axis=0)
    filled = sums.sizes > 0
    centroids[filled] = (sums.sums[:, filled] / sums.sizes[filled]).T
    return centroids


# Describing


def _model(
    population: Population,
    members: Ints | None,
    raw: Floats,
    scores: Floats,
    segments: Labels,
    hashes: npt.NDArray[np.uint64],
    steps: list[Step],
    centroids: Floats,
    options: Options,
    aggregation: Aggregation | None,
    found: Any,
    notices: list[Notice],
    team: ThreadTeam,
) -> Model:
    names = [step.name for step in steps]
    # RFM means are told of every table that has them, also where other features make the segments.
    extra = [name for name in RFM if name in population.features and name not in names]
    told = np.concatenate([raw, population.matrix(extra, members)]) if extra else raw
    k = len(centroids)
    sums = segment_sums(told, scores, segments, k, team.run)
    n = int(sums.sizes.sum())
    overall = sums.sums.sum(axis=1) / n
    features = [
        _feature(step, values, float(mean), team) for step, values, mean in zip(steps, raw, overall, strict=False)
    ]
    revenue = None
    if population.revenue is not None:
        of_members = population.revenue if members is None else population.revenue[members]
        by_segment = segment_sums(of_members[None, :], scores, segments, k, team.run).sums[0]
        revenue = by_segment / by_segment.sum() if by_segment.sum() > 0 else None
    chosen = scores if n <= QUANTILES_SAMPLE else scores[_by_hash(hashes, QUANTILES_SAMPLE)]
    return seal(
        Model(
            input="customers" if aggregation is None else "transactions",
            aggregation=aggregation,
            scaler=options.scaler,
            log_unit=options.log_unit,
            class_cut=options.class_cut,
            features=features,
            segments=_segments(features, names + extra, sums, revenue, centroids),
            score_quantiles=quantiles(chosen, SCORE_PROBABILITIES).tolist(),
            fitted_on=FittedOn(
                customers=n,
                rows=population.counts.rows_used,
                as_of=population.as_of.text if population.as_of else None,
                history_days=population.history_days,
                inertia=float(found.inertia),
                k_requested=options.k,
                n_init=options.n_init,
                seed=options.seed,
                starts=int(found.n_starts),
                steps=int(found.n_steps),
                passes=int(found.n_passes),
                options=options.model_dump(mode="json", exclude_defaults=True, exclude={"columns", "fields", "lang"}),
                warnings=notices,
            ),
        )
    )


def _feature(step: Step, values: Floats, mean: float, team: ThreadTeam) -> Feature:
    spread = moments(values, team.run)
    points = quantiles(values, np.concatenate([DRIFT_PERCENTS, [50.0]]))
    edges = np.unique(points[:-1])
    counts = bin_counts(values, edges)
    return Feature(
        name=step.name,
        sign=-1 if step.sign < 0 else 1,
        log=step.log,
        log_unit=step.log_unit,
        centre=step.centre,
        spread=step.spread,
        weight=step.weight,
        mean=mean,
        median=float(points[-1]),
        deviation=0.0 if spread.minimum == spread.maximum else float(np.sqrt(spread.m2 / spread.count)),
        minimum=float(spread.minimum),
        maximum=float(spread.maximum),
        quantiles=edges.tolist(),
        shares=(counts / counts.sum()).tolist(),
    )


def _segments(
    features: list[Feature], told: list[str], sums: Any, revenue: Floats | None, centroids: Floats
) -> list[Segment]:
    n = int(sums.sizes.sum())
    means = sums.sums / sums.sizes
    margins = [
        {
            f.name: 0.0 if f.minimum == f.maximum else f.sign * (float(means[j, s]) - f.mean) / f.deviation
            for j, f in enumerate(features)
        }
        for s in range(len(centroids))
    ]
    classes = [_class(features, margin) for margin in margins]
    codes, en, zh = (segment_labels(classes, lang) for lang in ("code", "en", "zh"))
    return [
        Segment(
            id=s,
            code=codes[s],
            class_code=classes[s].code,
            en=en[s],
            zh=zh[s],
            size=int(sums.sizes[s]),
            share=int(sums.sizes[s]) / n,
            means={name: float(means[j, s]) for j, name in enumerate(told)},
            revenue_share=None if revenue is None else float(revenue[s]),
            value_score=float(sums.score_sums[s] / sums.sizes[s]),
            margins=margins[s],
            borderline=any(abs(margins[s][f.name]) < BORDERLINE for f in features if f.minimum != f.maximum),
            centroid=centroids[s].tolist(),
        )
        for s in range(len(centroids))
    ]


def _class(features: list[Feature], margin: dict[str, float]) -> ClassName:
    varies = [f.minimum != f.maximum for f in features]
    if not any(varies):
        return UNDIFFERENTIATED
    high = [v and margin[f.name] >= 0 for f, v in zip(features, varies, strict=True)]
    return class_name([f.name for f in features], high)
