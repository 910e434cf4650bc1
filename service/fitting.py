"""Population → model: features into the weighted space, clusters, and their description (semantics §3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.kmeans import KMeansFit, count_distinct, fit_kmeans
from kernels.profiles import crosstab, match_segments, segment_sums
from kernels.scoring import Scored, score, value_scores
from proto.errors import ErrorCode, RequestError
from proto.model import Aggregation, Model, Notice
from proto.options import AGGREGATION_OPTIONS, FitOptions, SegmentOptions
from proto.schemas import Plan
from service.choosing import LEAST_K, MOST_K, choose_k
from service.describing import by_hash, describe
from service.features import cohort_of, parameters, scale
from service.population import Population
from service.scoring import scoring_of
from service.threads import ThreadTeam

__all__ = ["Fitted", "fit"]

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int32]

STARTS_SAMPLE = 65_536  # customers on which the k-means starts compete

Options = FitOptions | SegmentOptions
Check = Callable[[], None]


class Fitted(NamedTuple):
    """`scores` float64[n] and `segments` int32[n] over the whole population: NaN and −1 without a purchase."""

    model: Model
    scores: Floats
    segments: Labels
    crosstab: list[list[int]] | None


def fit(
    population: Population,
    plan: Plan,
    options: Options,
    aggregation: Aggregation | None,
    init: Model | None,
    team: ThreadTeam,
    check: Check,
) -> Fitted:
    """Fits a model on the customers with a purchase; RequestError when there are none, or too few for strict_k.

    With `init` the clusters start from that model's segments and keep its ids.
    """
    if population.n_fitted == 0:
        raise _nobody(population)
    notices = [*population.notices, *(_without_effect(options) if aggregation is None else ())]
    cohort = cohort_of(population, plan)
    scaled = scale(cohort, options, notices, team)
    points = scaled.points
    check()

    old = None if init is None else score(cohort.raw, scoring_of(init), team.run).segments
    sample = by_hash(cohort.hashes, STARTS_SAMPLE)

    def fit_k(k: int) -> KMeansFit:
        start = None if old is None or init is None else _start_centroids(points, old, len(init.segments))[:k]
        how = options.seed, options.n_init
        return fit_kmeans(points, k, seed=how[0], n_init=how[1], sample=sample, init=start, run=team.run, check=check)

    search = None
    if init is None and options.k == "auto":
        most = _distinct_k(points, LEAST_K, options, notices, MOST_K)
        search, found = choose_k(points, sample, most, options, fit_k, notices, team, check)
        k_requested = k = search.k
    else:
        k_requested = len(init.segments) if init is not None else int(options.k)
        k = min(k_requested, _distinct_k(points, k_requested, options, notices))
        found = fit_k(k)
    centroids = found.centroids
    scored = Scored(value_scores(points, team.run), found.labels)  # the bits that score would give
    if old is not None and init is not None and k == len(init.segments):
        centroids = _with_old_ids(centroids, crosstab(old, found.labels, k, k))
        scored = score(cohort.raw, parameters(scaled.steps, centroids), team.run)  # ties go to another id now
    check()

    table = None
    if old is not None and init is not None:
        table = crosstab(old, scored.segments, len(init.segments), k).tolist()
    model = describe(cohort, scaled, centroids, scored, found, options, aggregation, notices, k_requested, search, team)
    if cohort.members is None:
        return Fitted(model, scored.scores, scored.segments, table)
    scores = np.full(population.n, np.nan)
    segments = np.full(population.n, -1, np.int32)
    scores[cohort.members] = scored.scores
    segments[cohort.members] = scored.segments
    return Fitted(model, scores, segments, table)


def _nobody(population: Population) -> RequestError:
    counts = population.counts
    left_out = {
        "rows_in": counts.rows_in,
        "rows_after_as_of": counts.rows_after_as_of,
        "rows_before_window": counts.rows_before_window,
        "rows_with_nulls": sum(counts.rows_with_nulls.values()),
        "rows_not_finite": counts.rows_not_finite,
        "rows_filtered": counts.rows_filtered,
        "refund_rows": counts.refund_rows,
        "customers_without_purchase": counts.customers_without_purchase,
    }
    if counts.rows_in == 0:
        why = "the body has no rows"
    else:
        why = "of " + ", ".join(f"{name}={count:,}" for name, count in left_out.items() if count) + " none is left"
    return RequestError(
        ErrorCode.NO_CUSTOMERS,
        f"There is no customer with a purchase to fit: {why}. Send purchases (amount ≥ 0) inside the window"
        f"{', and a where= that holds for some' if counts.rows_filtered else ''}.",
        **left_out,
    )


def _without_effect(options: Options) -> list[Notice]:
    """What is told of options about transactions that came with a customers table."""
    changed = options.model_dump(exclude_defaults=True, include={"as_of", *AGGREGATION_OPTIONS})
    if options.where is not None:
        changed.pop("tz", None)  # it says when the days of a filter begin
    if not changed:
        return []
    return [
        Notice(
            code="options_without_effect",
            message=f"{', '.join(changed)} had no effect: such options say how transactions become customers, and "
            "this is a customers table.",
            facts={"options": list(changed)},
        )
    ]


def _distinct_k(points: Floats, k: int, options: Options, notices: list[Notice], most: int = 0) -> int:
    """How many distinct customers there are, up to `most` or k; below k with a notice, or refused for strict_k."""
    distinct = count_distinct(points, max(k, most))
    if distinct >= k:
        return distinct
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


def _start_centroids(points: Floats, old: Labels, k: int) -> Floats:
    """The old model's segments in the new weighted space: the means of the customers it puts into each.

    The old coordinates themselves belong to the old scale. A segment nobody falls into any more starts at the mean.
    """
    sums = segment_sums(points, np.zeros(points.shape[1]), old, k)
    centroids = np.repeat(points.mean(axis=1)[None, :], k, axis=0)
    filled = sums.sizes > 0
    centroids[filled] = (sums.sums[:, filled] / sums.sizes[filled]).T
    return centroids


def _with_old_ids(centroids: Floats, overlap: npt.NDArray[np.int64]) -> Floats:
    """The centroids in the order of the old ids: each new segment takes the id it shares most customers with."""
    ordered = np.empty_like(centroids)
    ordered[match_segments(overlap)] = centroids
    return ordered
