"""What an Arrow IPC message declares, read from its flatbuffer before pyarrow allocates anything.

The reader in pyarrow allocates what a message declares: its body, the uncompressed size of each buffer, the number
of view buffers. Here these are compared with the limits first. Layout of the tables: format/Message.fbs of Arrow.
"""

from __future__ import annotations

import struct
from functools import reduce
from operator import add, or_
from typing import NamedTuple

from proto.errors import ErrorCode, RequestError
from proto.limits import Limits, over

__all__ = ["BATCH", "DICTIONARY", "SCHEMA", "Header", "check_compressed", "damaged", "read_header"]

SCHEMA, DICTIONARY, BATCH = 1, 2, 3
_OTHER = {4: "a tensor", 5: "a sparse tensor"}

# A batch of 4096 flat columns has at most 3 buffers each; views may have more.
_MAX_BUFFERS = 65_536

_U16 = struct.Struct("<H").unpack_from
_I32 = struct.Struct("<i").unpack_from
_U32 = struct.Struct("<I").unpack_from
_I64 = struct.Struct("<q").unpack_from
_SLOTS = 5  # no table read here has a field of interest behind its fifth
_VTABLES = [struct.Struct(f"<{n}H").unpack_from for n in range(_SLOTS + 1)]


class Header(NamedTuple):
    """One message's header."""

    kind: int
    """SCHEMA, DICTIONARY or BATCH."""
    body_bytes: int
    compressed: list[tuple[int, int]] | None
    """(offset, length) of the body's buffers, where they are compressed."""


def damaged(what: str) -> RequestError:
    """The refusal of a stream whose messages contradict themselves."""
    return RequestError(
        ErrorCode.MALFORMED_BODY, f"The Arrow stream is damaged: {what}. Write it again with an Arrow library."
    )


def _table(data: memoryview, start: int) -> tuple[int, ...]:
    """Positions of the first five fields of the table at `start`, 0 where absent.

    Positions are checked when something is unpacked there; only negative ones would wrap around.
    """
    vtable = start - _I32(data, start)[0]
    n = (_U16(data, vtable)[0] - 4) >> 1
    if vtable < 0 or n < 0:
        raise struct.error
    offsets = _VTABLES[n if n < _SLOTS else _SLOTS](data, vtable + 4)
    return tuple([start + offset if offset else 0 for offset in offsets]) + _ABSENT[len(offsets)]


_ABSENT = [(0,) * (_SLOTS - n) for n in range(_SLOTS + 1)]


def _follow(data: memoryview, position: int) -> int:
    target: int = position + _U32(data, position)[0]
    return target


def read_header(metadata: memoryview, limits: Limits) -> Header:
    """The header in a message's metadata (without its length prefix).

    RequestError(LIMIT_EXCEEDED) where the message declares more than allowed, MALFORMED_BODY where it is unreadable
    or no schema, dictionary or record batch.
    """
    try:
        _, kind_at, header_at, length_at, _ = _table(metadata, _follow(metadata, 0))
        kind = metadata[kind_at] if kind_at else 0
        body_bytes = _I64(metadata, length_at)[0] if length_at else 0
        if body_bytes < 0 or body_bytes & 7:
            raise damaged(f"a message declares a body of {body_bytes:,} bytes")
        if body_bytes > limits.max_message_bytes:
            raise over("max_message_bytes", body_bytes, limits.max_message_bytes, "Send smaller record batches.")
        if kind == SCHEMA:
            return Header(kind, body_bytes, None)
        if kind not in (DICTIONARY, BATCH):
            raise damaged(f"it holds {_OTHER.get(kind, 'a message of an unknown kind')}, not record batches")
        batch = _follow(metadata, header_at)
        if kind == DICTIONARY:
            batch = _follow(metadata, _table(metadata, batch)[1])
        return Header(kind, body_bytes, _check_batch(metadata, batch, body_bytes, limits))
    except (struct.error, IndexError):
        raise damaged("a message's header cannot be read") from None


def _check_batch(data: memoryview, batch: int, body_bytes: int, limits: Limits) -> list[tuple[int, int]] | None:
    rows_at, _, buffers_at, compression_at, views_at = _table(data, batch)
    n_rows = _I64(data, rows_at)[0] if rows_at else 0
    if n_rows < 0:
        raise damaged(f"a batch declares {n_rows:,} rows")
    if n_rows > limits.max_rows_per_batch:
        raise over("max_rows_per_batch", n_rows, limits.max_rows_per_batch, "Send smaller record batches.")
    offsets, lengths = _buffers(data, buffers_at)
    # Whole tuples at a time: three times faster than a loop over the buffers.
    if offsets and (
        min(offsets) < 0 or min(lengths) < 0 or max(map(add, offsets, lengths)) > body_bytes or reduce(or_, offsets) & 7
    ):
        raise damaged(f"a buffer does not lie within its body of {body_bytes:,} bytes, or not on 8 bytes")
    if views_at:
        # pyarrow makes room for as many view buffers as declared here: up to 32 GiB.
        start = _follow(data, views_at)
        count = _U32(data, start)[0]
        if count > len(offsets):
            raise damaged("a batch declares more view columns than it has buffers")
        if any(not 0 <= n <= len(offsets) for n in struct.unpack_from(f"<{count}q", data, start + 4)):
            raise damaged("a batch declares more view buffers than it has")
    return list(zip(offsets, lengths, strict=True)) if compression_at else None


def _buffers(data: memoryview, vector_at: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Offsets and lengths of a batch's buffers."""
    if not vector_at:
        return (), ()
    start = _follow(data, vector_at)
    count = _U32(data, start)[0]
    if count > _MAX_BUFFERS:
        raise over("the number of buffers in a batch", count, _MAX_BUFFERS, "Send fewer columns.")
    pairs = struct.unpack_from(f"<{2 * count}q", data, start + 4)
    return pairs[::2], pairs[1::2]


def check_compressed(buffers: list[tuple[int, int]], body: memoryview, limits: Limits) -> int:
    """Compares what the compressed buffers say they become with the limit, before anything is decompressed.

    Returns that number of bytes.
    """
    total = 0
    for offset, length in buffers:
        if length == 0:
            continue
        if length < 8:
            raise damaged("a compressed buffer is too short for its length prefix")
        size = _I64(body, offset)[0]
        if size < -1:
            raise damaged(f"a compressed buffer declares {size:,} bytes")
        total += length - 8 if size == -1 else size
    if total > limits.max_message_bytes:
        raise over("max_message_bytes", total, limits.max_message_bytes, "Decompressed, too; send smaller batches.")
    return total
