"""Arrow replies put together from prepared messages, around the values.

Everything that pyarrow writes besides the values depends on the schema, the number of rows and the length of the
summary. It is written by pyarrow once, and kept; a reply costs a tenth of a stream writer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types as pt

from kernels.few_scores import FewScores
from proto.ipc_guard import DICTIONARY, read_header
from proto.limits import Limits
from proto.media import Media
from proto.schemas import SUMMARY_KEY
from service.quick.few import Few
from service.quick.form import Form, NotPlain
from service.writers import encode

__all__ = ["ArrowReply"]

_MAX_LENGTHS = 256  # of summaries whose schema message is kept
_ALL_SCORES = ["value_score", "value_percentile", "segment_id", "segment", "rfm_class"]


class ArrowReply:
    """Writes the replies of one form."""

    def __init__(self, form: Form) -> None:
        self._schema, self._form = form.schema, form
        messages = list(_messages(self._stream(1, 1, b"{}")))
        self._dictionaries = b"".join(data for kind, data in messages if kind == DICTIONARY)
        self._heads: dict[int, tuple[bytes, bytes]] = {}
        self._batches: dict[int, bytes] = {}
        self._closings: dict[tuple[int, int], tuple[bytes, bool]] = {}
        self._sources = list(form.sources)
        self._has_all_scores = self._sources[-len(_ALL_SCORES) :] == _ALL_SCORES
        if self._has_all_scores:
            del self._sources[-len(_ALL_SCORES) :]

    def of(self, few: Few, scores: FewScores, summary: bytes) -> bytes:
        """The reply's bytes, the same as `writers.encode` makes."""
        n = few.n
        before, after = self._heads.get(len(summary)) or self._head(len(summary))
        pieces: list[Any] = [before, summary, after, self._batches.get(n) or self._batch(n)]
        values, words = few.values, scores.words
        for source in self._sources:
            if isinstance(source, int):
                start = few.places[source]
                pieces.append(values[start : start + n])
            elif source == "customer_id":
                pieces.append(few.ids)
            elif source == "frequency":
                pieces.append(few.frequencies)
            else:
                pieces.append(_scored(words, n, source))
        if self._has_all_scores:
            pieces.append(words)
        pieces.append(self._closing(few.rows_in, n))
        return b"".join(pieces)

    def _dummy(self, n: int) -> pa.RecordBatch:
        """A batch as replies have them, of zeros."""
        columns = []
        for name, kind in zip(self._schema.names, self._schema.types, strict=True):
            if pt.is_dictionary(kind):
                labels = self._form.segments if name == "segment" else self._form.classes
                zeros = pa.array(np.zeros(n, np.int16))
                columns.append(pa.DictionaryArray.from_arrays(zeros, pa.array(labels, pa.string())))
            else:
                buffer = pa.py_buffer(bytes(n * kind.bit_width // 8))
                columns.append(pa.Array.from_buffers(kind, n, [None, buffer]))
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _stream(self, rows_in: int, customers_out: int, summary: bytes) -> bytes:
        """A whole reply as the general path writes it."""
        pieces = encode(
            Media.ARROW,
            "rows",
            self._schema,
            [self._dummy(1)],
            summary=summary,
            rows_in=rows_in,
            customers_out=customers_out,
        )
        return b"".join(pieces)

    def _head(self, length: int) -> tuple[bytes, bytes]:
        """What stands before and after a summary of this length, up to the batch."""
        text = b"\1" * length
        message: bytes = self._schema.with_metadata({SUMMARY_KEY: text}).serialize().to_pybytes()
        before, _, after = message.partition(text)
        if len(self._heads) >= _MAX_LENGTHS:
            self._heads.clear()
        self._heads[length] = head = before, after + self._dictionaries
        return head

    def _batch(self, n: int) -> bytes:
        """The metadata of a batch of n rows."""
        message: bytes = self._dummy(n).serialize().to_pybytes()
        self._batches[n] = metadata = message[: 8 + int.from_bytes(message[4:8], "little")]
        return metadata

    def _closing(self, rows_in: int, customers_out: int) -> bytes:
        """The closing batch and the end: numbers of as many digits leave everything else as it is."""
        rows, customers = b"%d" % rows_in, b"%d" % customers_out
        digits = len(rows), len(customers)
        found = self._closings.get(digits)
        if found is None:
            stream = self._stream(rows_in, customers_out, b"{}")
            messages = [data for _, data in _messages(stream)]
            data = stream[sum(map(len, messages[:-1])) :]
            found = self._closings[digits] = _cut_figures(data, rows, customers)
        text, rows_first = found
        closing: bytes = text % ((rows, customers) if rows_first else (customers, rows))
        return closing


def _scored(words: Any, n: int, name: str) -> Any:
    """The part of few_scores' words that is this column, padded to whole words."""
    half, quarter = (n + 1) >> 1, (n + 3) >> 2
    if name == "value_score":
        return words[:n]
    if name == "value_percentile":
        return words[n : 2 * n]
    start = 2 * n
    if name == "segment_id":
        return words[start : start + half]
    start += half
    return words[start : start + quarter] if name == "segment" else words[start + quarter :]


def _messages(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, bytes) of each message before the end of a stream that pyarrow wrote."""
    position = 0
    while length := int.from_bytes(stream[position + 4 : position + 8], "little"):
        body = position + 8 + length
        header = read_header(memoryview(stream)[position + 8 : body], Limits())
        yield header.kind, stream[position : body + header.body_bytes]
        position = body + header.body_bytes


def _cut_figures(data: bytes, rows: bytes, customers: bytes) -> tuple[bytes, bool]:
    """The closing bytes with %b for the two figures, and whether rows_in comes first. NotPlain if they are not found.

    In a flatbuffer the text of a value stands right before that of its key.
    """
    places = []
    for key, figure in ((b"rows_in", rows), (b"customers_out", customers)):
        value = struct.pack("<i", len(figure)) + figure + bytes(4 - len(figure) % 4)
        wanted = value + struct.pack("<i", len(key)) + key
        if data.count(wanted) != 1:
            raise NotPlain
        places.append((data.index(wanted) + 4, len(figure)))
    (first, first_length), (second, second_length) = sorted(places)
    parts = data[:first], data[first + first_length : second], data[second + second_length :]
    return b"%b".join(part.replace(b"%", b"%%") for part in parts), places[0] < places[1]
