"""Bodies in Content-Encoding gzip or zstd: inflated in the worker, piece by piece, up to the limit.

The event loop collects the compressed bytes only. Whatever they become passes the same guards as a plain body.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import zstandard

from proto.errors import ErrorCode, RequestError
from proto.framing import Frame
from proto.limits import Limits, over
from proto.media import Media, Shape
from service.budget import Reservation, decoding_bytes
from service.reader import Reader

__all__ = ["EncodedReader", "encoding_of", "inflated"]

_COMPRESSED_PIECE = 256 * 1024
_INFLATED_PIECE = 1 << 20
# An RLE block of zstd makes 128 KiB of 4 bytes: 512 bytes never become more than 16 MiB at once.
_ZSTD_SLICE = 512
_ZSTD_WINDOW = 1 << 27

_NAMES = {"gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd", "identity": "", "": ""}


def encoding_of(content_encoding: str | None) -> str:
    """`gzip`, `zstd` or empty; RequestError(UNSUPPORTED_MEDIA_TYPE) for anything else."""
    name = (content_encoding or "").strip().lower()
    if name not in _NAMES:
        raise RequestError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"The Content-Encoding is {name[:100]!r}; a body can be gzip, zstd, or not encoded.",
            found=name[:100],
            wanted=["gzip", "zstd", "identity"],
        )
    return _NAMES[name]


class _Inflater:
    """Compressed bytes in, plain pieces out; members and frames may follow one another."""

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding == "gzip"
        self._name = encoding
        self._stream: Any = None

    def _next_stream(self) -> Any:
        if self._stream is None or self._stream.eof:
            self._stream = (
                zlib.decompressobj(wbits=31)
                if self._gzip
                else zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
            )
        return self._stream

    def parts(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes of `data` in pieces of bounded size."""
        try:
            yield from self._gzip_parts(data) if self._gzip else _coalesced(self._zstd_parts(data))
        except (zlib.error, zstandard.ZstdError) as error:
            raise RequestError(
                ErrorCode.MALFORMED_BODY,
                f"The body is declared as Content-Encoding: {self._name}, but cannot be decompressed: {error}.",
                wanted=self._name,
            ) from None

    def _gzip_parts(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream is not None and self._stream.eof and not data.strip(b"\0"):
                return  # padding behind the last member, as gzip itself allows
            stream = self._next_stream()
            part = stream.decompress(data, _INFLATED_PIECE)
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
            if part:
                yield part

    def _zstd_parts(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_SLICE):
            piece = data[start : start + _ZSTD_SLICE]
            while piece:
                stream = self._next_stream()
                yield stream.decompress(piece)
                piece = stream.unused_data if stream.eof else b""

    def finish(self) -> None:
        """RequestError(TRUNCATED_BODY) where a member or frame is not complete."""
        if self._stream is None or not self._stream.eof:
            raise RequestError(
                ErrorCode.TRUNCATED_BODY, f"The {self._name} body ends too early. Send all of it.", wanted=self._name
            )


def _coalesced(parts: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= _INFLATED_PIECE:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)


def inflated(encoding: str, body: bytes | memoryview, limits: Limits) -> bytes:
    """A small body at once; refused where it becomes more than one message may be."""
    inflater = _Inflater(encoding)
    held: list[bytes] = []
    size = 0
    allowed = min(limits.max_document_bytes, limits.max_message_bytes, limits.max_body_bytes)
    for part in inflater.parts(bytes(body)):
        held.append(part)
        size += len(part)
        if size > allowed:
            raise over("max_document_bytes", size, allowed, "Decompressed; send less data at once, or in chunks.")
    inflater.finish()
    return b"".join(held)


class EncodedReader:
    """A Reader around another, which sees plain bytes. Its pieces are compressed bytes."""

    def __init__(
        self, inner: Reader, encoding: str, limits: Limits, media: Media, memory: Reservation | None = None
    ) -> None:
        self._inner, self._media = inner, media
        self._memory = memory or Reservation()
        self._inflater = _Inflater(encoding)
        self._limits = limits
        self._held: list[bytes] = []
        self._held_size = 0
        self._plain_size = 0

    @property
    def schema(self) -> pa.Schema | None:
        return self._inner.schema

    @property
    def model(self) -> bytes | dict[str, Any] | None:
        return self._inner.model

    @property
    def shape(self) -> Shape:
        return self._inner.shape

    def feed(self, chunk: bytes | memoryview) -> list[Frame]:
        self._held.append(bytes(chunk))
        self._held_size += len(chunk)
        return self._taken() if self._held_size >= _COMPRESSED_PIECE else []

    def _taken(self) -> list[Frame]:
        piece = b"".join(self._held)
        self._held, self._held_size = [], 0
        return [Frame("encoded", piece, len(piece))] if piece else []

    def finish(self) -> list[Frame]:
        return [*self._taken(), Frame("end", None, 0)]

    def decode(self, piece: Frame) -> Iterator[pa.RecordBatch]:
        if piece.kind == "end":
            self._inflater.finish()
            for frame in self._inner.finish():
                yield from self._decode(frame)
            return
        for part in self._inflater.parts(piece.data):
            self._plain_size += len(part)
            if self._plain_size > self._limits.max_body_bytes:
                raise over(
                    "max_body_bytes", self._plain_size, self._limits.max_body_bytes, "Decompressed; send less at once."
                )
            if self._media is not Media.PARQUET:  # which goes to a file
                self._memory.add("inflated", len(part))
            for frame in self._inner.feed(part):
                yield from self._decode(frame)

    def _decode(self, frame: Frame) -> Iterator[pa.RecordBatch]:
        self._memory.set("decode", frame.decompressed_bytes + decoding_bytes(self._media, frame.size))
        yield from self._inner.decode(frame)
        if self._media is not Media.PARQUET:
            self._memory.add("inflated", -frame.size)

    def close(self) -> None:
        self._inner.close()
