"""One file of each format → its schema, and its batches as often as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from proto.errors import RequestError
from proto.limits import Limits
from proto.media import Media
from proto.roles import Wanted
from service.cli.failures import UserError
from service.readers import open_reader

__all__ = ["SUFFIXES", "File", "open_file", "unreadable"]

BATCH_ROWS = 65_536
PIECE_BYTES = 1 << 20
SUFFIXES = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".csv": "CSV",
    ".arrow": "Arrow",
    ".arrows": "Arrow",
    ".feather": "Arrow",
    ".ipc": "Arrow",
}

Read = Iterator[tuple[pa.RecordBatch, float]]
"""Batches, each with the share of the file that is read by then."""


class File(NamedTuple):
    """A file, opened as far as its schema."""

    path: Path
    schema: pa.Schema
    read: Callable[[list[str]], Read]

    def batches(self, names: list[str]) -> Read:
        """At least the columns named."""
        try:
            yield from self.read(names)
        except pa.ArrowException as error:
            raise unreadable(self.path, error) from None
        except RequestError as error:
            raise UserError("A file cannot be read", f"{self.path}: {error.detail}") from None


def open_file(path: Path, wanted: Wanted) -> File:
    """The file by its suffix; `wanted` says which of its columns are text, times and numbers (CSV has no types)."""
    kind = SUFFIXES[path.suffix.lower()]
    try:
        if kind == "Parquet":
            return File(path, pq.read_schema(path), lambda names: _parquet(path, names))
        if kind == "Arrow":
            return File(path, _arrow_schema(path), lambda _: _arrow(path))
        return File(path, _csv_schema(path, wanted), lambda _: _csv(path, wanted))
    except pa.ArrowException as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> UserError:
    kind = SUFFIXES[path.suffix.lower()]
    return UserError("A file cannot be read", f"{path} cannot be read as {kind}, which its suffix says it is: {error}")


def _parquet(path: Path, names: list[str]) -> Read:
    with pq.ParquetFile(path) as file:
        read = 0
        for batch in file.iter_batches(BATCH_ROWS, columns=names):
            read += batch.num_rows
            yield batch, read / file.metadata.num_rows


def _is_file_format(path: Path) -> bool:
    """Arrow has two formats with the same suffixes: the file begins with this word, the stream does not."""
    with path.open("rb") as file:
        return file.read(6) == b"ARROW1"


def _arrow_schema(path: Path) -> pa.Schema:
    with pa.OSFile(str(path)) as source:
        opened = pa.ipc.open_file(source) if _is_file_format(path) else pa.ipc.open_stream(source)
        return opened.schema


def _arrow(path: Path) -> Read:
    n_bytes = max(1, path.stat().st_size)
    with pa.OSFile(str(path)) as source:
        if _is_file_format(path):
            file = pa.ipc.open_file(source)
            for i in range(file.num_record_batches):
                yield file.get_batch(i), (i + 1) / file.num_record_batches
        else:
            for batch in pa.ipc.open_stream(source):
                yield batch, source.tell() / n_bytes


def _csv_schema(path: Path, wanted: Wanted) -> pa.Schema:
    """From the first rows: the types of a CSV are those of the service's own reader."""
    reader = open_reader(Media.CSV, wanted, Limits())
    try:
        with path.open("rb") as file:
            while reader.schema is None:
                piece = file.read(PIECE_BYTES)
                for frame in reader.feed(piece) if piece else reader.finish():
                    for _ in reader.decode(frame):
                        break
                if not piece:
                    break
    finally:
        reader.close()
    if reader.schema is None:
        raise UserError("A file cannot be read", f"{path} has no header line.")
    return reader.schema


def _csv(path: Path, wanted: Wanted) -> Read:
    reader = open_reader(Media.CSV, wanted, Limits())
    n_bytes = max(1, path.stat().st_size)
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                share = file.tell() / n_bytes
                for frame in reader.feed(piece):
                    for batch in reader.decode(frame):
                        yield batch, share
        for frame in reader.finish():
            for batch in reader.decode(frame):
                yield batch, 1.0
    finally:
        reader.close()
