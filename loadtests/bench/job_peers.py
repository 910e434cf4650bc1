"""The whole job as people do it in a notebook: polars aggregates, scikit-learn scales and clusters, in one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from loadtests.bench.checks import check_close, check_equal
from loadtests.bench.peers import load

__all__ = ["K", "check_segments", "notebooks"]

K = 8
DAY_US = 86_400 * 10**6
FEATURES = ("recency_days", "frequency", "monetary")


def notebooks(table: pa.Table, threads: int) -> tuple[dict[str, Callable[[int], Any]], list[str]]:
    """Transactions → a polars frame of customer_id, R, F, M, value_score and segment_id; one start, as is usual."""
    pl, cluster = load("polars"), load("sklearn.cluster")
    missing = [name for name, module in (("polars", pl), ("scikit-learn", cluster)) if module is None]
    if pl is None or cluster is None:
        return {}, missing
    assert pl.thread_pool_size() == threads
    frame = pl.from_arrow(table).lazy()
    kinds: dict[str, Callable[[int], Any]] = {
        "KMeans": lambda seed: cluster.KMeans(K, n_init=1, random_state=seed),
        "MiniBatchKMeans": lambda seed: cluster.MiniBatchKMeans(K, random_state=seed),
    }

    def work(engine: str, kind: str) -> Callable[[int], Any]:
        return lambda seed: _notebook(pl, frame, engine, kinds[kind](max(seed, 0)))

    return {
        f"polars + {kind}" + ("" if engine == "in-memory" else ", streaming"): work(engine, kind)
        for engine in ("in-memory", "streaming")
        for kind in kinds
    }, missing


def _notebook(pl: Any, frame: Any, engine: str, kmeans: Any) -> Any:
    from sklearn.preprocessing import StandardScaler

    customers = (
        frame.group_by("customer_id")
        .agg(
            pl.col("timestamp").max().alias("last"),
            pl.len().alias("frequency"),
            pl.col("amount").sum().alias("monetary"),
        )
        .with_columns(
            ((pl.col("last").max() - pl.col("last")).dt.total_microseconds() / DAY_US).alias("recency_days"),
        )
        .collect(engine=engine)
    )
    raw = customers.select(*FEATURES).to_numpy(order="c").astype(np.float64, copy=False)
    features = np.empty(raw.shape)
    features[:, 0] = -raw[:, 0]
    for column in (1, 2):
        values = np.maximum(raw[:, column], 0.0)
        features[:, column] = np.log1p(100.0 * values / np.median(values[values > 0]))
    points = StandardScaler(copy=False).fit_transform(features) / len(FEATURES)
    segments = kmeans.fit_predict(points)
    return customers.with_columns(value_score=points.sum(axis=1), segment_id=segments)


def check_segments(who: str, theirs: Any, ours: pa.Table) -> None:
    """R, F, M and value scores agree customer by customer; clusterings are compared by inertia, in part_fit."""
    found = theirs.to_arrow().sort_by("customer_id")
    wanted = ours.sort_by("customer_id")
    check_equal(who, "customer_id", found.column("customer_id"), wanted.column("customer_id"))
    for name in (*FEATURES, "value_score"):
        check_close(who, name, found.column(name), wanted.column(name))
