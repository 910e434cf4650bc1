"""Clusters → model: who is in each segment, how it compares with the average, its name (semantics §3.6, §4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.kmeans import KMeansFit
from kernels.profiles import SegmentSums, segment_sums
from kernels.scaling import SCORE_PROBABILITIES, quantiles
from kernels.scoring import Scored
from proto.ahp import judged, matrix_of
from proto.classes import RFM, UNDIFFERENTIATED, ClassName, class_name, segment_labels
from proto.model import Aggregation, Feature, FittedOn, Judgement, KSearch, Model, Notice, Segment, seal
from proto.options import AGGREGATION_OPTIONS, FitOptions, SegmentOptions
from service.features import Cohort, Distribution, Scaled, Step
from service.threads import ThreadTeam

__all__ = ["by_hash", "describe"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

QUANTILES_SAMPLE = 1_048_576  # customers from which the score quantiles are taken
BORDERLINE = 0.1

Options = FitOptions | SegmentOptions


def by_hash(hashes: npt.NDArray[np.uint64], most: int) -> Ints:
    """At most `most` customers, those with the smallest hashes, in hash order: the same for any order of the rows."""
    if len(hashes) > most:
        # Hashes are spread evenly, so those below this bound are nearly surely enough, and few of them too many.
        bound = min(most / len(hashes) * 1.05 + 1e-4, 1.0) * (2**64 - 2048)
        low = np.flatnonzero(hashes < np.uint64(bound))
        if most <= len(low) < len(hashes):
            return low[by_hash(hashes[low], len(low))[:most]]
    return np.argsort(hashes)[:most].astype(np.int64)


def _recorded(options: Options, aggregation: Aggregation | None) -> dict[str, Any]:
    """The options that are not the default, as the model records them: those that had an effect on it."""
    without_effect = {
        "columns",
        "fields",
        "lang",
        "schemes",
        *(("as_of", *AGGREGATION_OPTIONS) if aggregation is None else ()),
    }
    return options.model_dump(mode="json", exclude_defaults=True, exclude=without_effect)


def describe(
    cohort: Cohort,
    scaled: Scaled,
    centroids: Floats,
    scored: Scored,
    found: KMeansFit,
    options: Options,
    aggregation: Aggregation | None,
    notices: list[Notice],
    k_requested: int,
    k_search: KSearch | None,
    team: ThreadTeam,
) -> Model:
    """The model: `centroids` float64[k, d] in the order of the ids, `scored` of the cohort with them."""
    population, names, members, raw = cohort.population, cohort.names, cohort.members, cohort.raw
    scores, segments = scored.scores, scored.segments
    # RFM means are told of every table that has them, also where other features make the segments.
    extra = [name for name in RFM if name in population.features and name not in names]
    told = np.concatenate([raw, population.matrix(extra, members)]) if extra else raw
    k = len(centroids)

    def score_quantiles() -> Floats:
        n = len(scores)
        return quantiles(
            scores if n <= QUANTILES_SAMPLE else scores[by_hash(cohort.hashes, QUANTILES_SAMPLE)], SCORE_PROBABILITIES
        )

    def sums_of(columns: Floats) -> SegmentSums:
        return segment_sums(columns, scores, segments, k, team.run)

    # Sorting the scores takes one thread as long as the sums take another.
    pieces: list[Callable[[], Any]] = [score_quantiles, lambda: sums_of(told)]
    by_score, sums = team.map(lambda piece: piece(), pieces)
    n = int(sums.sizes.sum())
    overall = sums.sums.sum(axis=1) / n
    features = [
        _feature(step, found, float(mean))
        for step, found, mean in zip(scaled.steps, scaled.distributions, overall[: len(names)], strict=True)
    ]
    revenue = None
    if population.revenue is not None:
        if population.revenue is population.features.get("monetary"):
            by_segment = sums.sums[(names + extra).index("monetary")]
        else:
            of_members = population.revenue if members is None else population.revenue[members]
            by_segment = sums_of(of_members[None, :]).sums[0]
        revenue = by_segment / by_segment.sum() if by_segment.sum() > 0 else None
    return seal(
        Model(
            input="customers" if aggregation is None else "transactions",
            aggregation=aggregation,
            scaler=options.scaler,
            log_unit=options.log_unit,
            class_cut=options.class_cut,
            features=features,
            segments=_segments(features, names + extra, sums, revenue, centroids),
            score_quantiles=by_score.tolist(),
            fitted_on=FittedOn(
                customers=n,
                rows=population.counts.rows_used,
                as_of=population.as_of.text if population.as_of else None,
                history_days=population.history_days,
                inertia=float(found.inertia),
                k_requested=k_requested,
                n_init=options.n_init,
                seed=options.seed,
                starts=int(found.n_starts),
                steps=int(found.n_steps),
                passes=int(found.n_passes),
                options=_recorded(options, aggregation),
                warnings=notices,
                ahp=_judgement(options.ahp),
                k_search=k_search,
            ),
        )
    )


def _judgement(ahp: str | None) -> Judgement | None:
    if ahp is None:
        return None
    return Judgement(matrix=matrix_of(ahp), consistency_ratio=judged(ahp).consistency_ratio)


def _feature(step: Step, found: Distribution, mean: float) -> Feature:
    spread = found.moments
    return Feature(
        name=step.name,
        sign=-1 if step.sign < 0 else 1,
        log=step.log,
        log_unit=step.log_unit,
        centre=step.centre,
        spread=step.spread,
        weight=step.weight,
        mean=mean,
        median=found.median,
        deviation=0.0 if spread.minimum == spread.maximum else float(np.sqrt(spread.m2 / spread.count)),
        minimum=float(spread.minimum),
        maximum=float(spread.maximum),
        quantiles=found.edges.tolist(),
        shares=found.shares.tolist(),
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
