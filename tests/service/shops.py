"""Small shops with groups, and the plain path that partitions are compared with."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from proto.bundle import AnyModel
from proto.limits import Limits
from proto.options import FitOptions, ScoreOptions, SegmentOptions, parse_options
from service.outcome import Outcome
from service.partitions import PartitionedOutcome
from service.pipeline import Job
from service.threads import ThreadTeam

__all__ = ["OPTIONS", "run", "shop", "table_of"]

OPTIONS = {"as_of": "1970-03-01", "k": "3", "n_init": "1"}
_TEAMS = {n: ThreadTeam(n) for n in (1, 2)}
_KINDS: dict[str, type[SegmentOptions | FitOptions | ScoreOptions]] = {
    "segment": SegmentOptions,
    "fit": FitOptions,
    "score": ScoreOptions,
}
DAY = 86_400


def shop(rows: list[Any], group_type: pa.DataType | None = None) -> pa.Table:
    """Rows of (customer, day, amount, group)."""
    return pa.table(
        {
            "customer_id": pa.array([row[0] for row in rows], pa.int64()),
            "timestamp": pa.array([row[1] * DAY for row in rows], pa.timestamp("s")),
            "amount": pa.array([float(row[2]) for row in rows], pa.float64()),
            "region": pa.array([row[3] for row in rows], group_type or pa.utf8()),
        }
    )


def run(
    kind: str,
    table: pa.Table,
    model: AnyModel | None = None,
    *,
    cut: int | None = None,
    n_threads: int = 1,
    **query: Any,
) -> Outcome | PartitionedOutcome:
    """The outcome of one job on the table."""
    options = parse_options(_KINDS[kind], {name: str(value) for name, value in query.items()}.items())
    job = Job(options, model, limits=Limits(), team=_TEAMS[n_threads], now_ns=0)
    job.start(table.schema)
    for batch in table.to_batches(max_chunksize=cut):
        job.add(batch)
    return job.finish()


def table_of(outcome: Outcome | PartitionedOutcome) -> pa.Table:
    """The rows of the reply, labels as texts."""
    assert outcome.schema is not None
    table = pa.Table.from_batches(outcome.batches(), outcome.schema)
    plain = [pa.utf8() if pa.types.is_dictionary(field.type) else field.type for field in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, plain, strict=True))))
