"""Annotated hex dumps of Arrow streams, for README.md: which bytes are what, message by message.

Layout: https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import types as pt

__all__ = ["dump_messages"]

_WIDTH = 16
_MOST = 256  # bytes of a flatbuffer that are shown


def _lines(data: bytes, start: int, note: str, most: int | None = None) -> Iterator[str]:
    """Sixteen bytes a line: offset, hex, what is printable; the note stands above, behind a semicolon."""
    yield f"; {note}"
    for i in range(0, len(data), _WIDTH):
        if i == most:
            yield f"; … and {len(data) - i} bytes more of it"
            return
        row = data[i : i + _WIDTH]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{start + i:06x}  {row.hex(' '):<{3 * _WIDTH - 1}}  {shown}"


def _parts(array: pa.Array) -> list[tuple[str, int]]:
    """(what it is, its bytes without padding) for each buffer of a column, in the order they have on the wire."""
    kind, n = array.type, len(array)
    validity = ("validity bitmap", (n + 7) // 8 if array.null_count else 0)
    if pt.is_string(kind):
        offsets = array.buffers()[1].to_pybytes()[: 4 * (n + 1)]
        ends = [int.from_bytes(offsets[i : i + 4], "little") for i in range(0, len(offsets), 4)]
        return [validity, (f"offsets, int32: {ends}", len(offsets)), (f"text: {array.to_pylist()}", ends[-1])]
    values: Any = array.indices if pt.is_dictionary(kind) else array
    what = "indices" if pt.is_dictionary(kind) else "values"
    shown = [str(value) for value in values.to_pylist()]
    return [validity, (f"{what}, {values.type}: {', '.join(shown)}", n * values.type.bit_width // 8)]


def _body(batch: pa.RecordBatch, body: bytes, start: int) -> Iterator[str]:
    """The buffers of a batch, each padded to a multiple of 8."""
    if not len(batch):
        yield from _lines(body, start, "body: what empty columns have, such as the offsets of text")
        return
    at = 0
    for field, array in zip(batch.schema, batch.columns, strict=True):
        for what, size in _parts(array):
            padded = -size % 8
            if size == 0:
                yield f"; body, {field.name}: {what.split(':')[0]}: 0 bytes"
                continue
            padding = f", and {padded} bytes of padding" if padded else ""
            yield from _lines(body[at : at + size + padded], start + at, f"body, {field.name}: {what}{padding}")
            at += size + padded
    assert at == len(body), "a buffer was not told"


def dump_messages(stream: bytes, last: int | None = None) -> str:
    """The stream's messages and its end, annotated; only the last few (the end marker counts) where `last` is given."""
    batches = iter(pa.ipc.open_stream(stream))
    blocks: list[list[str]] = []
    with pa.BufferReader(stream) as source:
        start = 0
        while True:
            length = int.from_bytes(stream[start + 4 : start + 8], "little")
            lines = list(_lines(stream[start : start + 4], start, "continuation marker"))
            if length == 0:
                lines += _lines(stream[start + 4 : start + 8], start + 4, "length 0: the end of the stream")
                blocks.append(lines)
                break
            message = pa.ipc.read_message(source)
            lines += _lines(
                stream[start + 4 : start + 8], start + 4, f"length of the metadata: {length}, little-endian"
            )
            body = b"" if message.body is None else message.body.to_pybytes()
            note = f"flatbuffer Message, header {message.type}, bodyLength {len(body)}; padded to a multiple of 8"
            at = start + 8 + length
            lines += _lines(stream[start + 8 : at], start + 8, note, _MOST)
            if message.type == "record batch":
                lines += _body(next(batches), body, at)
            blocks.append(lines)
            start = source.tell()
    return "\n".join("\n".join(lines) + "\n" for lines in (blocks if last is None else blocks[-last:]))
