"""Customers → model, against scikit-learn's KMeans and MiniBatchKMeans and faiss: time, and inertia."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from kernels.scoring import standardise
from loadtests.bench.cluster_peers import best_of_ten, clusterers, inertia
from loadtests.bench.data import FeatureTable, blob_customers, rfm_customers
from loadtests.bench.ours import fit_features, population_of
from loadtests.bench.rows import OURS, Row, faster_than_peers, within
from loadtests.bench.sizes import Sizes
from loadtests.bench.timing import Spread, interleaved_seconds, spread
from service.scoring import scoring_of
from service.threads import ThreadTeam

__all__ = ["run"]

COUNTED = ["KMeans", "KMeans, elkan", "MiniBatchKMeans"]


def run(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    yield from _case("fit/3-features", rfm_customers(sizes.points), 8, sizes, team)
    yield from _case("fit/8-features", blob_customers(sizes.points, 8, 40), 32, sizes, team)


def _case(key: str, features: FeatureTable, k: int, sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    """Peers get the points that our logs and scaling made, for nothing; every round has another seed."""
    population = population_of(features)
    model = fit_features(population, features, k, 0, team).model
    points = np.ascontiguousarray(standardise(features.matrix, scoring_of(model), team.run).T)
    peers, missing = clusterers(points, k, team.n_threads)
    centroids: dict[str, dict[int, np.ndarray]] = {name: {} for name in (OURS, *peers)}

    def ours(seed: int) -> None:
        fitted = fit_features(population, features, k, max(seed, 0), team)
        centroids[OURS][seed] = np.array([segment.centroid for segment in fitted.model.segments])

    def theirs(name: str, seed: int) -> None:
        centroids[name][seed] = peers[name](seed)

    seconds = interleaved_seconds({OURS: ours} | {name: partial(theirs, name) for name in peers}, sizes.rounds)
    data = f"{sizes.points:,} × {len(features.names)}, k = {k}"
    yield faster_than_peers(
        f"{key}-time", "fit: logs, scaling, 10 starts, refinement, assignment, model", data, seconds, 5.0,
        rounds=sizes.rounds, peers=COUNTED, missing=missing,
        note="peers cluster ready points with one start (faiss: 25 rounds, told only); the round's number is the seed",
    )  # fmt: skip
    best = best_of_ten(points, k)
    if best is None:
        return
    found = {
        name: spread([inertia(points, centres) for seed, centres in of_seed.items() if seed >= 0])
        for name, of_seed in centroids.items()
    }
    # Of ours the worst of all rounds counts.
    found[OURS] = found[OURS]._replace(median=found[OURS].largest)
    least = inertia(points, best)
    found["best of 10 KMeans"] = Spread(least, least, least)
    yield within(
        f"{key}-inertia", "inertia of that fit, the worst of all rounds", data, "", found, "best of 10 KMeans", 1.005,
        rounds=sizes.rounds,
    )  # fmt: skip
