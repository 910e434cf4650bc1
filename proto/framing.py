"""Body bytes → pieces that can be decoded on their own."""

from __future__ import annotations

from typing import Literal, NamedTuple

import pyarrow as pa

__all__ = ["Frame"]


class Frame(NamedTuple):
    """One piece of a body."""

    kind: Literal["schema", "dictionary", "batch", "end", "rows", "document", "file", "encoded"]
    data: pa.Buffer | bytes | None
    size: int
    """Bytes held by `data`."""
