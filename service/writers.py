"""Record batches → reply bytes, in the format and shape asked for.

A reply that is cut is never taken for a whole one: Arrow ends with a zero-row batch whose `custom_metadata` says so,
JSON with `"status"`. CSV has no place for either.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from pyarrow import types as pt

from proto.errors import ErrorCode, RequestError
from proto.media import Media, Shape
from proto.schemas import MODEL_KEY, SUMMARY_KEY

__all__ = ["encode"]

Rows = TypeVar("Rows", pa.Array, pa.RecordBatch)


def encode(
    media: Media,
    shape: Shape,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    summary: bytes | None = None,
    model: bytes | None = None,
    rows_in: int,
    customers_out: int,
) -> Iterator[bytes]:
    """The reply, piece by piece; each piece is a buffer of its own.

    `summary` and `model` are JSON. `schema` is what `output_schema` gave; every batch has it. JSON in columns needs
    all batches before its first byte; everything else is written batch by batch.
    """
    if media is Media.ARROW:
        return _arrow(schema, batches, summary, model, rows_in, customers_out)
    if media is Media.JSON:
        rows = shape == "rows"
        body = _json_rows(batches) if rows else _json_columns(schema, list(batches))
        return _json(body, summary, model)
    if media is Media.CSV:
        return _csv(schema, batches)
    raise RequestError(ErrorCode.NOT_ACCEPTABLE, f"Replies cannot be written as {media}.", found=str(media))


# ---- Arrow ----------------------------------------------------------------------------------------------------------

_ONE_PIECE_ROWS = 65_536
_SMALL_ROWS = 1024


def _closing(schema: pa.Schema, last: pa.RecordBatch | None) -> pa.RecordBatch:
    """A batch of no rows with the dictionaries of the last batch, so that none is sent again."""
    if last is not None and last.num_rows <= _SMALL_ROWS:
        # 60 µs less. pyarrow writes all text offsets of an empty slice, so longer batches are not sliced.
        return last.slice(0, 0)
    columns = [
        last.column(i).slice(0, 0) if last is not None and pt.is_dictionary(kind) else pa.nulls(0, kind)
        for i, kind in enumerate(schema.types)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _arrow(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    summary: bytes | None,
    model: bytes | None,
    rows_in: int,
    customers_out: int,
) -> Iterator[bytes]:
    metadata = {key: value for key, value in ((MODEL_KEY, model), (SUMMARY_KEY, summary)) if value is not None}
    # A sink that can be emptied after each batch is a Python file, which costs a small reply 40 µs more.
    drained = io.BytesIO() if customers_out > _ONE_PIECE_ROWS else None
    sink: Any = pa.BufferOutputStream() if drained is None else drained
    last = None
    with pa.ipc.new_stream(sink, schema.with_metadata(metadata) if metadata else schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            last = batch
            if drained is not None:
                yield drained.getvalue()  # a copy: the sink is used again
                drained.seek(0)
                drained.truncate()
        figures = {"status": "complete", "rows_in": str(rows_in), "customers_out": str(customers_out)}
        writer.write_batch(_closing(schema, last), custom_metadata=figures)
    yield sink.getvalue().to_pybytes() if drained is None else drained.getvalue()


# ---- text -----------------------------------------------------------------------------------------------------------

_SLICE_ROWS = 1024
"""Written as text at a time: making Python values of a column, and JSON of them, keeps the interpreter's lock for the
whole of a call, and the event loop waits for it."""
_PIECE_BYTES = 262_144


def _times(array: pa.Array) -> pa.Array:
    """RFC 3339 text of times: dates as dates, zoned timestamps in UTC with a Z, naive ones without an offset."""
    kind = array.type
    if not pt.is_timestamp(kind):
        return array.cast(pa.date32()).cast(pa.utf8())
    zoned = kind.tz is not None
    # %S has the digits of the unit. Relabelling as UTC moves no instant and needs no zone database.
    utc = array.cast(pa.timestamp(kind.unit, "UTC")) if zoned else array
    return pc.strftime(utc, "%Y-%m-%dT%H:%M:%SZ" if zoned else "%Y-%m-%dT%H:%M:%S")


def _text(array: pa.Array) -> pa.Array:
    """Everything that is not a number as text; numbers as they are."""
    kind = array.type
    if pt.is_dictionary(kind):
        return array.cast(kind.value_type)
    if pt.is_temporal(kind):
        return _times(array)
    if pt.is_decimal(kind):
        return array.cast(pa.utf8())
    if pt.is_fixed_size_binary(kind):
        ids = [
            None if raw is None else str(uuid.UUID(bytes=raw)) for part in _slices(array) for raw in part.to_pylist()
        ]
        return pa.array(ids, pa.utf8())
    return array


def _slices(rows: Rows) -> Iterator[Rows]:
    """A few rows at a time."""
    for start in range(0, len(rows), _SLICE_ROWS):
        yield rows.slice(start, _SLICE_ROWS)


def _values(array: pa.Array) -> Any:
    """What orjson writes for a column: a numpy array where that is possible, ten times faster than a list."""
    kind = array.type
    if pt.is_floating(kind) or (pt.is_integer(kind) and array.null_count == 0):
        return array.to_numpy(zero_copy_only=False)  # nulls become NaN, which orjson writes as null
    if pt.is_dictionary(kind):
        labels = array.dictionary.to_pylist()
        return [None if i is None else labels[i] for i in array.indices.to_pylist()]
    values = _text(array).to_pylist()
    if pt.is_decimal(kind):
        return [None if value is None else orjson.Fragment(value) for value in values]
    return values


def _dumps(values: Any) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """JSON lists as one list, its brackets left to the caller."""
    comma = b""
    for part in parts:
        if len(part) > 2:
            yield comma + part[1:-1]
            comma = b","


def _json_columns(schema: pa.Schema, batches: list[pa.RecordBatch]) -> Iterator[bytes]:
    yield b'{"columns":{'
    for i, name in enumerate(schema.names):
        yield (b"," if i else b"") + orjson.dumps(name) + b":["
        yield from _joined(_dumps(_values(part)) for batch in batches for part in _slices(batch.column(i)))
        yield b"]"
    yield b"}"


def _row_dicts(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    names = batch.schema.names
    columns = [values if isinstance(values, list) else values.tolist() for values in map(_values, batch.columns)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _json_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    yield b'{"rows":['
    yield from _joined(orjson.dumps(_row_dicts(part)) for batch in batches for part in _slices(batch))
    yield b"]"


def _json(body: Iterator[bytes], summary: bytes | None, model: bytes | None) -> Iterator[bytes]:
    """Pieces of about 256 KiB: a thread hop and a send cost more than the joining."""
    held: list[bytes] = []
    size = 0
    for part in body:
        held.append(part)
        size += len(part)
        if size >= _PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if summary is not None:
        held += (b',"summary":', summary)
    if model is not None:
        held += (b',"model":', model)
    held.append(b',"status":"complete"}')
    yield b"".join(held)


_PLAIN = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")


def _without_nan(array: pa.Array) -> pa.Array:
    if not pt.is_floating(array.type):
        return array
    return pc.if_else(pc.is_finite(array), array, pa.scalar(None, array.type))


def _csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    names = schema.names
    yield ",".join(names).encode() + b"\n"
    for batch in batches:
        if batch.num_rows == 0:
            continue
        sink = io.BytesIO()
        columns = [_without_nan(_text(array)) for array in batch.columns]
        pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(columns, names), sink, _PLAIN)
        yield sink.getvalue()
