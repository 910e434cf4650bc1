"""Texts as numbers: for those that do not fit into two words, and for the entries of dictionaries.

    number = n_shards · (texts of the shard that came before) + shard

Every shard is a table of its own with a lock of its own, so that threads get into each other's way little.
"""

import secrets
import threading

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, readonly
from kernels.hashing import ByteKeys
from kernels.keys import KeyTable, concatenate_keys
from kernels.parts import hash_and_part


@kernel
def _write_numbers(
    rows: NDArray[np.int32], places: NDArray[np.int32], n_shards: int, shard: int, out: NDArray[np.int32]
) -> None:
    """Write the numbers of a shard's rows, whose texts have these places in it."""
    for j in range(len(rows)):
        out[np.uint64(rows[j])] = places[j] * n_shards + shard


class Interner:
    """The distinct texts that have a number."""

    def __init__(self, n_shards: int = 1, seed: int | None = None) -> None:
        self._seed = secrets.randbits(64) if seed is None else seed
        self._tables = [KeyTable(fixed=False) for _ in range(n_shards)]
        self._locks = [threading.Lock() for _ in range(n_shards)]

    @property
    def text_bytes(self) -> int:
        """The bytes of the distinct texts."""
        return sum(table.text_bytes for table in self._tables)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(table.nbytes for table in self._tables)

    def number(self, texts: ByteKeys) -> NDArray[np.int32]:
        """Return int32[n], the number of each text; a new text gets a new one. In any thread."""
        n_shards = len(self._tables)
        out = np.empty(len(texts.starts), dtype=np.int32)
        hashes, parts = hash_and_part(texts, self._seed, n_shards)
        pending = [shard for shard in range(n_shards) if len(parts[shard])]
        while pending:
            shard = next((shard for shard in pending if self._locks[shard].acquire(blocking=False)), -1)
            if shard < 0:  # other threads are at work on all that is left
                shard = pending[0]
                self._locks[shard].acquire()
            try:
                places = self._tables[shard].number(texts, hashes, parts[shard])
            finally:
                self._locks[shard].release()
            _write_numbers(parts[shard], readonly(places), n_shards, shard, out)
            pending.remove(shard)
        return out

    def texts(self) -> ByteKeys:
        """Return the texts by number, as long as no other comes; numbers that no text has are empty."""
        n_shards = len(self._tables)
        texts = concatenate_keys([table.places() for table in self._tables])
        assert isinstance(texts, ByteKeys)
        if n_shards == 1:
            return texts
        n = n_shards * max(table.n_keys for table in self._tables)
        starts, lengths, first = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int32), 0
        for shard, table in enumerate(self._tables):
            stop = first + table.n_keys
            starts[shard::n_shards][: table.n_keys] = texts.starts[first:stop]
            lengths[shard::n_shards][: table.n_keys] = texts.lengths[first:stop]
            first = stop
        return ByteKeys(texts.data, starts, lengths)
