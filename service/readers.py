"""Request bodies → record batches: the table of who reads what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

from proto.limits import Limits
from proto.media import Media, Shape
from proto.schemas import Wanted
from service.arrow_reader import ArrowReader, read_arrow
from service.budget import Reservation
from service.csv_reader import CsvReader
from service.encoded_reader import EncodedReader, encoding_of, inflated
from service.json_reader import JsonReader, read_json
from service.mapping import MemberMapping
from service.parquet_reader import ParquetReader
from service.reader import Reader

__all__ = ["Whole", "decode_whole", "open_reader"]


class Whole(NamedTuple):
    """A body decoded at once."""

    schema: pa.Schema
    model: bytes | dict[str, Any] | None
    shape: Shape
    batches: list[pa.RecordBatch]


_READERS: dict[Media, Callable[[Wanted, Limits], Reader]] = {Media.CSV: CsvReader, Media.PARQUET: ParquetReader}
_MAPPED_READERS: dict[Media, Callable[[Wanted, Limits, MemberMapping | None], Reader]] = {
    Media.ARROW: ArrowReader,
    Media.JSON: JsonReader,
}
"""Of the formats that may have a mapping ahead of the data."""


def open_reader(
    media: Media,
    wanted: Wanted,
    limits: Limits,
    content_encoding: str | None = None,
    memory: Reservation | None = None,
    mapping: MemberMapping | None = None,
) -> Reader:
    """A reader of one body. `wanted` is asked, in the worker, as soon as column names and inline model are known.

    What only the reader knows that it is about to hold, it reserves with `memory`. A mapping that comes ahead of the
    data goes into `mapping`.
    """
    encoding = encoding_of(content_encoding)
    is_parquet = media is Media.PARQUET
    reader = ParquetReader(wanted, limits, memory) if is_parquet else _plain(media, wanted, limits, mapping)
    return EncodedReader(reader, encoding, limits, media, memory) if encoding else reader


def _plain(media: Media, wanted: Wanted, limits: Limits, mapping: MemberMapping | None) -> Reader:
    if media in _MAPPED_READERS:
        return _MAPPED_READERS[media](wanted, limits, mapping)
    return _READERS[media](wanted, limits)


def decode_whole(
    media: Media,
    body: bytes | memoryview | pa.Buffer,
    wanted: Wanted,
    limits: Limits,
    content_encoding: str | None = None,
    mapping: MemberMapping | None = None,
) -> Whole:
    """A small body at once, with the same guards as `open_reader`."""
    encoding = encoding_of(content_encoding)
    if encoding:
        body = inflated(encoding, memoryview(body), limits)
    if media is Media.ARROW:
        schema, model, batches = read_arrow(pa.py_buffer(body), wanted, limits)
        return Whole(schema, model, "rows", batches)
    if media is Media.JSON:
        document = read_json(memoryview(body), wanted, limits, mapping)
        return Whole(document.schema, document.model, document.shape, [document.batch])
    reader = _plain(media, wanted, limits, mapping)
    try:
        frames = [*reader.feed(memoryview(body)), *reader.finish()]
        batches = [batch for frame in frames for batch in reader.decode(frame)]
        return Whole(reader.schema, reader.model, reader.shape, batches)
    finally:
        reader.close()
