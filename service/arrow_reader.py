"""Arrow streams → record batches.

pyarrow has no push decoder, so its stream reader gets a file that is filled frame by frame. A batch is asked for
only once all its bytes are there: the reader never waits, and dictionaries, their deltas and their replacements
stay its own business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types as pt

from proto.errors import ErrorCode, RequestError
from proto.framing import ArrowFramer, Frame, check_stream
from proto.limits import Limits, over
from proto.media import Shape
from proto.schemas import MODEL_KEY, Wanted, check_schema
from service.mapping import MemberMapping

__all__ = ["ArrowReader", "canonical", "canonical_schema", "read_arrow", "validated"]

_VIEW = pa.string_view().id
_VALUES_REMEDY = "Write the data again with an Arrow library."


def canonical_schema(schema: pa.Schema, sources: tuple[str, ...]) -> tuple[pa.Schema, bool]:
    """The schema with text views as plain text, and whether that changes anything in `sources`.

    polars writes text as views; the kernels know bytes and offsets only.
    """
    changed = False
    for name in sources:
        i = schema.get_field_index(name)
        field = schema.field(i)
        kind = field.type
        if kind.id == _VIEW:
            plain = pa.utf8()
        elif pt.is_dictionary(kind) and kind.value_type.id == _VIEW:
            plain = pa.dictionary(kind.index_type, pa.utf8())
        else:
            continue
        schema = schema.set(i, field.with_type(plain))
        changed = True
    return schema, changed


def _plain_text(views: pa.Array, column: str, limits: Limits) -> pa.Array:
    """Text views as offsets and bytes. Views may share their bytes, so what they become is added up first."""
    lengths = np.frombuffer(views.buffers()[1], np.int32)[4 * views.offset : 4 * (views.offset + len(views)) : 4]
    total = int(lengths.sum(dtype=np.int64)) if len(lengths) else 0
    if total > limits.max_message_bytes:
        raise over("max_message_bytes", total, limits.max_message_bytes, f"The text of {column!r} is too long.")
    return views.cast(pa.utf8())


def _canonical(array: pa.Array, column: str, limits: Limits) -> pa.Array:
    """The array with text views, and dictionaries of them, as plain text."""
    kind = array.type
    if kind.id == _VIEW:
        return _plain_text(array, column, limits)
    if pt.is_dictionary(kind) and kind.value_type.id == _VIEW:
        return pa.DictionaryArray.from_arrays(array.indices, _plain_text(array.dictionary, column, limits), safe=False)
    return array


def validated(batch: pa.RecordBatch, limits: Limits, *, views: bool) -> pa.RecordBatch:
    """The batch, once every offset, index and text in it has been checked: a bad one would crash the process."""
    try:
        batch.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowIndexError) as error:
        raise RequestError(
            ErrorCode.MALFORMED_BODY, f"The data is damaged: {str(error)[:300]}. {_VALUES_REMEDY}"
        ) from None
    return canonical(batch, limits) if views else batch


def canonical(batch: pa.RecordBatch, limits: Limits) -> pa.RecordBatch:
    """The batch with text views as plain text, as `canonical_schema` has it."""
    names = batch.schema.names
    columns = [_canonical(array, name, limits) for array, name in zip(batch.columns, names, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names)


def _unreadable(error: Exception) -> RequestError:
    # The first line: pyarrow may append the source lines of its C++.
    what = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
    return RequestError(ErrorCode.MALFORMED_BODY, f"The Arrow stream cannot be read: {what}. {_VALUES_REMEDY}")


class _Frames:
    """The file that pyarrow reads: bytes of frames that are there as a whole."""

    closed = False

    def __init__(self) -> None:
        self._buffers: deque[pa.Buffer] = deque()
        self._position = 0

    def push(self, data: pa.Buffer) -> None:
        self._buffers.append(data)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self._buffers.clear()

    def read_buffer(self, size: int) -> pa.Buffer:
        """`size` bytes as a slice of the first frame: pyarrow's reads never cross a message."""
        if not self._buffers:
            return pa.py_buffer(b"")
        first = self._buffers[0]
        piece = first.slice(self._position, size)
        self._position += piece.size
        if self._position >= first.size:
            self._buffers.popleft()
            self._position = 0
        return piece

    def read(self, size: int = -1) -> bytes:
        data: bytes = self.read_buffer(size).to_pybytes() if size > 0 else b""
        return data


_READ_ERRORS = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError, StopIteration)


