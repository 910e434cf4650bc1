"""Body bytes → pieces that can be decoded on their own; nothing is decoded here, and nothing waits."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import pyarrow as pa

from proto.errors import ErrorCode, RequestError
from proto.ipc_guard import BATCH, DICTIONARY, SCHEMA, Header, check_compressed, damaged, read_header
from proto.limits import Limits, over

__all__ = ["ArrowFramer", "Frame", "check_stream"]

FrameKind = Literal["schema", "dictionary", "batch", "rows", "document", "file", "spooled", "encoded", "end"]


class Frame(NamedTuple):
    """One piece of a body."""

    kind: FrameKind
    data: Any
    """A pa.Buffer for Arrow, bytes for text and encoded bodies, None for a spooled file."""
    size: int
    """Bytes held by `data`."""
    decompressed_bytes: int = 0
    """What the compressed buffers of an Arrow message say they become."""


_CONTINUATION = b"\xff\xff\xff\xff"
_KINDS: dict[int, FrameKind] = {SCHEMA: "schema", DICTIONARY: "dictionary", BATCH: "batch"}

_MAGICS = (
    (b"ARROW1", "the Arrow file format; send the stream format (pa.ipc.new_stream)"),
    (b"PAR1", "Parquet; send it with Content-Type: application/vnd.apache.parquet"),
    (b"\x1f\x8b", "gzip; say so with Content-Encoding: gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd; say so with Content-Encoding: zstd"),
    (b"PK\x03\x04", "a zip archive (an Excel sheet?); send its content as text/csv"),
    (b"{", "JSON; send it with Content-Type: application/json"),
    (b"[", "JSON; send it with Content-Type: application/json"),
    (b"customer", "CSV; send it with Content-Type: text/csv"),
)


def not_arrow(start: bytes) -> RequestError:
    """The refusal of a body whose first bytes are no Arrow message."""
    guess = next((f" It looks like {what}." for magic, what in _MAGICS if start.lstrip().startswith(magic)), "")
    return RequestError(
        ErrorCode.MALFORMED_BODY,
        f"The body is not an Arrow IPC stream: it starts with {start[:8]!r}.{guess}",
        found=repr(start[:8]),
        wanted="an Arrow IPC stream",
    )


def _truncated(detail: str) -> RequestError:
    return RequestError(ErrorCode.TRUNCATED_BODY, f"{detail} Send the whole stream.")


_EMPTY = "The body is empty; an Arrow stream has at least a schema."


def _looks_wrong(start: bytes) -> bool:
    """Whether a body's first bytes belong to another format, some of which would pass as a legacy length."""
    return any(start.startswith(magic) for magic, _ in _MAGICS)


def _lengths(prefix: bytes | memoryview, first: bool, limits: Limits) -> tuple[int, int]:
    """(bytes of the prefix, bytes of the metadata) from a message's first 8 bytes; (·, 0) is the end of the stream.

    Writers before Arrow 0.15 have no continuation marker: their prefix is 4 bytes long.
    """
    modern = prefix[:4] == _CONTINUATION
    length = int.from_bytes(prefix[4:8] if modern else prefix[:4], "little", signed=True)
    width = 8 if modern else 4
    if first and not modern and (length <= 0 or length > limits.max_metadata_bytes or _looks_wrong(bytes(prefix))):
        raise not_arrow(bytes(prefix))
    if length < 0 or (length and (length + width) % 8):
        raise damaged(f"a message declares {length:,} bytes of metadata")
    if length > limits.max_metadata_bytes:
        raise over("max_metadata_bytes", length, limits.max_metadata_bytes, "Send less schema metadata.")
    return width, length


