"""JSON in columns: read where it lies, or with plain lists, and answered in kind.

Of a document without anything unusual the values are read by a kernel, and sent back as they came: the ids, and the
features that are written as the reply would write them. The names of its columns tell its form.
"""

from __future__ import annotations

import struct
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from kernels.few_scores import FewScores
from kernels.json_columns import JsonColumns, read_columns
from kernels.label_texts import label_columns, prepare_labels
from service.json_reader import count_containers
from service.quick.few import MAX_CUSTOMERS, Document, Few, Rows
from service.quick.form import Form, Source, places_of

__all__ = ["JsonLayout", "JsonReply", "columns_in", "plain_columns", "rows_of"]


class JsonLayout(NamedTuple):
    """Which of a document's columns has the ids, and which each told one is."""

    ids: int
    told: tuple[int, ...]

    @classmethod
    def of(cls, names: tuple[str, ...], form: Form) -> JsonLayout:
        features = [names.index(name) for name in form.plan.features]
        return cls(names.index(form.plan.customer_id), tuple(features[column] for column in form.columns))

    def rows(self, body: bytes, columns: JsonColumns) -> Rows | None:
        """A customers table; None where a value is no plain number or id."""
        n, first = columns.n, self.ids * columns.n
        if n > MAX_CUSTOMERS or not columns.holds_ids(self.ids) or not all(map(columns.holds_numbers, self.told)):
            return None
        document = Document(body, columns, *self)
        return Rows(n, columns.words[first : first + n], columns.values, places_of(self.told, n), document=document)


def plain_columns(body: bytes) -> JsonColumns | None:
    """The columns of a document without anything unusual; None for any other."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            return None
    return read_columns(body)


def columns_in(body: bytes) -> dict[str, list[Any]] | None:
    """The columns of a document that has nothing else; None for any other, and where true or false may be a value."""
    if b"true" in body or b"false" in body:  # would pass for numbers in `rows_of`
        return None
    containers, allowed = count_containers(body)
    if containers > allowed:
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(document) is not dict or len(document) != 1:
        return None
    columns = document.get("columns")
    if type(columns) is not dict or not columns or any(type(values) is not list for values in columns.values()):
        return None
    return columns


def rows_of(columns: dict[str, list[Any]], form: Form) -> Rows | None:
    """A customers table; None where a value is no plain number or id, or where columns differ in length."""
    plan = form.plan
    ids = columns[plan.customer_id]
    n = len(ids)
    if not 0 < n <= MAX_CUSTOMERS or any(len(values) != n for values in columns.values()):
        return None
    if not _are_ids(ids):
        return None
    told = list(chain.from_iterable([columns[name] for name in plan.features]))
    try:
        # Takes integers and floats, nothing else; a third of the time of looking at types and making an array.
        values = np.frombuffer(struct.pack(f"{len(told)}d", *told))
    except struct.error:
        return None
    return Rows(n, ids, values, places_of(form.columns, n))


def _are_ids(ids: list[Any]) -> bool:
    """Whether all are integers that an int64 holds, or all texts."""
    try:
        struct.pack(f"{len(ids)}q", *ids)
    except struct.error:
        try:
            "".join(ids)
        except TypeError:
            return False
    return True


class JsonReply:
    """Writes the replies of one form, in columns."""

    def __init__(self, form: Form) -> None:
        self._sources = list(zip(form.schema.names, form.sources, strict=True))
        self._segments, self._classes = form.segments, form.classes
        self._labels = prepare_labels([orjson.dumps(s) for s in form.segments], [orjson.dumps(c) for c in form.classes])
        openings = [orjson.dumps(name) + b":[" for name in form.schema.names]
        self._openings = [b'{"columns":{' + openings[0], *(b"]," + opening for opening in openings[1:])]

    def of(self, few: Few, scores: FewScores, summary: bytes) -> bytes:
        """The reply's bytes, the same as `writers.encode` makes."""
        if few.document is not None:
            return self._around(few.document, few, scores, summary)
        n, values, words = few.n, few.values, scores.words
        segments = words[2 * n :].view(np.int32)[:n]
        columns: dict[str, Any] = {}
        for name, source in self._sources:
            if isinstance(source, int):
                start = few.places[source]
                columns[name] = values[start : start + n]
            elif source == "customer_id":
                columns[name] = few.ids
            elif source == "value_score":
                columns[name] = words[:n]
            elif source == "value_percentile":
                columns[name] = words[n : 2 * n]
            elif source == "segment_id":
                columns[name] = segments
            elif source == "segment":
                columns[name] = _named(segments, self._segments)
            else:
                columns[name] = _named(words[-((n + 3) >> 2) :].view(np.int16)[:n], self._classes)
        reply = {"columns": columns, "summary": orjson.Fragment(summary), "status": "complete"}
        return orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY)

    def _around(self, document: Document, few: Few, scores: FewScores, summary: bytes) -> bytes:
        """The same, of texts that are there already: in the document, and of labels."""
        n, words = few.n, scores.words
        numbers, segments, classes = label_columns(words, n, self._labels)
        texts: dict[Source, bytes | memoryview] = {"segment_id": numbers, "segment": segments, "rfm_class": classes}
        pieces: list[bytes | memoryview] = []
        for opening, (_, source) in zip(self._openings, self._sources, strict=True):
            pieces.append(opening)
            if isinstance(source, int):
                pieces.append(_feature_text(document, document.told[source]))
            elif source == "customer_id":
                pieces.append(_ids_text(document))
            elif source == "value_score":
                pieces.append(_written(words[:n]))
            elif source == "value_percentile":
                pieces.append(_written(words[n : 2 * n]))
            else:
                pieces.append(texts[source])
        pieces += (b']},"summary":', summary, b',"status":"complete"}')
        return b"".join(pieces)


def _written(values: Any) -> memoryview:
    """The values without the brackets around them."""
    return memoryview(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY))[1:-1]


def _feature_text(document: Document, column: int) -> bytes | memoryview:
    columns = document.columns
    if columns.is_shortest(column):
        start, end = columns.span(column)
        return document.body[start:end]
    return _written(columns.values[column * columns.n : (column + 1) * columns.n])


def _ids_text(document: Document) -> bytes | memoryview:
    columns, ids = document.columns, document.ids
    start, end = columns.span(ids)
    if columns.is_compact(ids):
        return document.body[start:end]
    if columns.holds_texts(ids):
        return _written(orjson.loads(document.body[start - 1 : end + 1]))
    return _written(columns.words[ids * columns.n : (ids + 1) * columns.n])


def _named(codes: npt.NDArray[np.integer[Any]], labels: list[str]) -> list[str]:
    return list(map(labels.__getitem__, codes.tolist()))
