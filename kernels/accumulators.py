"""What a shard keeps per customer beside its record, when it is asked to: columns by customer number.

An accumulator sees a shard's rows batch by batch, in their order, with the number of each row's customer. As each
customer lives in one shard, what it holds has the same bits for any cut into batches and any number of threads.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels.packing import WORD_BYTES, Packed

MISSING = int(np.iinfo(np.int64).min)  # an int64 value that is not there; a float64 that is not there is NaN
NO_CODE = -1  # a narrow code that is not there
NO_FLAG = 255  # a uint8 flag, 0 or 1, that is not there
_FIRST_CUSTOMERS = 128
_LINE = 64  # bytes: what a customer has in 64 bytes costs one line, not two


_NONE, _NO_TICKS = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
_NONE.flags.writeable = False


class Beside(NamedTuple):
    """The columns of a batch of n rows that accumulators read beside the base's."""

    columns: Mapping[str, NDArray[Any]] = {}  # by name float64[n] (NaN: missing), int64[n] (MISSING), or the
    # narrow kinds of columns that only LastValues and GreatestValues read: codes of one to four bytes (NO_CODE) and
    # flags uint8[n] (NO_FLAG)
    complete: frozenset[str] = frozenset()  # those of which no kept row lacks its value
    packed: Packed | None = None  # narrow columns that are not in `columns`, side by side


class Part(NamedTuple):
    """A shard's rows of one batch; arrays of n rows are the batch's."""

    rows: NDArray[np.int32]  # [m] ascending
    numbers: NDArray[np.int32]  # [m] customer of each
    n_customers: int  # of the shard, these included
    batch: rec.Batch  # of [n]
    columns: Mapping[str, NDArray[Any]]  # see Beside
    complete: frozenset[str] = frozenset()
    packed: Packed | None = None
    latest: NDArray[np.int32] = _NONE  # places in rows, ascending: see records.enter_rows
    ticks_before: NDArray[np.int64] = _NO_TICKS  # [n_customers] of their latest purchases before these rows


class Accumulator(Protocol):
    """State per customer number, for one shard.

    One with an attribute `reads_latest` that is true gets Part.latest, and Part.ticks_before where its method
    `needs_ticks` says that of a batch with these complete columns.
    """

    @property
    def nbytes(self) -> int:
        """The bytes held."""

    def add(self, part: Part) -> None:
        """Take in the rows."""


def with_room(values: NDArray[Any], n: int, fill: Any) -> NDArray[Any]:
    """Return values with room for at least n customers, those that are new set to fill (a value or a row).

    It begins on a cache line.
    """
    if n <= len(values):
        return values
    room = max(n, len(values) * (2 if len(values) > 500_000 else 4), _FIRST_CUSTOMERS)
    n_bytes = room * values.itemsize * math.prod(values.shape[1:])
    raw = np.empty(n_bytes + _LINE, dtype=np.uint8)
    shift = -raw.ctypes.data % _LINE
    larger = raw[shift : shift + n_bytes].view(values.dtype).reshape(room, *values.shape[1:])
    larger[: len(values)] = values
    larger[len(values) :] = fill
    return larger


def is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return bool[n]: which values of a column of any kind are not there."""
    missing = NO_FLAG if values.dtype == np.uint8 else MISSING if values.dtype == np.int64 else NO_CODE
    found: NDArray[np.bool_] = np.isnan(values) if values.dtype == np.float64 else values == missing
    return found


def widened(values: NDArray[Any]) -> NDArray[Any]:
    """Return flags uint8[n] as float64[n], narrow codes as int64[n], and columns of the other kinds as they are."""
    if values.dtype == np.uint8:
        return np.where(values == NO_FLAG, np.nan, values.astype(np.float64))
    if values.itemsize < WORD_BYTES:
        return np.where(values == NO_CODE, MISSING, values.astype(np.int64))
    return values
