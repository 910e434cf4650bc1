"""Clusters against scikit-learn's on the same standardised points: as tight as its best of ten, and steadier."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from kernels.scoring import standardise
from service.outcome import Outcome
from service.scoring import scoring_of
from tests.data.jobs import run

SEEDS = range(5)


def _points(outcome: Outcome) -> np.ndarray:
    names = [feature.name for feature in outcome.model.features]
    return standardise(outcome.population.matrix(names), scoring_of(outcome.model)).T


def _inertia(points: np.ndarray, labels: np.ndarray) -> float:
    """Sum of squared distances to the means of the labels' members."""
    return sum(float(((points[labels == s] - points[labels == s].mean(axis=0)) ** 2).sum()) for s in np.unique(labels))


@pytest.mark.parametrize("name", ["cdnow", "complete_journey"])
@pytest.mark.parametrize("k", [4, 8])
def test_as_tight_as_the_best_of_ten_and_steady(name: str, k: int, request: pytest.FixtureRequest) -> None:
    table: pa.Table = request.getfixturevalue(name)
    outcomes = [run(table, seed=seed, k=k, threads=2) for seed in SEEDS]
    points = _points(outcomes[0])
    best = min(KMeans(k, n_init=1, random_state=seed).fit(points).inertia_ for seed in range(10))
    inertias = [_inertia(points, o.scored.segments) for o in outcomes]
    pairs = itertools.combinations(outcomes, 2)
    agreement = np.mean([adjusted_rand_score(a.scored.segments, b.scored.segments) for a, b in pairs])
    assert np.median(inertias) <= 1.005 * best
    assert agreement >= 0.9
    for outcome in outcomes:
        assert (np.bincount(outcome.scored.segments, minlength=k) > 0).all()
    print(f"{name} k={k}: inertia / best of 10 {np.median(inertias) / best:.5f}, mean adjusted Rand {agreement:.4f}")
