"""Arrow bodies of a form seen before: everything but the values is the same bytes, so the values are where they were.

The first body of a form goes through the guards, pyarrow's reader and its full validation like any other. What is
remembered is where the values lay. Of a later body that begins with the same messages up to its first value, has
the same length and the same end, only the values can differ; and plain numbers without nulls have no wrong values.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import types as pt

from kernels._jit import readonly
from proto.errors import RequestError
from proto.framing import check_stream
from proto.ipc_guard import BATCH, SCHEMA, read_header
from proto.limits import Limits
from proto.schemas import Plan
from service.quick.few import MAX_CUSTOMERS, MAX_ROWS, Rows

__all__ = ["ArrowLayout", "head_of", "layout_of", "only_batch", "schema_bytes"]

_CONTINUATION = b"\xff\xff\xff\xff"
_WORD = 8


class ArrowLayout(NamedTuple):
    """Where the values of the columns lie in a body of `size` bytes that ends with `tail`; in words of 8 bytes."""

    size: int
    tail: bytes
    n: int
    ids: int
    places: npt.NDArray[np.int64] | None
    """Of the told columns: in the body, or, where `converted`, in what its columns become."""
    converted: tuple[tuple[np.dtype[Any], int], ...]
    """Type and first byte of each feature, where one is no float64."""
    ticks: int
    amounts: int
    orders: int

    def rows(self, body: bytes) -> Rows | None:
        """The body's columns, in place; None where it is no body of this form after all."""
        if len(body) != self.size or not body.endswith(self.tail):
            return None
        words = np.frombuffer(body, np.int64, self.size // _WORD)
        floats = words.view(np.float64)
        n, ids = self.n, words[self.ids : self.ids + self.n]
        if self.places is not None:
            if self.converted:
                with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
                    columns = [np.frombuffer(body, kind, n, start).astype(np.float64) for kind, start in self.converted]
                floats = readonly(np.concatenate(columns))
            return Rows(n, ids, floats, self.places)
        return Rows(
            n,
            ids,
            ticks=words[self.ticks : self.ticks + n],
            amounts=floats[self.amounts : self.amounts + n],
            orders=words[self.orders : self.orders + n] if self.orders else None,
        )


def _message_end(body: bytes, start: int) -> int:
    """Where the metadata of the message at `start` ends; nonsense for what is none, which is then not remembered."""
    return start + _WORD + int.from_bytes(body[start + 4 : start + _WORD], "little")


def schema_bytes(body: bytes) -> bytes:
    """The first message of a body."""
    return body[: _message_end(body, 0)]


def head_of(body: bytes) -> bytes:
    """A body up to its first value, where it is a schema and one batch."""
    return body[: _message_end(body, _message_end(body, 0))]


def layout_of(body: bytes, batch: pa.RecordBatch, plan: Plan, has_revenue: bool) -> ArrowLayout | None:
    """Where the columns of this body, of which `batch` is a view, lie; None where they are not plain ones."""
    head = head_of(body)
    n = batch.num_rows
    if not 0 < n <= MAX_ROWS:
        return None
    base = pa.py_buffer(body).address
    if base % _WORD:
        return None
    words = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if not pt.is_primitive(column.type) or column.null_count or column.type.bit_width % 8:
            return None
        values = column.buffers()[1]
        start = values.address - base  # elsewhere where pyarrow had to decompress or to swap bytes
        if not len(head) <= start <= len(body) - values.size or column.offset or start % _WORD:
            return None
        words[name] = start // _WORD
    types = dict(zip(batch.schema.names, batch.schema.types, strict=True))
    if not _is_id(types[plan.customer_id]) or (plan.order_id and not _is_id(types[plan.order_id])):
        return None
    places, converted = None, []
    if plan.kind == "customers":
        if n > MAX_CUSTOMERS:
            return None
        told = [words[name] for name in plan.features]
        if any(types[name] != pa.float64() for name in plan.features):
            converted = [(np.dtype(types[name].to_pandas_dtype()), words[name] * _WORD) for name in plan.features]
            told = list(range(0, n * len(converted), n))
        if has_revenue:
            told.append(told[plan.feature_names.index("monetary")])
        places = readonly(np.array(told, np.int64))
    end = max(len(body) - _WORD, len(head))
    tail = body[end:] if body[end:] == _END else b""
    return ArrowLayout(
        len(body),
        tail,
        n,
        words[plan.customer_id],
        places,
        tuple(converted),
        words.get(plan.timestamp or "", 0),
        words.get(plan.amount or "", 0),
        words.get(plan.order_id or "", 0),
    )


_END = _CONTINUATION + bytes(4)


def _is_id(kind: pa.DataType) -> bool:
    return kind in (pa.int64(), pa.uint64())


def only_batch(body: bytes, limits: Limits) -> pa.RecordBatch | None:
    """The batch of a body that has one and nothing else, as the general path reads it; None for any other."""
    try:
        check_stream(memoryview(body), limits)
        if not _is_framed(body, limits):
            return None
        batches = list(pa.ipc.open_stream(pa.py_buffer(body)))
        batches[0].validate(full=True)
    except (RequestError, pa.ArrowException, OSError, ValueError, MemoryError, OverflowError):
        return None
    return batches[0]


def _is_framed(body: bytes, limits: Limits) -> bool:
    """Whether the body is a schema message, a batch message and perhaps an end, and `head_of` is right."""
    schema_end = _message_end(body, 0)
    batch_end = _message_end(body, schema_end)
    if not body.startswith(_CONTINUATION) or not body.startswith(_CONTINUATION, schema_end):
        return False
    schema = read_header(memoryview(body)[_WORD:schema_end], limits)
    batch = read_header(memoryview(body)[schema_end + _WORD : batch_end], limits)
    if (schema.kind, schema.body_bytes, batch.kind) != (SCHEMA, 0, BATCH) or batch.compressed is not None:
        return False
    return body[batch_end + batch.body_bytes :] in (b"", _END)
