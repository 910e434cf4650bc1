"""Population + model → scores, segments, drift: a pure function of (customer, model) (semantics §4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.percentiles import percentiles
from kernels.profiles import bin_counts, psi, segment_sums
from kernels.scaling import SCORE_PROBABILITIES
from kernels.scoring import Prepared, prepare, score
from proto.classes import RFM
from proto.model import Model, Notice
from proto.summary import Drift, SegmentSummary
from service.features import parameters
from service.population import Population
from service.threads import ThreadTeam

__all__ = [
    "Scored",
    "drift_of",
    "history_notice",
    "percentiles_of",
    "score_population",
    "scoring_of",
    "segment_summaries",
    "too_few_for_drift",
]

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int32]

DRIFT_CUSTOMERS = 1_000
DRIFT_THRESHOLD = 0.25
HISTORY_TOLERANCE = 0.1
PREPARED_MODELS = 64

# An id is the digest of its model, so one entry can never stand for two; two threads may both make the same one.
_prepared: dict[str, Prepared] = {}


class Scored(NamedTuple):
    """`scores` float64[n] (NaN without a purchase) and `segments` int32[n] (−1)."""

    scores: Floats
    segments: Labels


def scoring_of(model: Model) -> Prepared:
    """The kernel's parameters of a model; those of the last few models are remembered by id."""
    scoring = _prepared.get(model.id)
    if scoring is None:
        centroids = np.array([s.centroid for s in model.segments])
        scoring = prepare(parameters(model.features, centroids))
        if len(_prepared) >= PREPARED_MODELS:
            _prepared.clear()
        _prepared[model.id] = scoring
    return scoring


def score_population(population: Population, model: Model, team: ThreadTeam) -> Scored:
    """Scores and assigns every customer with a purchase."""
    matrix = population.matrix([f.name for f in model.features])
    if population.purchased is None:
        scored = score(matrix, scoring_of(model), team.run)
        return Scored(scored.scores, scored.segments)
    nobody = ~population.purchased
    matrix[:, nobody] = 0.0  # has a defined result in the kernel, which is then replaced
    scored = score(matrix, scoring_of(model), team.run)
    scored.scores[nobody] = np.nan
    scored.segments[nobody] = -1
    return Scored(scored.scores, scored.segments)


def percentiles_of(scored: Scored, model: Model) -> Floats:
    """The value percentile of every customer, 0 … 100; NaN without a purchase."""
    return percentiles(scored.scores, np.array(model.score_quantiles), SCORE_PROBABILITIES)


def segment_summaries(population: Population, model: Model, scored: Scored, team: ThreadTeam) -> list[SegmentSummary]:
    """The model's segments, described by this request's customers."""
    names = [f.name for f in model.features]
    names += [name for name in RFM if name in population.features and name not in names]
    k = len(model.segments)
    revenue = population.revenue
    told = population.matrix(names)
    if population.purchased is not None:
        told[:, ~population.purchased] = 0.0
    if revenue is not None:
        told = np.concatenate([told, revenue[None, :]])
    sums = segment_sums(told, scored.scores, scored.segments, k, team.run)
    n = int(sums.sizes.sum())
    total = 0.0  # in the order of the segments, as few_scores adds it up
    if revenue is not None:
        for part in sums.sums[-1].tolist():
            total += part
    summaries = []
    for s, segment in enumerate(model.segments):
        size = int(sums.sizes[s])
        summaries.append(
            SegmentSummary(
                id=s,
                code=segment.code,
                en=segment.en,
                zh=segment.zh,
                size=size,
                share=size / n if n else 0.0,
                means={name: float(sums.sums[j, s]) / size if size else None for j, name in enumerate(names)},
                revenue_share=float(sums.sums[-1, s]) / total if total > 0 else None,
                value_score=float(sums.score_sums[s]) / size if size else None,
            )
        )
    return summaries


def too_few_for_drift(n: int) -> str:
    """Why `n` customers are not compared with those of the fit."""
    return f"{n:,} customers are too few to tell drift from chance; {DRIFT_CUSTOMERS:,} are needed"


def drift_of(population: Population, model: Model, scored: Scored) -> Drift | str:
    """The population stability indices against the fit, or why there are none."""
    n = population.n_fitted
    if n < DRIFT_CUSTOMERS:
        return too_few_for_drift(n)
    members = None if population.purchased is None else np.flatnonzero(population.purchased)
    features = {}
    for f, values in zip(model.features, population.matrix([f.name for f in model.features], members), strict=True):
        features[f.name] = psi(np.array(f.shares), bin_counts(values, np.array(f.quantiles)))
    sizes = np.bincount(scored.segments[scored.segments >= 0], minlength=len(model.segments))
    segments = psi(np.array([s.size for s in model.segments], np.float64), sizes)
    drifted = [name for name, value in features.items() if value > DRIFT_THRESHOLD]
    if segments > DRIFT_THRESHOLD:
        drifted.append("segments")
    return Drift(features=features, segments=segments, threshold=DRIFT_THRESHOLD, drifted=drifted)


def drift_notice(drift: Drift) -> Notice | None:
    """The warning about drift, where there is any."""
    if not drift.drifted:
        return None
    return Notice(
        code="drift",
        message=f"These customers differ from those the model was fitted on in {', '.join(drift.drifted)} (PSI above "
        f"{drift.threshold}); fit again.",
        facts={"drifted": drift.drifted},
    )


def history_notice(history_days: float | None, n_fitted: int, model: Model) -> Notice | None:
    """A warning when the rows span another length of time than those of the fit.

    A longer span always counts. A shorter one only among many customers: a single customer's own rows are short.
    """
    ours, fitted = history_days, model.fitted_on.history_days
    if ours is None or fitted is None or fitted <= 0:
        return None
    too_long = ours > fitted * (1 + HISTORY_TOLERANCE)
    too_short = ours < fitted * (1 - HISTORY_TOLERANCE) and n_fitted >= DRIFT_CUSTOMERS
    if not too_long and not too_short:
        return None
    return Notice(
        code="history_span",
        message=f"The rows span {ours:,.0f} days, those of the fit {fitted:,.0f}: frequency and monetary value do not "
        "compare. Send the same span, or fit with a window.",
        facts={"history_days": round(ours, 3), "fitted_history_days": round(fitted, 3)},
    )
