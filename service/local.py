"""The same job in this process: what the command line runs when it is given no server."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pyarrow as pa

from kernels.warmup import warm_up
from proto.bundle import AnyModel, households_of, partition_of, shared_of
from proto.limits import Limits
from proto.options import ScoreOptions
from proto.roles import assign
from service.arrow_reader import canonical, canonical_schema
from service.grouping import with_group
from service.mapping import MemberMapping
from service.outcome import AnyOutcome
from service.pipeline import Job, Kind, Options
from service.rollup import wishes_for
from service.settings import available_cores
from service.threads import ThreadTeam

__all__ = ["run_local"]


def run_local(
    kind: Kind,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    options: Options,
    model: AnyModel | None = None,
    threads: int = 0,
    mapping: tuple[pa.Schema, Iterable[pa.RecordBatch]] | None = None,
) -> AnyOutcome:
    """Segments, fits or scores the batches; `threads` 0 takes the cores there are. RequestError as over HTTP.

    `mapping`: the household of each member, where no column of the batches says it.
    """
    assert options.name == kind
    warm_up()
    limits = Limits()
    scoring = shared_of(model) if isinstance(options, ScoreOptions) else None
    homes = MemberMapping(households_of(options, scoring), limits)
    if mapping is not None:
        _take_mapping(homes, *mapping, limits)
    wanted = wishes_for(options, scoring, mapped=homes.is_there)
    roles = assign(schema.names, options, scoring, with_group(wanted, partition_of(options, model)))
    schema, views = canonical_schema(schema, roles.sources)
    team = ThreadTeam(threads or available_cores())
    try:
        job = Job(options, model, limits=limits, team=team, now_ns=time.time_ns(), mapping=homes)
        job.start(schema)
        for batch in batches:
            job.add(canonical(batch, limits) if views else batch)
        return job.finish()
    finally:
        team.close()


def _take_mapping(homes: MemberMapping, schema: pa.Schema, batches: Iterable[pa.RecordBatch], limits: Limits) -> None:
    plain, views = canonical_schema(schema, schema.names)
    homes.begin(plain)
    for batch in batches:
        homes.add(canonical(batch, limits) if views else batch)
