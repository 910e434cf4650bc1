"""The service's own stages, called as the service calls them, without HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from kernels.keys import FixedKeys
from loadtests.bench.data import FeatureTable
from proto.limits import Limits
from proto.model import Aggregation, Model
from proto.options import FitOptions, SegmentOptions
from proto.schemas import resolve
from service.columns import id_column
from service.fitting import Fitted, fit
from service.pipeline import Job, no_check
from service.population import Population, population_of_customers
from service.schemes.request import asked_by, wishes
from service.threads import ThreadTeam
from service.transactions_intake import TransactionsIntake

__all__ = ["BATCH_ROWS", "aggregate", "aggregated_table", "fit_features", "population_of", "segment"]

BATCH_ROWS = 1 << 16
"""Rows per record batch, here and over HTTP."""


def aggregate(table: pa.Table, occasion: str, team: ThreadTeam, options: SegmentOptions | None = None) -> Population:
    """Batches → one record per customer with recency, frequency, monetary and tenure, all checks included.

    `options` may ask for schemes; what they need is kept as well.
    """
    options = options or SegmentOptions(occasion=occasion)
    asked = asked_by(options, None)
    schema = table.schema
    aggregation = Aggregation(
        tz=options.tz,
        window_days=options.window,
        occasion=occasion,
        refunds=options.refunds,
        monetary=options.monetary,
        whole_days=options.whole_days,
    )
    intake = TransactionsIntake(
        resolve(schema, options, None, wishes(asked)),
        schema,
        aggregation,
        options.as_of,
        options.nulls,
        now_ns=time.time_ns(),
        limits=Limits(),
        team=team,
        n_shards=team.n_threads,
        asked=asked,
    )
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        intake.add(batch)
    return intake.finish()


def aggregated_table(population: Population) -> pa.Table:
    """What peers give, of ours: customer_id, last time, frequency, monetary."""
    return pa.table(
        {
            "customer_id": id_column(population.keys, population.id_type),
            "last": pa.array(population.last_ticks).cast(population.time_type),
            "frequency": pa.array(population.frequency),
            "monetary": pa.array(population.features["monetary"]),
        }
    )


def segment(table: pa.Table, options: SegmentOptions, team: ThreadTeam) -> tuple[pa.Table, Model]:
    """The whole job: transactions → one row per customer, and the model."""
    job = Job(options, None, limits=Limits(), team=team, now_ns=time.time_ns())
    job.start(table.schema)
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        job.add(batch)
    outcome = job.finish()
    return pa.Table.from_batches(_batches(outcome.batches()), outcome.schema), outcome.model


def _batches(batches: Iterator[pa.RecordBatch]) -> list[pa.RecordBatch]:
    return list(batches)


def population_of(features: FeatureTable) -> Population:
    """A customers table as the service holds it."""
    n = features.matrix.shape[1]
    return population_of_customers(
        FixedKeys(np.arange(n, dtype=np.uint64)),
        features.matrix,
        features=tuple(features.names),
        id_type=pa.int64(),
        rows_in=n,
        nulls={},
        not_finite=0,
        filtered=0,
    )


def fit_features(population: Population, features: FeatureTable, k: int, seed: int, team: ThreadTeam) -> Fitted:
    """Logs, scaling, ten starts, refinement, final assignment, and the description of the segments."""
    options = FitOptions(features=list(features.names), log=list(features.logs), k=k, seed=seed)
    schema = pa.schema([("customer_id", pa.int64()), *((name, pa.float64()) for name in features.names)])
    return fit(population, resolve(schema, options), options, None, None, team, no_check)
