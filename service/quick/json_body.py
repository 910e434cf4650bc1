"""JSON in columns: read with plain lists, and answered in kind."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from kernels._jit import readonly
from kernels.few_scores import FewScores
from service.json_reader import count_containers
from service.quick.few import MAX_CUSTOMERS, Few, Rows
from service.quick.form import Form

__all__ = ["JsonReply", "columns_in", "rows_of"]

_NUMBERS = {float, int}
_NUMPY = orjson.OPT_SERIALIZE_NUMPY
INT64_MAX = 2**63 - 1


def columns_in(body: bytes) -> dict[str, list[Any]] | None:
    """The columns of a document that has nothing else; None for any other."""
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
    kinds = set(map(type, ids))
    if kinds != {str} and (kinds != {int} or max(ids) > INT64_MAX):
        return None
    told = [columns[name] for name in plan.features]
    if any(not _NUMBERS.issuperset(map(type, values)) for values in told):  # type(): true is no number
        return None
    return Rows(n, ids, readonly(np.array(told, np.float64).reshape(-1)), _places(form, n))


@functools.lru_cache(maxsize=4096)
def _places(form: Form, n: int) -> npt.NDArray[np.int64]:
    """Where each feature begins, and the revenue where there is one."""
    columns = list(range(len(form.told)))
    if form.has_revenue:
        columns.append(form.told.index("monetary"))
    return readonly(np.array(columns, np.int64) * n)


class JsonReply:
    """Writes the replies of one form, in columns."""

    def __init__(self, form: Form) -> None:
        self._sources = [
            (b"%b%b:" % (b"," if i else b"", orjson.dumps(name)), source)
            for i, (name, source) in enumerate(zip(form.schema.names, form.sources, strict=True))
        ]
        self._segments = [orjson.dumps(label) for label in form.segments]
        self._classes = [orjson.dumps(label) for label in form.classes]

    def of(self, few: Few, scores: FewScores, summary: bytes) -> bytes:
        """The reply's bytes, the same as `writers.encode` makes."""
        n, values, words = few.n, few.values, scores.words
        segments = words[2 * n :].view(np.int32)[:n]
        pieces = [b'{"columns":{']
        for before, source in self._sources:
            pieces.append(before)
            if isinstance(source, int):
                start = few.places[source]
                pieces.append(orjson.dumps(values[start : start + n], option=_NUMPY))
            elif source == "customer_id":
                pieces.append(orjson.dumps(few.ids))
            elif source == "value_score":
                pieces.append(orjson.dumps(words[:n], option=_NUMPY))
            elif source == "value_percentile":
                pieces.append(orjson.dumps(words[n : 2 * n], option=_NUMPY))
            elif source == "segment_id":
                pieces.append(orjson.dumps(segments, option=_NUMPY))
            elif source == "segment":
                pieces.append(_named(segments, self._segments))
            else:
                pieces.append(_named(words[-((n + 3) >> 2) :].view(np.int16)[:n], self._classes))
        pieces += (b'},"summary":', summary, b',"status":"complete"}')
        return b"".join(pieces)


def _named(codes: npt.NDArray[np.integer[Any]], labels: list[bytes]) -> bytes:
    return b"[%b]" % b",".join([labels[code] for code in codes.tolist()])
