"""CSV bytes → pieces of about 1 MiB that end with a row.

A line end inside quotes is no row end. Quotes are told apart by parity (RFC 4180: a field with a quote in it is
quoted, and its quotes are doubled): counting is forty times faster than parsing.
"""

from __future__ import annotations

from proto.errors import ErrorCode, RequestError
from proto.framing import Frame
from proto.limits import Limits, over

__all__ = ["PIECE_BYTES", "CsvFramer", "last_row_end"]

PIECE_BYTES = 1 << 20
MAX_ROW_BYTES = 16 << 20
"""Of one row: it is held until it ends, and a quote that is never closed does not end."""
_TRIES = 1024
"""Line ends looked at, from the end, before more bytes are waited for."""


def last_row_end(data: bytes | bytearray, quotes: int) -> int:
    """Position behind the last row of `data` that is whole, 0 where there is none; `quotes` are those in `data`."""
    end = len(data)
    before = quotes
    for _ in range(_TRIES):
        position = data.rfind(b"\n", 0, end)
        if position < 0:
            return 0
        if quotes:
            before -= data.count(b'"', position, end)
        if before % 2 == 0:
            return position + 1
        end = position
    return 0


class CsvFramer:
    """Cuts CSV between rows. The header stays at the front of the first piece."""

    def __init__(self, limits: Limits, piece_bytes: int = PIECE_BYTES) -> None:
        self._limits = limits
        self._piece_bytes = piece_bytes
        self._held = bytearray()
        self._quotes = 0
        self._next_try = piece_bytes
        self._total = 0

    def feed(self, chunk: bytes | memoryview) -> list[Frame]:
        """The piece that is complete with this chunk, if one is."""
        self._total += len(chunk)
        if self._total > self._limits.max_body_bytes:
            raise over("max_body_bytes", self._total, self._limits.max_body_bytes, "Send less data at once.")
        start = len(self._held)
        self._held += chunk
        self._quotes += self._held.count(b'"', start)
        if len(self._held) < self._next_try:
            return []
        end = last_row_end(self._held, self._quotes)
        if end == 0:
            # Looked for again only at twice the size, so that one huge field costs no more than its bytes.
            self._next_try = 2 * len(self._held)
            allowed = min(MAX_ROW_BYTES, self._limits.max_message_bytes)
            if len(self._held) > allowed:
                raise over(
                    "the length of a CSV row",
                    len(self._held),
                    allowed,
                    "A quote is not closed, or one inside a field is not doubled.",
                )
            return []
        piece = bytes(self._held[:end])
        del self._held[:end]
        self._quotes = self._held.count(b'"')
        self._next_try = self._piece_bytes
        return [Frame("rows", piece, len(piece))]

    def finish(self) -> list[Frame]:
        """The last piece; RequestError where the body is empty or ends inside quotes."""
        if self._total == 0:
            raise RequestError(
                ErrorCode.TRUNCATED_BODY, "The body is empty; CSV starts with a header, such as customer_id,timestamp."
            )
        if self._quotes % 2:
            raise RequestError(
                ErrorCode.TRUNCATED_BODY,
                "The body ends inside a quoted field: it is cut, or a quote inside a field is not doubled.",
            )
        piece = bytes(self._held)
        self._held.clear()
        return [Frame("rows", piece, len(piece))] if piece else []
