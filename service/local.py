"""The same job in this process: what the command line runs when it is given no server."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pyarrow as pa

from kernels.warmup import warm_up
from proto.limits import Limits
from proto.model import Model
from proto.options import ScoreOptions
from proto.roles import assign
from proto.wishes import NO_WISHES
from service.arrow_reader import canonical, canonical_schema
from service.outcome import Outcome
from service.pipeline import Job, Kind, Options
from service.schemes.request import wishes_of
from service.settings import available_cores
from service.threads import ThreadTeam

__all__ = ["run_local"]


def run_local(
    kind: Kind,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    options: Options,
    model: Model | None = None,
    threads: int = 0,
) -> Outcome:
    """Segments, fits or scores the batches; `threads` 0 takes the cores there are. RequestError as over HTTP."""
    assert options.name == kind
    warm_up()
    limits = Limits()
    scoring = model if isinstance(options, ScoreOptions) else None
    roles = assign(schema.names, options, scoring, wishes_of(options, scoring) if options.schemes else NO_WISHES)
    schema, views = canonical_schema(schema, roles.sources)
    team = ThreadTeam(threads or available_cores())
    try:
        job = Job(options, model, limits=limits, team=team, now_ns=time.time_ns())
        job.start(schema)
        for batch in batches:
            job.add(canonical(batch, limits) if views else batch)
        return job.finish()
    finally:
        team.close()
