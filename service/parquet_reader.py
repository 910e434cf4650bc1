"""Parquet files → record batches, a row group at a time, from an unlinked temporary file.

The footer is at the end of a Parquet file, so the body is spooled; it is read only where a column plays a part. Text
is read as dictionaries: 2 KB of Parquet can hold one long text a million times.
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
from proto.schemas import MODEL_KEY, Wanted, check_schema
from service.arrow_reader import canonical_schema, validated

__all__ = ["ParquetReader"]

_BATCH_ROWS = 65_536
_MAGIC = b"PAR1"
_FOOTER_ITEMS = 1_000_000
_ERRORS = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)


def _unreadable(what: object) -> RequestError:
    first = str(what).splitlines()[0][:300] if str(what) else type(what).__name__
    return RequestError(
        ErrorCode.MALFORMED_BODY, f"The Parquet file cannot be read: {first}. Write it again, or send it as Arrow."
    )


class ParquetReader:
    """A Reader that spools the file and reads it by row group."""

    def __init__(self, wanted: Wanted, limits: Limits) -> None:
        self.schema: pa.Schema | None = None
        self.model: bytes | dict[str, Any] | None = None
        self.shape: Shape = "rows"
        self._wanted = wanted
        self._limits = limits
        # In memory up to 1 MiB: a small file needs no file system.
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115  closed in close()
        self._size = 0

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
        self._file.write(chunk)
        return []

    def finish(self) -> list[Frame]:
        return [Frame("file", None, self._size)]

    def decode(self, piece: Frame) -> Iterator[pa.RecordBatch]:
        self._check_footer()
        try:
            file = self._open()
            check_schema(file.schema_arrow)
            metadata = file.metadata.metadata or {}
            self.model = metadata.get(MODEL_KEY)
            sources = self._wanted(file.schema_arrow.names, self.model).sources
            self._check_groups(file.metadata, sources)
            text = [name for name in sources if _is_text(file.schema_arrow.field(name).type)]
            file = self._open(read_dictionary=text)
            self.schema, views = canonical_schema(file.schema_arrow, sources)
            for batch in file.iter_batches(_BATCH_ROWS, columns=list(sources), use_threads=False):
                yield validated(batch, self._limits, views=views)
        except _ERRORS as error:
            raise _unreadable(error) from None

    def _open(self, read_dictionary: list[str] | None = None) -> pq.ParquetFile:
        self._file.seek(0)
        return pq.ParquetFile(
            self._file,
            read_dictionary=read_dictionary,
            pre_buffer=False,
            thrift_string_size_limit=self._limits.max_metadata_bytes,
            thrift_container_size_limit=_FOOTER_ITEMS,
        )

    def _check_footer(self) -> None:
        """Magic and length of the footer, before it is parsed."""
        if self._size < 12:
            raise RequestError(
                ErrorCode.TRUNCATED_BODY, f"The body has {self._size} bytes, too few for Parquet. Send the whole file."
            )
        self._file.seek(self._size - 8)
        tail = self._file.read(8)
        if tail[4:] == b"PARE":
            raise _unreadable("it is encrypted")
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or length + 12 > self._size:
            raise RequestError(
                ErrorCode.TRUNCATED_BODY, "The body does not end like a Parquet file; it was cut. Send the whole file."
            )
        if length > self._limits.max_metadata_bytes:
            raise over("max_metadata_bytes", length, self._limits.max_metadata_bytes, "Write larger row groups.")

    def _check_groups(self, metadata: Any, sources: tuple[str, ...]) -> None:
        """Row counts and sizes of the columns to be read, from the footer."""
        if metadata.num_rows > self._limits.max_rows:
            raise over("max_rows", metadata.num_rows, self._limits.max_rows, "Send fewer rows.")
        wanted = [i for i in range(metadata.num_columns) if metadata.schema.column(i).path in sources]
        allowed = self._limits.max_message_bytes
        for g in range(metadata.num_row_groups):
            group = metadata.row_group(g)
            size = sum(group.column(i).total_uncompressed_size for i in wanted)
            if size > allowed or size < 0:
                raise over("max_message_bytes", size, allowed, f"Row group {g + 1} is too large; write smaller ones.")

    def close(self) -> None:
        self._file.close()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))
