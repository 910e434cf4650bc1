"""What every reader of a request body does, whatever its format.

`feed` and `finish` run on the event loop and only frame bytes; `decode` runs in a worker, once per piece and in
order, and never waits for bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pyarrow as pa

from proto.framing import Frame
from proto.media import Shape

__all__ = ["Reader"]


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
