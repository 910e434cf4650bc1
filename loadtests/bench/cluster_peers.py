"""Clustering by scikit-learn and faiss: points in, centroids out, each with all cores."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtests.bench.peers import load

__all__ = ["Clusterer", "best_of_ten", "clusterers", "inertia"]

Floats = npt.NDArray[np.float64]

Clusterer = Callable[[int], Floats]
"""Centroids float64[k, d] of the points, given a seed."""


def clusterers(points: Floats, k: int, threads: int) -> tuple[dict[str, Clusterer], list[str]]:
    """Contestants over points float64[n, d], C-contiguous, and the peers that are not installed."""
    found: dict[str, Clusterer] = {}
    missing = []
    if cluster := load("sklearn.cluster"):
        # Lloyd and Elkan give the same; which is faster depends on k and d.
        found["KMeans"] = _sklearn(cluster.KMeans, points, n_clusters=k, n_init=1)
        found["KMeans, elkan"] = _sklearn(cluster.KMeans, points, n_clusters=k, n_init=1, algorithm="elkan")
        found["MiniBatchKMeans"] = _sklearn(cluster.MiniBatchKMeans, points, n_clusters=k)
    else:
        missing.append("scikit-learn")
    if faiss := load("faiss"):
        faiss.omp_set_num_threads(threads)
        found["faiss"] = _faiss(faiss, points, k)
    else:
        missing.append("faiss")
    return found, missing


def _sklearn(kind: Any, points: Floats, **options: Any) -> Clusterer:
    def fit(seed: int) -> Floats:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return kind(random_state=max(seed, 0), **options).fit(points).cluster_centers_

    return fit


def _faiss(faiss: Any, points: Floats, k: int) -> Clusterer:
    """25 rounds over all points, in float32, as faiss has it; then every point is assigned."""
    single = np.ascontiguousarray(points, np.float32)

    def fit(seed: int) -> Floats:
        kmeans = faiss.Kmeans(
            points.shape[1], k, niter=25, seed=1 + max(seed, 0), max_points_per_centroid=len(points) // k + 1
        )
        kmeans.train(single)
        kmeans.index.search(single, 1)
        return np.asarray(kmeans.centroids, np.float64).reshape(k, -1)

    return fit


def best_of_ten(points: Floats, k: int) -> Floats | None:
    """The centroids of the best of ten KMeans starts; None without scikit-learn."""
    cluster = load("sklearn.cluster")
    return None if cluster is None else _sklearn(cluster.KMeans, points, n_clusters=k, n_init=10)(0)


def inertia(points: Floats, centroids: Floats) -> float:
    """Σ of the squared distances from points float64[n, d] to the nearest centroid."""
    total = 0.0
    for start in range(0, len(points), 65_536):
        block = points[start : start + 65_536]
        least = np.full(len(block), np.inf)
        for centroid in centroids:
            np.minimum(least, ((block - centroid) ** 2).sum(axis=1), out=least)
        total += float(least.sum())
    return total
