"""The same request in this process: no server, the same pipeline."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from proto.bundle import AnyModel
from proto.roles import Options
from service.cli.inputs import Source
from service.cli.result import Kind, Result

__all__ = ["run_here"]


def run_here(
    kind: Kind,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    options: Options,
    model: AnyModel | None,
    threads: int,
    mapping: Source | None = None,
) -> Result:
    """The outcome of the pipeline on the batches, with the households of a mapping."""
    from service.local import run_local  # compiles or loads the kernels

    homes = None if mapping is None else (mapping.schema, mapping.batches())
    outcome = run_local(kind, batches, schema, options, model, threads, homes)
    return Result(
        summary=outcome.summary,
        model=None if kind in ("score", "audience") else outcome.model,
        schema=outcome.schema,
        batches=iter(outcome.batches()) if outcome.schema is not None else iter(()),
        rows_in=outcome.rows_in,
        customers_out=outcome.customers_out,
    )
