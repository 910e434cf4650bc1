"""Segments → a file: Parquet, CSV, Arrow or JSON, by suffix. A file is there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from proto.bundle import AnyModel, dump_any
from proto.media import Media
from proto.schemas import MODEL_KEY, SUMMARY_KEY
from service.cli.failures import UserError
from service.cli.result import Result
from service.writers import encode

__all__ = ["MODEL_SUFFIXES", "check_output", "write_model", "write_result"]

PARQUET = (".parquet", ".pq")
MEDIA = {".csv": Media.CSV, ".arrow": Media.ARROW, ".arrows": Media.ARROW, ".json": Media.JSON}
MODEL_SUFFIXES = (".json",)

Rows = Iterator[pa.RecordBatch]


def check_output(path: Path, suffixes: tuple[str, ...] = (*PARQUET, *MEDIA)) -> None:
    """Refuses before the work begins what would fail after it."""
    title = "The output cannot be written"
    if path.suffix.lower() not in suffixes:
        raise UserError(title, f"{path}: the suffix says what to write; it can be {', '.join(suffixes)}.")
    if not path.absolute().parent.is_dir():
        raise UserError(title, f"There is no folder {path.absolute().parent}.")
    if path.is_dir():
        raise UserError(title, f"{path} is a folder.")


def write_result(result: Result, path: Path, watch: Callable[[Rows], Rows]) -> None:
    """Writes the rows as they come; `watch` sees every batch pass."""
    assert result.schema is not None, "a fit has no rows"
    rows = watch(result.batches)
    summary = result.summary.model_dump_json().encode()
    model = None if result.model is None else dump_any(result.model)
    schema = result.schema.remove_metadata()
    with _whole(path) as unfinished:
        if path.suffix.lower() in PARQUET:
            notes = {SUMMARY_KEY: summary} | ({} if model is None else {MODEL_KEY: model})
            with pq.ParquetWriter(unfinished, schema.with_metadata(notes)) as writer:
                for batch in rows:
                    writer.write_batch(batch.replace_schema_metadata(notes))
            return
        pieces = encode(
            MEDIA[path.suffix.lower()],
            "rows",
            schema,
            (batch.replace_schema_metadata(None) for batch in rows),
            summary=summary,
            model=model,
            rows_in=result.rows_in,
            customers_out=result.customers_out,
        )
        with unfinished.open("wb") as file:
            file.writelines(pieces)


def write_model(model: AnyModel, path: Path) -> None:
    with _whole(path) as unfinished:
        unfinished.write_bytes(dump_any(model))


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its name once it is complete."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
