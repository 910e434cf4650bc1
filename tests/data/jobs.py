"""The pipeline in this process, in as few words as a test wants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from proto.limits import Limits
from proto.model import Model
from proto.options import ScoreOptions, SegmentOptions, parse_options
from service.outcome import Outcome
from service.pipeline import Job
from service.threads import ThreadTeam

NOW_NS = 1_700_000_000 * 10**9


def run(
    table: pa.Table, model: Model | None = None, *, threads: int = 1, max_rows: int | None = None, **options: Any
) -> Outcome:
    """Segments the table, or scores it where a model is given."""
    kind = SegmentOptions if model is None else ScoreOptions
    parsed = parse_options(kind, [(name, _text(value)) for name, value in options.items()])
    team = ThreadTeam(threads)
    try:
        job = Job(parsed, model, limits=Limits(), team=team, now_ns=NOW_NS)
        job.start(table.schema)
        for batch in table.to_batches(max_chunksize=max_rows):
            job.add(batch)
        return job.finish()
    finally:
        team.close()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def rows(outcome: Outcome) -> pa.Table:
    """One row per customer."""
    return pa.Table.from_batches(outcome.batches(), outcome.schema)


def reply_bytes(outcome: Outcome) -> bytes:
    """The rows as an Arrow stream, for comparing bit for bit."""
    sink = pa.BufferOutputStream()
    assert outcome.schema is not None
    with pa.ipc.new_stream(sink, outcome.schema) as writer:
        for batch in outcome.batches():
            writer.write_batch(batch)
    return bytes(sink.getvalue())
