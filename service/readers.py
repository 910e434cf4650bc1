"""Request bodies → record batches: the protocol all formats share, and the table of who reads what.

`feed` and `finish` run on the event loop and only frame bytes; `decode` runs in a worker, once per piece and in
order, and never waits for bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from proto.framing import Frame
from proto.limits import Limits
from proto.media import Media, Shape
from proto.schemas import Wanted
from service.arrow_reader import ArrowReader, read_arrow
from service.csv_reader import CsvReader
from service.encoded_reader import EncodedReader, encoding_of, inflated
from service.json_reader import JsonReader, read_json
from service.parquet_reader import ParquetReader

__all__ = ["Frame", "Reader", "Shape", "Whole", "decode_whole", "open_reader"]


class Reader(Protocol):
    """One request body."""

    @property
    def schema(self) -> pa.Schema | None:
        """All columns that came, once `decode` has seen the schema; also for bodies without a batch.

        Columns that play no part have the type null where the format gives them none (JSON, CSV).
        """

    @property
    def model(self) -> bytes | dict[str, Any] | None:
        """An inline model, as it came; set together with `schema`."""

    @property
    def shape(self) -> Shape:
        """The shape of a JSON body, for a reply in kind; `rows` for the other formats."""

    def feed(self, chunk: bytes | memoryview) -> list[Frame]:
        """The pieces that are complete with this chunk. Event loop."""

    def finish(self) -> list[Frame]:
        """The pieces that are complete with the end of the body. Event loop."""

    def decode(self, piece: Frame) -> Iterator[pa.RecordBatch]:
        """The batches of a piece: the columns that play a part (`Roles.sources`), validated. Worker."""

    def close(self) -> None:
        """Gives back what the reader holds; safe at any point."""


class Whole(NamedTuple):
    """A body decoded at once."""

    schema: pa.Schema
    model: bytes | dict[str, Any] | None
    shape: Shape
    batches: list[pa.RecordBatch]


_READERS: dict[Media, Callable[[Wanted, Limits], Reader]] = {
    Media.ARROW: ArrowReader,
    Media.JSON: JsonReader,
    Media.CSV: CsvReader,
    Media.PARQUET: ParquetReader,
}


def open_reader(media: Media, wanted: Wanted, limits: Limits, content_encoding: str | None = None) -> Reader:
    """A reader of one body. `wanted` is asked, in the worker, as soon as column names and inline model are known."""
    encoding = encoding_of(content_encoding)
    reader = _READERS[media](wanted, limits)
    return EncodedReader(reader, encoding, limits) if encoding else reader


def decode_whole(
    media: Media,
    body: bytes | memoryview | pa.Buffer,
    wanted: Wanted,
    limits: Limits,
    content_encoding: str | None = None,
) -> Whole:
    """A small body at once, with the same guards as `open_reader`."""
    encoding = encoding_of(content_encoding)
    if encoding:
        body = inflated(encoding, memoryview(body), limits)
    if media is Media.ARROW:
        schema, model, batches = read_arrow(pa.py_buffer(body), wanted, limits)
        return Whole(schema, model, "rows", batches)
    if media is Media.JSON:
        document = read_json(memoryview(body), wanted, limits)
        return Whole(document.schema, document.model, document.shape, [document.batch])
    reader = _READERS[media](wanted, limits)
    try:
        frames = [*reader.feed(memoryview(body)), *reader.finish()]
        batches = [batch for frame in frames for batch in reader.decode(frame)]
        return Whole(reader.schema, reader.model, reader.shape, batches)
    finally:
        reader.close()
