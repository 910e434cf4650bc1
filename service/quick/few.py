"""What passes between the steps of the quick path."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.json_columns import JsonColumns

__all__ = ["MAX_CUSTOMERS", "MAX_ROWS", "Document", "Few", "Rows"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_ROWS = 4_096
MAX_CUSTOMERS = 999  # from 1,000 on drift is told, and a thread hop costs less than the work


class Document(NamedTuple):
    """A JSON body whose columns were read where they lie: which of them has the ids, and which each told one is."""

    body: bytes
    columns: JsonColumns
    ids: int
    told: tuple[int, ...]


class Rows(NamedTuple):
    """A body's columns. Arrays are read-only and C-contiguous; none of them has a missing value.

    Of a customers table: `values` f64[·] holds its features, and the revenue where there is one, each `n` long from
    `places` int64[·] on. Of transactions: `ticks` int64[n], `amounts` f64[n] and `orders` int64[n], where occasions are
    orders.
    """

    n: int
    ids: Ints | list[int] | list[str]
    """int64[n], unsigned ones by their bits, hashes of texts; lists out of JSON."""
    values: Floats | None = None
    places: Ints | None = None
    ticks: Ints | None = None
    amounts: Floats | None = None
    orders: Ints | None = None
    document: Document | None = None


class Few(NamedTuple):
    """The customers of one request, `values` and `places` as in `Rows`: what the segments are described by."""

    n: int
    rows_in: int
    ids: Ints | list[int] | list[str]
    values: Floats
    places: Ints
    frequencies: Ints | None = None
    history_days: float | None = None
    refund_rows: int = 0
    zero_amount_rows: int = 0
    document: Document | None = None
