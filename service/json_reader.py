"""JSON documents → one record batch: `{"columns": {...}}` or `{"rows": [...]}`, with an optional `"model"`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from proto.errors import ErrorCode, RequestError
from proto.framing import Frame
from proto.limits import Limits, over
from proto.media import Shape
from proto.roles import MAX_COLUMNS, ValueKind
from proto.schemas import Wanted
from service.mapping import MemberMapping
from service.text_values import bad_value, time_form, times

__all__ = ["JsonReader", "count_containers", "read_json"]

_SHAPES = 'Send {"columns": {"customer_id": [...], ...}} or {"rows": [{...}, ...]}, with an optional "model".'


class Document(NamedTuple):
    """One JSON body."""

    schema: pa.Schema
    model: dict[str, Any] | None
    shape: Shape
    batch: pa.RecordBatch


def _malformed(what: str) -> RequestError:
    return RequestError(ErrorCode.MALFORMED_BODY, f"{what} {_SHAPES}")


def count_containers(data: bytes) -> tuple[int, int]:
    """Lists and objects in a document, and how many a document of its size may have.

    An object of one key takes eight bytes here and 184 in memory; a row of data is never that short.
    """
    return data.count(b"{") + data.count(b"["), 1024 + len(data) // 16


def _loads(body: bytes | memoryview, limits: Limits) -> Any:
    size = len(body)
    if size > limits.max_document_bytes:
        raise over("max_document_bytes", size, limits.max_document_bytes, "Send more than that as Arrow or CSV.")
    if not size:
        raise RequestError(ErrorCode.TRUNCATED_BODY, f"The body is empty. {_SHAPES}")
    data = bytes(body)
    containers, allowed = count_containers(data)
    if containers > allowed:
        raise over("the number of lists and objects", containers, allowed, _SHAPES)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "end of data" in str(error):
            raise RequestError(ErrorCode.TRUNCATED_BODY, f"The JSON ends too early: {error}. Send all of it.") from None
        if "allocate memory" in str(error):  # what orjson says beyond its depth
            raise _malformed("The JSON is nested too deeply.") from None
        raise _malformed(f"The body is not JSON: {error}.") from None


def read_json(
    body: bytes | memoryview, wanted: Wanted, limits: Limits, mapping: MemberMapping | None = None
) -> Document:
    """The whole document; RequestError says what is wrong with it, by column and row (counted from 1).

    A "mapping" in it goes into `mapping`.
    """
    document = _loads(body, limits)
    if not isinstance(document, dict):
        raise _malformed(f"The JSON is {'a list' if isinstance(document, list) else 'no object'}.")
    unknown = next((key for key in document if key not in ("columns", "rows", "model", "mapping")), None)
    if unknown is not None:
        raise _malformed(f"The JSON has the key {unknown[:100]!r}, which means nothing here.")
    if ("columns" in document) is ("rows" in document):
        raise _malformed(f"The JSON has {'both' if 'rows' in document else 'neither'} of columns and rows.")
    model = document.get("model")
    if model is not None and not isinstance(model, dict):
        raise RequestError(ErrorCode.BAD_MODEL, "The model is not a JSON object; send it as /v1/fit returned it.")
    if document.get("mapping") is not None:
        _take_mapping(document["mapping"], mapping)
    if "columns" in document:
        return _from_columns(document["columns"], model, wanted)
    return _from_rows(document["rows"], model, wanted)


def _take_mapping(columns: Any, mapping: MemberMapping | None) -> None:
    """`{"customer_id": […], "household_id": […]}`, one place per member."""
    assert mapping is not None, "only files are read without a place for a mapping, and none of them is JSON"
    _check_columns(columns, "mapping")
    arrays = [_ids(values, name) for name, values in columns.items()]
    batch = pa.RecordBatch.from_arrays(arrays, list(columns))
    mapping.begin(batch.schema)
    mapping.add(batch)


def _from_columns(columns: Any, model: dict[str, Any] | None, wanted: Wanted) -> Document:
    _check_columns(columns, "columns")
    return _document(list(columns), columns, model, "columns", wanted)


def _check_columns(columns: Any, key: str) -> None:
    if not isinstance(columns, dict):
        raise _malformed(f'"{key}" is not an object.')
    lengths = {}
    for name, values in columns.items():
        if not isinstance(values, list):
            raise _malformed(f"The column {name[:100]!r} is not a list.")
        lengths[name] = len(values)
    if len(set(lengths.values())) > 1:
        few = min(lengths, key=lengths.__getitem__)
        many = max(lengths, key=lengths.__getitem__)
        raise RequestError(
            ErrorCode.MALFORMED_BODY,
            f"The columns differ in length: {few!r} has {lengths[few]:,} values, {many!r} has {lengths[many]:,}. "
            "Send one value per row in each, null where there is none.",
            column=few,
            found=lengths[few],
            wanted=lengths[many],
        )


def _from_rows(rows: Any, model: dict[str, Any] | None, wanted: Wanted) -> Document:
    if not isinstance(rows, list):
        raise _malformed('"rows" is not a list.')
    if set(map(type, rows)) - {dict}:
        i = next(i for i, row in enumerate(rows) if not isinstance(row, dict))
        raise _malformed(f"Row {i + 1:,} is not an object.")
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    if len(names) > MAX_COLUMNS:
        raise over("the number of columns", len(names), MAX_COLUMNS, "Send only the columns that are needed.")
    return _document(names if rows else None, rows, model, "rows", wanted)


def _document(
    names: list[str] | None, data: Any, model: dict[str, Any] | None, shape: Shape, wanted: Wanted
) -> Document:
    roles = wanted(names, model)
    names = list(roles.sources) if names is None else names
    arrays = {}
    for name in roles.sources:
        values = data[name] if shape == "columns" else [row.get(name) for row in data]
        arrays[name] = _CONVERTERS[roles.kind_of(name)](values, name)
    batch = pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))
    if len(names) == len(arrays):
        schema = batch.schema if names == list(arrays) else pa.schema([(name, arrays[name].type) for name in names])
    else:
        schema = pa.schema([(name, arrays[name].type if name in arrays else pa.null()) for name in names])
    return Document(schema, model, shape, batch)


_NONE = type(None)


def _first_other(values: Sequence[Any], accepted: tuple[type, ...]) -> int:
    # type(), not isinstance(): true and false are no numbers
    return next(i for i, value in enumerate(values) if value is not None and type(value) not in accepted)


def _ids(values: list[Any], column: str) -> pa.Array:
    """All strings or all integers."""
    kinds = set(map(type, values)) - {_NONE}
    if kinds <= {str}:
        return pa.array(values, pa.utf8())
    if kinds == {int}:
        try:
            return pa.array(values, pa.int64())
        except OverflowError:
            pass
        try:
            return pa.array(values, pa.uint64())
        except OverflowError:
            i = next(i for i, value in enumerate(values) if value is not None and value < 0)
            raise _wrong_id(column, i, values[i], "an integer without sign, as the largest ids of the column") from None
    first = next(value for value in values if value is not None)
    accepted = type(first) if type(first) in (str, int) else str
    i = _first_other(values, (accepted,))
    wanted = "ids that are all strings or all integers" if accepted is type(first) else "a string or an integer"
    raise _wrong_id(column, i, values[i], wanted)


def _wrong_id(column: str, i: int, found: Any, wanted: str) -> RequestError:
    return RequestError(
        ErrorCode.WRONG_TYPE,
        f"Row {i + 1:,} of {column!r} is {repr(found)[:120]}, not {wanted}. Send all ids as strings.",
        column=column,
        row=i + 1,
        found=repr(found)[:120],
        wanted=wanted,
    )


def _times(values: list[Any], column: str) -> pa.Array:
    if set(map(type, values)) - {str, _NONE}:
        i = _first_other(values, (str,))
        raise bad_value(column, i + 1, values[i], "a time as text", "Write it as 2026-01-31T12:00:00Z or 2026-01-31.")
    texts = pa.array(values, pa.utf8())
    return times(texts, time_form(texts), column, 1)


def _numbers(values: list[Any], column: str) -> pa.Array:
    if set(map(type, values)) - {float, int, _NONE}:
        i = _first_other(values, (float, int))
        raise bad_value(column, i + 1, values[i], "a number", "Send numbers without quotes, null where there is none.")
    try:
        return pa.array(values, pa.float64())
    except pa.ArrowInvalid:  # integers beyond 2^53
        return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _flags(values: list[Any], column: str) -> pa.Array:
    if set(map(type, values)) - {bool, _NONE}:
        i = _first_other(values, (bool,))
        raise bad_value(column, i + 1, values[i], "true or false", "Write them without quotes, null where unknown.")
    return pa.array(values, pa.bool_())


def _typed(values: list[Any], column: str) -> pa.Array:
    """As the first value is written: text, numbers, or true and false."""
    first = next((value for value in values if value is not None), "")
    if isinstance(first, str) or type(first) not in (bool, int, float):
        return _ids(values, column)
    return _flags(values, column) if isinstance(first, bool) else _numbers(values, column)


_CONVERTERS: dict[ValueKind, Callable[[list[Any], str], pa.Array]] = {
    "id": _ids,
    "time": _times,
    "number": _numbers,
    "text": _typed,
    "flag": _flags,
}


class JsonReader:
    """A Reader that collects the document and reads it at once."""

    def __init__(self, wanted: Wanted, limits: Limits, mapping: MemberMapping | None = None) -> None:
        self._mapping = mapping
        self.schema: pa.Schema | None = None
        self.model: bytes | dict[str, Any] | None = None
        self.shape: Shape = "columns"
        self._wanted = wanted
        self._limits = limits
        self._chunks: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes | memoryview) -> list[Frame]:
        self._size += len(chunk)
        allowed = self._limits.max_document_bytes
        if self._size > allowed:
            raise over("max_document_bytes", self._size, allowed, "Send more than that as Arrow or CSV.")
        self._chunks.append(bytes(chunk))
        return []

    def finish(self) -> list[Frame]:
        body = b"".join(self._chunks)
        self._chunks = []
        return [Frame("document", body, len(body))]

    def decode(self, piece: Frame) -> Iterator[pa.RecordBatch]:
        document = read_json(piece.data, self._wanted, self._limits, self._mapping)
        self.schema, self.model, self.shape = document.schema, document.model, document.shape
        yield document.batch

    def close(self) -> None:
        self._chunks = []
