"""Customers counted by rows: their records in the order they came, and a small table that finds them.

A group (see groups.py) is one line: a byte of the hash and the number of each of its twelve customers. A row touches
two lines that are far away: its group, which is fetched ahead and often in L2 (6 bytes a customer), and its record,
which holds its id too. Growing fills new groups and moves no record: numbers stay, and listing reads records as they
lie. With tags beside the records themselves a row took 3 to 7 ns less, and a customer 60 more.
"""

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import readonly
from kernels.customer_entries import Entered, code_bits, count_entries
from kernels.customer_rows import BLOCK_RUNS, count_rows, find_numbers
from kernels.groups import GROUP_BYTES, fill, larger, new_groups, room
from kernels.hashing import EntryKeys, FixedKeys, Keys, RowKeys, WideKeys, seed_words
from kernels.pages import reserve
from kernels.runs import ROWS_ALONE

_FIRST_GROUPS = 13  # 130 customers, 8 KiB of records; a small request seldom has more
_MAPPED = 1 << 15  # customers; from here on records have room to grow into


class CustomerTable:
    """The customers of one shard and their records, for ids of 8 bytes, or of 16 (wide)."""

    def __init__(self, wide: bool, seed: int, shard: int = 0, n_shards: int = 1) -> None:
        self.wide = wide
        self._place = shard, code_bits(n_shards)
        self.n_keys = 0
        self._seed = seed
        self._set_groups(_FIRST_GROUPS)
        self.records = rec.new_records(room(self._tags))  # as many as the groups have room for
        self._room = self.records.view(np.uint8)
        self._hints = np.empty(BLOCK_RUNS, dtype=np.uint32)

    @property
    def nbytes(self) -> int:
        """The bytes this table holds; records that nobody has are not written to."""
        return self._tags.nbytes + self.n_keys * rec.RECORD.itemsize

    def count(
        self,
        keys: RowKeys,
        listed: NDArray[np.uint64],
        batch: rec.Batch,
        first_row: int,
        starts: NDArray[np.int32] = ROWS_ALONE,
    ) -> bool:
        """Enter the listed runs, counting every purchase as an occasion; tell whether a sum left 128 bits.

        keys [n] are the runs' (see runs.py), listed those of hash_and_list under the table's seed; starts int32[0]:
        every row is a run, as with EntryKeys.
        """
        listed, overflow, done = readonly(listed), False, 0
        while True:
            table = (self._tags, self._numbers, self.records, self.n_keys)
            if isinstance(keys, EntryKeys) and self.wide:
                rows = Entered(readonly(keys.words), keys.entries, keys.codes, keys.known, *self._place)
                done, self.n_keys, over = count_entries(*table, rows, listed, done, batch, first_row)
            else:
                runs = self._words(keys), readonly(starts), listed
                done, self.n_keys, over = count_rows(*table, *runs, done, batch, first_row, self._hints)
            overflow |= over
            if done == len(listed):
                return overflow
            self._grow()

    def merge(self, keys: Keys, hashes: NDArray[np.uint64], rows: NDArray[np.int32], columns: rec.Columns) -> bool:
        """Merge the listed customers of another table; tell whether a sum left 128 bits."""
        words, hashes, rows, overflow, done = self._words(keys), readonly(hashes), readonly(rows), False, 0
        numbers = np.empty(len(rows), dtype=np.int32)
        while True:
            start, table = done, (self._tags, self._numbers, self.records)
            done, self.n_keys = find_numbers(*table, self.n_keys, words, hashes, rows, done, numbers)
            overflow |= rec.merge_records(self.records, rows[start:done], readonly(numbers[start:done]), *columns, True)
            if done == len(rows):
                return overflow
            self._grow()

    def keys_of(self, numbers: NDArray[np.int32]) -> Keys:
        """Return the ids of the customers with these numbers."""
        low = self.records["last_value"][numbers].view(np.uint64)
        if not self.wide:
            return FixedKeys(low)
        return WideKeys(np.stack([low, self.records["first_value"][numbers].view(np.uint64)], axis=1))

    def _words(self, keys: RowKeys) -> NDArray[np.uint64]:
        """Return the ids as the kernels take them."""
        if not isinstance(keys, WideKeys if self.wide else FixedKeys):
            wanted = "WideKeys" if self.wide else "FixedKeys"
            raise TypeError(f"keys: found {type(keys).__name__}, wanted {wanted}; one table holds one kind of key")
        return readonly(keys[0])

    def _grow(self) -> None:
        """Make room for more customers."""
        self._set_groups(larger(len(self._tags) // int(GROUP_BYTES)))
        self._resize(room(self._tags))
        fill(self._tags, self._numbers, self.records, self.n_keys, self.wide, *seed_words(self._seed))

    def _set_groups(self, n: int) -> None:
        """Have n groups, all empty."""
        self._tags = new_groups(n)
        self._numbers = self._tags.view(np.uint32)

    def _resize(self, n: int) -> None:
        """Make room for n records, the first as they were; those of many grow in their place."""
        size = n * rec.RECORD.itemsize
        if size > len(self._room):
            larger_room = reserve(size) if n >= _MAPPED else rec.new_records(n).view(np.uint8)
            held = self.n_keys * rec.RECORD.itemsize
            # as bytes: numpy copies structured arrays field by field, ten times slower
            larger_room[:held] = self.records.view(np.uint8)[:held]
            self._room = larger_room
        self.records = self._room[:size].view(rec.RECORD)
