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

MISSING = int(np.iinfo(np.int64).min)  # an int64 value that is not there; a float64 that is not there is NaN
_FIRST_CUSTOMERS = 128
_LINE = 64  # bytes: what a customer has in 64 bytes costs one line, not two


class Part(NamedTuple):
    """A shard's rows of one batch; arrays of n rows are the batch's."""

    rows: NDArray[np.int32]  # [m] ascending
    numbers: NDArray[np.int32]  # [m] customer of each
    n_customers: int  # of the shard, these included
    batch: rec.Batch  # of [n]
    columns: Mapping[str, NDArray[Any]]  # by name float64[n] (NaN: missing) or int64[n] (MISSING)


class Accumulator(Protocol):
    """State per customer number, for one shard."""

    @property
    def nbytes(self) -> int:
        """The bytes held."""

    def add(self, part: Part) -> None:
        """Take in the rows."""


def with_room(values: NDArray[Any], n: int, fill: float) -> NDArray[Any]:
    """Return values with room for at least n customers, those that are new set to fill; it begins on a cache line."""
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
