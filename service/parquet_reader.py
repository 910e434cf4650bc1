"""Parquet files → record batches, a row group at a time, from an unlinked temporary file.

The footer is at the end of a Parquet file, so the body is spooled, by the worker; it is read only where a column plays
a part. What footer and pages declare is checked first (proto/parquet_guard.py). Text is read as dictionaries: 2 KB of
Parquet can hold one long text a million times.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types as pt

from proto.errors import ErrorCode, RequestError
from proto.framing import Frame
from proto.limits import Limits, over
from proto.media import Shape
from proto.parquet_guard import Footer, Group, check_pages, read_footer
from proto.schemas import MODEL_KEY, Wanted, check_schema
from service.arrow_reader import canonical_schema, validated
from service.budget import Reservation

__all__ = ["ParquetReader"]

_BATCH_ROWS = 65_536
_MAGIC = b"PAR1"
_SPOOLED_PIECE = 1 << 20
_FOOTER_ITEMS = 1_000_000
_GROUP_RATIO = 2  # a row group's pages, and what is decoded of them, to what its footer says they become
_ERRORS = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)


def _unreadable(what: object) -> RequestError:
    first = str(what).splitlines()[0][:300] if str(what) else type(what).__name__
    return RequestError(
        ErrorCode.MALFORMED_BODY, f"The Parquet file cannot be read: {first}. Write it again, or send it as Arrow."
    )


def _no_room(error: OSError) -> RequestError:
    return RequestError(
        ErrorCode.DISK_FULL,
        f"A Parquet body is kept in a temporary file, and that cannot be written: {error}. Try again later, "
        "or send the data as Arrow or CSV, which need no file.",
    )


class ParquetReader:
    """A Reader that spools the file and reads it by row group."""

    def __init__(self, wanted: Wanted, limits: Limits, memory: Reservation | None = None) -> None:
        self._memory = memory or Reservation()
        self.schema: pa.Schema | None = None
        self.model: bytes | dict[str, Any] | None = None
        self.shape: Shape = "rows"
        self._wanted = wanted
        self._limits = limits
        # In memory up to 1 MiB: a small file needs no file system.
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115  closed in close()
        self._size = 0
        self._held: list[bytes] = []
        self._held_size = 0
        self._end_of_pages = 0

    def feed(self, chunk: bytes | memoryview) -> list[Frame]:
        if self._size == 0 and not _MAGIC.startswith(bytes(chunk[:4])):
            raise RequestError(
                ErrorCode.MALFORMED_BODY,
                f"The body is not Parquet: it starts with {bytes(chunk[:8])!r}, not {_MAGIC!r}.",
                found=repr(bytes(chunk[:8])),
                wanted=repr(_MAGIC),
            )
        self._size += len(chunk)
        if self._size > self._limits.max_body_bytes:
            raise over("max_body_bytes", self._size, self._limits.max_body_bytes, "Send less data at once.")
        self._held.append(bytes(chunk))
        self._held_size += len(chunk)
        return self._taken() if self._held_size >= _SPOOLED_PIECE else []

    def _taken(self) -> list[Frame]:
        piece = b"".join(self._held)
        self._held, self._held_size = [], 0
        return [Frame("spooled", piece, len(piece))] if piece else []

    def finish(self) -> list[Frame]:
        return [*self._taken(), Frame("file", None, 0)]

    def decode(self, piece: Frame) -> Iterator[pa.RecordBatch]:
        if piece.kind == "spooled":
            self._spool(piece.data)
            return
        footer = self._footer()
        try:
            file = self._open()
            check_schema(file.schema_arrow)
            metadata = file.metadata.metadata or {}
            self.model = metadata.get(MODEL_KEY)
            names = file.schema_arrow.names
            sources = self._wanted(names, self.model).sources
            places = [names.index(name) for name in sources]
            if any(len(group.chunks) != len(names) for group in footer.groups):
                raise _unreadable("its row groups have other columns than its schema")
            text = [name for name in sources if _is_text(file.schema_arrow.field(name).type)]
            file = self._open(read_dictionary=text)
            self.schema, views = canonical_schema(file.schema_arrow, sources)
            for i, group in enumerate(footer.groups):
                rows = self._batch_rows(i, group, places)
                for batch in file.iter_batches(rows, row_groups=[i], columns=list(sources), use_threads=False):
                    yield validated(batch, self._limits, views=views)
        except _ERRORS as error:
            raise _unreadable(error) from None

    def _spool(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise _no_room(error) from error

    def _open(self, read_dictionary: list[str] | None = None) -> pq.ParquetFile:
        self._file.seek(0)
        return pq.ParquetFile(
            self._file,
            read_dictionary=read_dictionary,
            pre_buffer=False,
            thrift_string_size_limit=self._limits.max_metadata_bytes,
            thrift_container_size_limit=_FOOTER_ITEMS,
        )

    def _footer(self) -> Footer:
        """Magic, length and content of the footer, before pyarrow sees it."""
        if self._size < 12:
            raise RequestError(
                ErrorCode.TRUNCATED_BODY, f"The body has {self._size} bytes, too few for Parquet. Send the whole file."
            )
        tail = self._read(self._size - 8, 8)
        if tail[4:] == b"PARE":
            raise _unreadable("it is encrypted")
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or length + 12 > self._size:
            raise RequestError(
                ErrorCode.TRUNCATED_BODY, "The body does not end like a Parquet file; it was cut. Send the whole file."
            )
        if length > self._limits.max_metadata_bytes:
            raise over("max_metadata_bytes", length, self._limits.max_metadata_bytes, "Write larger row groups.")
        self._end_of_pages = self._size - 8 - length
        return read_footer(self._read(self._end_of_pages, length), self._limits)

    def _read(self, start: int, size: int) -> bytes:
        self._file.seek(start)
        return self._file.read(size)

    def _batch_rows(self, i: int, group: Group, places: list[int]) -> int:
        """How many rows of a group to decode at a time, once the sizes of its columns to be read passed the limits."""
        chunks = [group.chunks[place] for place in places]
        self._check_size(i, sum(max(chunk.plain_bytes, chunk.stored_bytes) for chunk in chunks))
        pages = [check_pages(self._read, self._end_of_pages, chunk, self._limits) for chunk in chunks]
        self._check_size(i, sum(found.plain_bytes for found in pages))
        longest = max((found.plain_bytes for found in pages if found.shares_prefixes), default=0)
        return max(1, min(_BATCH_ROWS, self._limits.max_message_bytes // longest)) if longest else _BATCH_ROWS

    def _check_size(self, i: int, size: int) -> None:
        allowed = self._limits.max_message_bytes
        if size > allowed:
            raise over("max_message_bytes", size, allowed, f"Row group {i + 1} is too large; write smaller ones.")
        self._memory.set("decode", _GROUP_RATIO * size)

    def close(self) -> None:
        self._file.close()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))