def _start(schema: pa.Schema, wanted: Wanted) -> tuple[tuple[str, ...], pa.Schema, bool, bytes | None]:
    """Checks a schema and asks what to read: (source columns, canonical schema, has views, inline model)."""
    try:
        check_schema(schema)
        names = schema.names
    except UnicodeDecodeError as error:
        raise _unreadable(error) from None
    metadata = schema.metadata
    model = metadata.get(MODEL_KEY) if metadata else None
    sources = wanted(names, model).sources
    schema, views = canonical_schema(schema, sources)
    return sources, schema, views, model


def names_of(schema: pa.Schema) -> list[str]:
    """The columns' names; RequestError where they are no text."""
    try:
        names: list[str] = schema.names
    except UnicodeDecodeError as error:
        raise _unreadable(error) from None
    return names


_ONLY_MAPPING = (
    "There is a mapping of customers to households, and no transactions behind it. Send them in the same body, as a "
    "second Arrow stream right behind the end of the first."
)
_TWO_STREAMS = (
    "A second Arrow stream follows the data. Only a mapping may go ahead of transactions, with the two columns "
    "customer_id and the one that rollup= names."
)


class ArrowReader:
    """A Reader of Arrow streams: the data, and ahead of it the mapping of households, where there may be one."""

    def __init__(self, wanted: Wanted, limits: Limits, mapping: MemberMapping | None = None) -> None:
        self.schema: pa.Schema | None = None
        self.model: bytes | dict[str, Any] | None = None
        self.shape: Shape = "rows"
        self._wanted = wanted
        self._limits = limits
        self._mapping = mapping if mapping is not None and mapping.column is not None else None
        self._framer = ArrowFramer(limits, 1 if self._mapping is None else 2)
        self._is_mapping = False
        self._frames = _Frames()
        self._stream: Any = None
        self._views = False

    def feed(self, chunk: bytes | memoryview) -> list[Frame]:
        return self._framer.feed(chunk)

    def finish(self) -> list[Frame]:
        frames = self._framer.finish()
        return frames if self._mapping is None else [*frames, Frame("end", None, 0)]

    def decode(self, piece: Frame) -> Iterator[pa.RecordBatch]:
        if piece.kind == "schema":
            self._begin(piece.data)
            return
        if piece.kind == "end":
            if self.schema is None:
                raise RequestError(ErrorCode.TRUNCATED_BODY, _ONLY_MAPPING)
            return
        self._frames.push(piece.data)
        if piece.kind == "batch":
            try:
                batch = self._stream.read_next_batch()
            except _READ_ERRORS as error:
                raise _unreadable(error) from None
            batch = validated(batch, self._limits, views=self._views)
            if self._is_mapping:
                assert self._mapping is not None
                self._mapping.add(batch)
            else:
                yield batch

    def _begin(self, data: pa.Buffer) -> None:
        try:
            schema = pa.ipc.read_schema(data)
        except _READ_ERRORS as error:
            raise _unreadable(error) from None
        if self.schema is not None:
            raise RequestError(ErrorCode.MALFORMED_BODY, _TWO_STREAMS)
        self._is_mapping = self._mapping is not None and self._mapping.takes(names_of(schema))
        if self._is_mapping:
            sources = tuple(schema.names)
            self._begin_mapping(schema, sources)
        else:
            sources, self.schema, self._views, self.model = _start(schema, self._wanted)
        # Columns that play no part are neither decompressed nor validated.
        fields = sorted(schema.get_field_index(name) for name in sources)
        self._frames = _Frames()  # what may be left of a stream ahead is not read
        self._frames.push(data)
        try:
            self._stream = pa.ipc.open_stream(self._frames, options=pa.ipc.IpcReadOptions(included_fields=fields))
        except _READ_ERRORS as error:
            raise _unreadable(error) from None

    def _begin_mapping(self, schema: pa.Schema, sources: tuple[str, ...]) -> None:
        assert self._mapping is not None
        check_schema(schema)
        plain, self._views = canonical_schema(schema, sources)
        self._mapping.begin(plain)

    def close(self) -> None:
        self._frames.close()
        self._stream = None


def read_arrow(body: pa.Buffer, wanted: Wanted, limits: Limits) -> tuple[pa.Schema, bytes | None, list[pa.RecordBatch]]:
    """(schema, inline model, batches) of a stream that is there as a whole, behind the same guards."""
    check_stream(memoryview(body).cast("B"), limits)
    try:
        stream = pa.ipc.open_stream(body)
    except _READ_ERRORS as error:
        raise _unreadable(error) from None
    schema = stream.schema
    sources, plain, views, model = _start(schema, wanted)
    batches: list[pa.RecordBatch] = []
    while True:
        try:
            batch = stream.read_next_batch()
        except StopIteration:
            return plain, model, batches
        except _READ_ERRORS as error:
            raise _unreadable(error) from None
        if len(sources) < len(schema):
            batch = batch.select(sources)
        batches.append(validated(batch, limits, views=views))