class _Order:
    """Checks that a schema comes first, and only once."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen = False

    def check(self, header: Header) -> None:
        if (header.kind == SCHEMA) is self.seen:
            raise damaged("a second schema follows" if self.seen else "it does not start with a schema")
        self.seen = True


class ArrowFramer:
    """Cuts an Arrow stream into whole messages as its bytes arrive, and refuses a message by what it declares.

    A message's memory is taken once, at its declared size, after its header passed the limits. A stream may end
    without its end marker, as pyarrow accepts, but only between messages. Up to `n_streams` may follow one another, all
    but the last with their end marker.
    """

    def __init__(self, limits: Limits, n_streams: int = 1) -> None:
        self._limits, self._n_left = limits, n_streams
        self._order = _Order()
        self._head = bytearray()  # prefix and metadata of the message under way
        self._header: Header | None = None
        self._message: pa.Buffer | None = None
        self._view = memoryview(b"")
        self._filled = 0
        self._body_start = 0
        self._ended = False
        self._total = 0
        self._fault: RequestError | None = None  # that follows the messages last handed out

    def feed(self, chunk: bytes | memoryview) -> list[Frame]:
        """The messages that are complete with this chunk.

        A fault behind some of them is told by the next call: what stands before it in the body is to be looked at
        first, so that the same fault is told however the body was cut on its way.
        """
        frames: list[Frame] = []
        try:
            self._take(chunk, frames)
        except RequestError as error:
            if not frames:
                raise
            self._fault = error
        return frames

    def _take(self, chunk: bytes | memoryview, frames: list[Frame]) -> None:
        if self._fault is not None:
            raise self._fault
        rest = memoryview(chunk)
        self._total += len(rest)
        if self._total > self._limits.max_body_bytes:
            raise over("max_body_bytes", self._total, self._limits.max_body_bytes, "Send less data at once.")
        while rest:
            if self._ended:
                self._begin_next(rest)
            rest = self._fill(rest, frames) if self._header is not None else self._begin(rest, frames)

    def _begin_next(self, rest: memoryview) -> None:
        """Another stream follows, where one may."""
        if self._n_left <= 1:
            raise damaged(
                f"{len(rest):,} bytes or more follow its end; send one stream (rollup= allows a mapping ahead)"
            )
        self._n_left -= 1
        self._order, self._ended = _Order(), False

    def _begin(self, rest: memoryview, frames: list[Frame]) -> memoryview:
        """Collects prefix and metadata; allocates the message once both are there."""
        head = self._head
        rest = self._collect(rest, 4)
        if len(head) < 4:
            return rest
        if head[:4] != b"\0\0\0\0":
            rest = self._collect(rest, 8)
            if len(head) < 8:
                return rest
        elif not self._order.seen:
            raise not_arrow(bytes(head))
        width, length = _lengths(bytes(head[:8]), not self._order.seen, self._limits)
        if length == 0:
            self._ended = True
            head.clear()
            return rest
        rest = self._collect(rest, width + length)
        if len(head) < width + length:
            return rest
        # A slice of a bytearray is a copy: the view must not pin `head`, which is cleared.
        header = read_header(memoryview(bytes(head[width:])), self._limits)
        self._order.check(header)
        self._header = header
        self._body_start = len(head)
        self._message = pa.allocate_buffer(len(head) + header.body_bytes)
        self._view = memoryview(self._message).cast("B")
        self._view[: len(head)] = head
        self._filled = len(head)
        head.clear()
        if header.body_bytes == 0:
            self._complete(frames)
        return rest

    def _collect(self, rest: memoryview, size: int) -> memoryview:
        need = max(size - len(self._head), 0)
        self._head += rest[:need]
        return rest[need:]

    def _fill(self, rest: memoryview, frames: list[Frame]) -> memoryview:
        take = min(len(rest), len(self._view) - self._filled)
        self._view[self._filled : self._filled + take] = rest[:take]
        self._filled += take
        if self._filled == len(self._view):
            self._complete(frames)
        return rest[take:]

    def _complete(self, frames: list[Frame]) -> None:
        header = self._header
        assert header is not None
        decompressed = 0
        if header.compressed is not None:
            decompressed = check_compressed(header.compressed, self._view[self._body_start :], self._limits)
        frames.append(Frame(_KINDS[header.kind], self._message, len(self._view), decompressed))
        self._header = self._message = None
        self._view = memoryview(b"")

    def finish(self) -> list[Frame]:
        """Nothing, or RequestError: TRUNCATED_BODY where a message is cut or the body is empty, or a fault before."""
        if self._fault is not None:
            raise self._fault
        if self._header is not None:
            missing = len(self._view) - self._filled
            raise _truncated(f"The body ends {missing:,} bytes before the end of an Arrow message.")
        if self._head:
            if not self._order.seen and _looks_wrong(bytes(self._head)):
                raise not_arrow(bytes(self._head))
            raise _truncated("The body ends inside the header of an Arrow message.")
        if not self._order.seen:
            raise _truncated(_EMPTY)
        return []


def check_stream(body: memoryview, limits: Limits) -> int:
    """The same guards over a body that is there as a whole, in place.

    Returns the bytes that its compressed buffers say they become, all messages together.
    """
    order = _Order()
    decompressed = 0
    position, end = 0, len(body)
    if end > limits.max_body_bytes:
        raise over("max_body_bytes", end, limits.max_body_bytes, "Send less data at once.")
    while position < end:
        prefix = bytes(body[position : position + 8])
        if prefix[:4] == b"\0\0\0\0" and order.seen:
            position += 4
            break
        if len(prefix) < 8:
            if not order.seen and (_looks_wrong(prefix) or prefix[:4] == b"\0\0\0\0"):
                raise not_arrow(prefix)
            raise _truncated("The body ends inside the header of an Arrow message.")
        width, length = _lengths(prefix, not order.seen, limits)
        position += width
        if length == 0:
            break
        metadata = body[position : position + length]
        if len(metadata) < length:
            raise _truncated("The body ends inside the header of an Arrow message.")
        header = read_header(metadata, limits)
        order.check(header)
        position += length
        if position + header.body_bytes > end:
            missing = position + header.body_bytes - end
            raise _truncated(f"The body ends {missing:,} bytes before the end of an Arrow message.")
        if header.compressed is not None:
            decompressed += check_compressed(header.compressed, body[position : position + header.body_bytes], limits)
        position += header.body_bytes
    if not order.seen:
        raise _truncated(_EMPTY)
    if position < end:
        raise damaged(f"{end - position:,} bytes follow its end; send one stream (rollup= allows a mapping ahead)")
    return decompressed
