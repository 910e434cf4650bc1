"""JSON in columns: read with plain lists, and answered in kind."""

from __future__ import annotations

import struct
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from kernels.few_scores import FewScores
from service.json_reader import count_containers
from service.quick.few import MAX_CUSTOMERS, Few, Rows
from service.quick.form import Form, places_of

__all__ = ["JsonReply", "columns_in", "rows_of"]


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

    def of(self, few: Few, scores: FewScores, summary: bytes) -> bytes:
        """The reply's bytes, the same as `writers.encode` makes."""
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


def _named(codes: npt.NDArray[np.integer[Any]], labels: list[str]) -> list[str]:
    return list(map(labels.__getitem__, codes.tolist()))
