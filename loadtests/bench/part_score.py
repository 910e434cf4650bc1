"""Standardise, weigh, sum and assign with a fitted model, against scikit-learn and against reading the columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.scoring import Prepared, Scored, score
from loadtests.bench.checks import check_close, check_equal
from loadtests.bench.data import rfm_customers
from loadtests.bench.limits import column_reader
from loadtests.bench.ours import fit_features, population_of
from loadtests.bench.peers import load
from loadtests.bench.rows import OURS, Row, faster_than_peers, within
from loadtests.bench.sizes import Sizes
from loadtests.bench.timing import interleaved_seconds
from service.scoring import scoring_of
from service.threads import ThreadTeam

__all__ = ["faiss_assigner", "run", "sklearn_scorer"]

Floats = npt.NDArray[np.float64]
K = 8
LOG, CLIP, CENTRE, FACTOR = range(4)  # rows of Prepared.table


def run(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    features = rfm_customers(sizes.points)
    data = f"{sizes.points:,} × 3, k = {K}"
    for key, what, logs in (("plain", "log=none", []), ("logs", "with logs", features.logs)):
        told = features._replace(logs=logs)
        prepared = scoring_of(fit_features(population_of(told), told, K, 0, team).model)
        columns = told.matrix
        wanted = score(columns, prepared, team.run)
        runs: dict[str, Callable[[int], Any]] = {OURS: partial(_score, columns, prepared, team)}
        missing = []
        if load("sklearn"):
            peer = sklearn_scorer(columns, prepared)
            scores, segments = peer(-1)
            check_close("scikit-learn", "value score", scores, wanted.scores)
            check_equal("scikit-learn", "segment", segments, wanted.segments)
            runs["scikit-learn"] = peer
        else:
            missing.append("scikit-learn")
        if faiss := load("faiss"):
            runs["faiss, assignment only"] = faiss_assigner(faiss, columns, prepared, team.n_threads)
        else:
            missing.append("faiss")
        runs["read once"] = column_reader(columns, team)
        seconds = interleaved_seconds(runs, 3 * sizes.rounds)
        yield faster_than_peers(
            f"score/{key}", f"score and assign, {what}", data, seconds, 4.0, rounds=3 * sizes.rounds,
            peers=["scikit-learn"], missing=missing, note="scaling + predict + score, float64",
        )  # fmt: skip
        if not logs:
            yield within(
                f"score/{key}-limit", f"score and assign, {what}, against reading the columns", data, "s",
                {name: seconds[name] for name in (OURS, "read once")}, "read once", 2.0, rounds=3 * sizes.rounds,
                note="read once: the sum of every column, on all cores",
            )  # fmt: skip


def _score(columns: Floats, prepared: Prepared, team: ThreadTeam, _: int) -> Scored:
    return score(columns, prepared, team.run)


def _transformed(columns: Floats, prepared: Prepared) -> Floats:
    """The logarithms, by numpy: float64[d, n]."""
    table = prepared.table
    if not table[LOG].any():
        return columns
    out = columns.copy()
    for row, factor, clip in zip(out, table[LOG], table[CLIP], strict=True):
        if factor:
            if clip:
                np.maximum(row, 0.0, out=row)
            np.log1p(row * factor, out=row)  # none of these features is negative
    return out


def sklearn_scorer(columns: Floats, prepared: Prepared) -> Callable[[int], tuple[Floats, npt.NDArray[np.int32]]]:
    """StandardScaler with signs and weights folded into its scale, KMeans.predict, and a sum.

    Rows are scikit-learn's own layout, float64[n, d] in C order, made before the clock starts; logs are part of
    the work.
    """
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    table = prepared.table
    scaler = StandardScaler().fit(columns[:, :2].T)
    scaler.mean_, scaler.scale_ = table[CENTRE].copy(), 1.0 / table[FACTOR]
    kmeans = KMeans(len(prepared.centroids), n_init=1).fit(np.array(prepared.centroids))
    kmeans.cluster_centers_ = np.array(prepared.centroids)
    rows = np.ascontiguousarray(columns.T)

    def run(_: int) -> tuple[Floats, npt.NDArray[np.int32]]:
        raw = rows
        if table[LOG].any():
            raw = np.ascontiguousarray(_transformed(columns, prepared).T)
        x = scaler.transform(raw)
        return x.sum(axis=1), kmeans.predict(x)

    return run


def faiss_assigner(faiss: Any, columns: Floats, prepared: Prepared, threads: int) -> Callable[[int], Any]:
    """The nearest centroid of ready points, in float32."""
    faiss.omp_set_num_threads(threads)
    table = prepared.table
    points = ((_transformed(columns, prepared) - table[CENTRE][:, None]) * table[FACTOR][:, None]).T
    single = np.ascontiguousarray(points, np.float32)
    index = faiss.IndexFlatL2(len(columns))
    index.add(np.ascontiguousarray(prepared.centroids, np.float32))
    return lambda _: index.search(single, 1)
