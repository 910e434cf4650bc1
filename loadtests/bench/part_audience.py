"""The best customers within a budget, over HTTP, against scoring the same customers without choosing among them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loadtests.bench.arrow_client import post_table
from loadtests.bench.checks import check_equal
from loadtests.bench.data import FeatureTable, rfm_customers
from loadtests.bench.ours import fit_features, population_of
from loadtests.bench.rows import OURS, Row, within
from loadtests.bench.sizes import Sizes
from loadtests.bench.timing import interleaved_seconds
from loadtests.datasets import FOLDER
from loadtests.server import running_server
from proto.model import dump_model
from service.threads import ThreadTeam

__all__ = ["run"]

SCORE = "scoring them"
K = 8
PART = 100  # one customer of so many is reached
CENTS_PER_CONTACT = 35


def run(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    features = rfm_customers(sizes.points)
    table = _customers(features)
    reached = sizes.points // PART
    rules = f"&budget={reached * CENTS_PER_CONTACT / 100}&cost_per_contact={CENTS_PER_CONTACT / 100}"
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as models:
        model = fit_features(population_of(features), features, K, 0, team).model
        Path(models, "shop.json").write_bytes(dump_model(model))
        with running_server(FOLDER / "bench-audience.log", MODELS=models) as server:

            def sent(endpoint: str, rules: str = "") -> pa.Table:
                return post_table(server.url, f"/v1/{endpoint}?model=shop{rules}", table)

            _check(sent("audience", rules), sent("score"), reached)
            seconds = interleaved_seconds(
                {OURS: lambda _: sent("audience", rules), SCORE: lambda _: sent("score")}, 3 * sizes.rounds
            )
    yield within(
        "audience/budget",
        "an audience under a budget, over HTTP, Table to Table",
        f"the best {reached:,} of {sizes.points:,} customers, named model",
        "s",
        seconds,
        SCORE,
        1.3,
        rounds=3 * sizes.rounds,
        note="the reply of scoring has a row per customer, that of the audience one per customer reached",
    )


def _customers(features: FeatureTable) -> pa.Table:
    columns = {name: pa.array(values) for name, values in zip(features.names, features.matrix, strict=True)}
    return pa.table({"customer_id": pa.array(np.arange(features.matrix.shape[1]))} | columns)


def _check(audience: pa.Table, scored: pa.Table, reached: int) -> None:
    """Those with the highest scores, the first to come first among equals: sorting the scores says the same."""
    numbered = scored.append_column("arrival", pa.array(np.arange(len(scored))))
    order = pc.sort_indices(numbered, [("value_score", "descending"), ("arrival", "ascending")])[:reached]
    for name in ("customer_id", "value_score", "segment_id"):
        check_equal("audience", name, audience.column(name), scored.column(name).take(order))
