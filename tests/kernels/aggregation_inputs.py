"""Turn lists of Python values into the arrays of the kernels, and back."""

from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np

from kernels._run import Run
from kernels.keys import ByteKeys, FixedKeys, Keys
from kernels.rfm import Customers, Rows

from .naive_rfm import Row

M64 = (1 << 64) - 1
I64 = np.iinfo(np.int64)


def keys_of(values: Sequence[Hashable]) -> Keys:
    """Integers become FixedKeys, strings ByteKeys over one buffer of exactly their bytes."""
    if all(isinstance(value, int) for value in values):
        return FixedKeys(np.array([value & M64 for value in values], dtype=np.uint64))  # type: ignore[operator]
    raw = [str(value).encode() for value in values]
    lengths = np.array([len(value) for value in raw], dtype=np.int32)
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    return ByteKeys(np.frombuffer(b"".join(raw), dtype=np.uint8), starts, lengths)


def values_of(keys: Keys) -> list[Any]:
    if isinstance(keys, FixedKeys):
        return keys.bits.view(np.int64).tolist()
    data = keys.data.tobytes()
    spans = zip(keys.starts.tolist(), keys.lengths.tolist(), strict=True)
    return [data[start : start + length].decode() for start, length in spans]


def words_of(values: Sequence[int]) -> Any:
    """Return int64[n, 2], low and high words."""
    words = [((value & M64) ^ (1 << 63)) - (1 << 63) for value in values]
    pairs = [(low, value >> 64) for low, value in zip(words, values, strict=True)]
    return np.array(pairs, dtype=np.int64).reshape(len(values), 2)


def ints_of(words: Any) -> list[int]:
    return [(high << 64) | (low & M64) for low, high in words.tolist()]


def batch_of(rows: Sequence[Row], kind: Literal["float", "integer", "decimal"], with_keep: bool = True) -> Rows:
    amounts = [row.amount for row in rows]
    array: Any = (
        np.array(amounts, dtype=np.float64)
        if kind == "float"
        else np.array(amounts, dtype=np.int64)
        if kind == "integer"
        else words_of([int(amount) for amount in amounts])
    )
    ticks = np.array([row.tick for row in rows], dtype=np.int64)
    keep = np.array([row.keep for row in rows], dtype=np.bool_) if with_keep else None
    return Rows(keys_of([r.customer for r in rows]), ticks, array, keys_of([r.order for r in rows]), keep)


def bytes_of(customers: Customers) -> tuple[Any, ...]:
    """Return everything in a form that compares bit by bit."""
    return values_of(customers.keys), *(column.tobytes() for column in customers[1:])


def run_on_pool(n_threads: int) -> Run:
    def run(thunks: Any) -> None:
        with ThreadPoolExecutor(n_threads) as pool:
            for future in [pool.submit(thunk) for thunk in thunks]:
                future.result()

    return run
