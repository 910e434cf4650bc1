"""Narrow columns side by side in words of 64 bits, so that what a row brings is fetched and written as one.

    word of a row = Σ_c value_c · 256^(c · bytes of a value)        of 8 columns of a byte, 4 of two or 2 of four

Zipped for a whole batch, in vectors: gathered row by row from six columns of bytes it took twice as long.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, readonly

WORD_BYTES = 8


class Packed(NamedTuple):
    """Narrow columns of n rows."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]  # bytes of a value, of each column: 1, 2 or 4
    words: tuple[NDArray[np.uint64], ...]  # each [n]; see packed_places


@kernel
def _zip(columns: Any, out: NDArray[np.uint64]) -> None:
    """Write the words of as many unsigned columns as a word has room for."""
    bits = np.uint64(64 // len(columns))
    for i in range(len(out)):
        word = np.uint64(0)
        for c in range(len(columns)):
            word |= np.uint64(columns[c][i]) << (np.uint64(c) * bits)
        out[i] = word


def packed_places(sizes: Sequence[int]) -> tuple[list[tuple[int, int]], int]:
    """Return (of each column its word and its place in it, how many words there are); a word has one size."""
    places, n_words = [(0, 0)] * len(sizes), 0
    for size in sorted(set(sizes)):
        columns, room = [i for i, own in enumerate(sizes) if own == size], WORD_BYTES // size
        for k, column in enumerate(columns):
            places[column] = n_words + k // room, k % room
        n_words += -(-len(columns) // room)
    return places, n_words


def pack(columns: Mapping[str, NDArray[Any]]) -> Packed:
    """Return the columns, of one to four bytes a value and all of one length, as words."""
    sizes = tuple(values.itemsize for values in columns.values())
    places, n_words = packed_places(sizes)
    members: list[list[NDArray[Any]]] = [[] for _ in range(n_words)]
    for values, (word, _) in zip(columns.values(), places, strict=True):
        members[word].append(readonly(values.view(f"u{values.itemsize}")))
    words = []
    for own in members:
        out = np.empty(len(own[0]), dtype=np.uint64)
        spare = WORD_BYTES // own[0].itemsize - len(own)  # what lies there is never read
        _zip((*own, *own[:1] * spare), out)
        words.append(readonly(out))
    return Packed(tuple(columns), sizes, tuple(words))


def repacked(packed: Packed, sizes: tuple[int, ...]) -> Packed:
    """Return the same with wider values, as signed integers."""
    columns = {}
    for name, size, own, (word, place) in zip(
        packed.names, sizes, packed.sizes, packed_places(packed.sizes)[0], strict=True
    ):
        values = packed.words[word].view(f"i{own}").reshape(-1, WORD_BYTES // own)[:, place]
        columns[name] = np.ascontiguousarray(values).astype(f"i{size}")
    return pack(columns)
