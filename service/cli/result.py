"""What a command gets back, from a server or from the pipeline in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from proto.bundle import AnyModel
from proto.summary import Summary

__all__ = ["Kind", "Result"]

Kind = Literal["segment", "fit", "score", "audience"]


@dataclass(frozen=True)
class Result:
    """A fit has no schema and no batches. The batches can be read once."""

    summary: Summary
    model: AnyModel | None
    schema: pa.Schema | None
    batches: Iterator[pa.RecordBatch]
    rows_in: int
    customers_out: int
