"""Record batches → reply bytes, in the format and shape asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from proto.media import Media
from service.readers import Shape

__all__ = ["encode"]


def encode(
    media: Media,
    shape: Shape,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    summary: bytes | None = None,
    model: bytes | None = None,
    rows_in: int,
    customers_out: int,
) -> Iterator[bytes]:
    """The reply, piece by piece; each piece is a buffer of its own.

    `summary` and `model` are JSON. `schema` is what `output_schema` gave; every batch has it, and the dictionaries of
    `segment` and `rfm_class` are the same in all batches.
    """
    raise NotImplementedError
