"""One shard of a table: its customers' numbers and records, and their occasion pairs.

frequency = 1 for the first occasion + the pairs that were new to the set
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import readonly
from kernels.accumulators import Accumulator, Beside, Part
from kernels.customers import CustomerTable
from kernels.hashing import ByteKeys, EntryKeys, Keys, RowKeys
from kernels.keys import KeyTable
from kernels.pairs import PairSet
from kernels.purchase_sums import PurchaseSums
from kernels.record_sums import RecordSum

_FIRST_RECORDS = 128  # 8 KiB; a small request seldom has more customers
_NO_NUMBERS, _NO_TICKS = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)

_NOTHING = Beside()


class PairColumns(NamedTuple):
    """Pairs as plain arrays."""

    numbers: NDArray[np.int32]  # [p] customer number in the shard
    values: NDArray[np.int64]  # [p] occasion value, or order number
    orders: ByteKeys | None  # [p] the order ids behind the numbers, sharing bytes


class Shard:
    """All customers whose hash falls into one range."""

    def __init__(
        self,
        fixed_ids: bool,
        wide_ids: bool,
        with_pairs: bool,
        byte_orders: bool,
        seed: int,
        accumulators: Sequence[Accumulator] = (),
        shard: int = 0,
        n_shards: int = 1,
    ) -> None:
        # Accumulators need numbers that stay.
        counts_rows = (fixed_ids or wide_ids) and not with_pairs and not accumulators
        self.table: KeyTable | CustomerTable = KeyTable(fixed_ids)
        if counts_rows:
            self.table = CustomerTable(wide_ids, seed, shard, n_shards)
        self._records = rec.new_records(0 if counts_rows else _FIRST_RECORDS)
        self.accumulators = accumulators
        self._read_latest: list[Any] = [one for one in accumulators if getattr(one, "reads_latest", False)]
        self._record_sum = next((one for one in accumulators if isinstance(one, RecordSum)), None)
        self._purchase_sums = next((one for one in accumulators if isinstance(one, PurchaseSums)), None)
        self.pairs = PairSet(seed) if with_pairs else None
        self.orders = KeyTable(fixed=False) if byte_orders else None
        self.overflow = False

    @property
    def records(self) -> NDArray[np.void]:
        """The records by customer number, and some to spare."""
        return self.table.records if isinstance(self.table, CustomerTable) else self._records

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        parts = (self.table, self._records, self.pairs, self.orders, *self.accumulators)
        return sum(part.nbytes for part in parts if part is not None)

    @property
    def text_bytes(self) -> int:
        """Bytes of the distinct ids that are held as bytes, of customers and of orders."""
        return sum(part.text_bytes for part in (self.table, self.orders) if isinstance(part, KeyTable))

    def n_without_row(self) -> int:
        """Return the number of customers without a kept row."""
        return int(np.count_nonzero(self.records["first_row"][: self.table.n_keys] == rec.NEVER))

    def number(self, keys: Keys, hashes: NDArray[np.uint64], rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return int32[len(rows)], the customer numbers of the rows; new customers get an empty record."""
        assert isinstance(self.table, KeyTable)
        n_before = self.table.n_keys
        numbers = self.table.number(keys, hashes, rows)
        self._records = rec.with_room(self._records, n_before, self.table.n_keys)
        return readonly(numbers)

    def count(
        self,
        keys: RowKeys,
        hashes: NDArray[np.uint64],
        rows: NDArray[np.int32],
        batch: rec.Batch,
        first_row: int,
        beside: Beside = _NOTHING,
    ) -> None:
        """Enter the listed rows of a batch, and count every purchase as an occasion, where customers are numbered."""
        assert not isinstance(keys, EntryKeys)
        numbers = self.number(keys, hashes, rows)
        latest, ticks_before = self._room_for_latest(rows), self._ticks_before(beside)
        overflow, n_latest = rec.count_rows(
            self.records, rows, numbers, *batch, first_row, latest, self._spare(batch, beside)
        )
        self.overflow |= overflow
        self._accumulate(rows, numbers, batch, beside, latest[:n_latest], ticks_before)

    def merge(
        self, keys: Keys, hashes: NDArray[np.uint64], rows: NDArray[np.int32], columns: rec.Columns
    ) -> NDArray[np.int32]:
        """Merge the listed customers of another table; return their numbers where pairs need them, else none."""
        if isinstance(self.table, CustomerTable):
            self.overflow |= self.table.merge(keys, hashes, rows, columns)
            return _NO_NUMBERS
        numbers = self.number(keys, hashes, rows)
        self.overflow |= rec.merge_records(self.records, rows, numbers, *columns, self.pairs is None)
        return numbers

    def enter(
        self,
        keys: RowKeys,
        hashes: NDArray[np.uint64],
        rows: NDArray[np.int32],
        batch: rec.Batch,
        first_row: int,
        values: NDArray[np.int64],
        beside: Beside = _NOTHING,
    ) -> None:
        """Enter the listed rows of a batch, and count the occasion values[i] of purchase i where it is new."""
        assert not isinstance(keys, EntryKeys)
        numbers = self.number(keys, hashes, rows)
        pair_numbers, pair_values = np.empty(len(rows), dtype=np.int32), np.empty(len(rows), dtype=np.int64)
        entered = *batch, first_row, values, pair_numbers, pair_values
        latest, ticks_before = self._room_for_latest(rows), self._ticks_before(beside)
        n, overflow, n_latest = rec.enter_rows(
            self.records, rows, numbers, *entered, latest, self._spare(batch, beside)
        )
        self.overflow |= overflow
        self._add_pairs(pair_numbers[:n], pair_values[:n])
        self._accumulate(rows, numbers, batch, beside, latest[:n_latest], ticks_before)

    def _room_for_latest(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return int32[len(rows)] where an accumulator wants to know which rows are late, else int32[0]."""
        return np.empty(len(rows) if self._read_latest else 0, dtype=np.int32)

    def _ticks_before(self, beside: Beside) -> NDArray[np.int64]:
        """Return int64[n_customers], when each last bought, where an accumulator has to know that, else int64[0]."""
        if any(one.needs_ticks(beside.complete) for one in self._read_latest):
            return self.records["last_tick"][: self.table.n_keys].copy()
        return _NO_TICKS

    def _spare(self, batch: rec.Batch, beside: Beside) -> rec.Spare:
        """Return what the records add up beside the amounts of a batch that now enters them."""
        if self._purchase_sums is not None:
            self._purchase_sums.before(self._records, self.table.n_keys, batch)
        return rec.NO_SPARE if self._record_sum is None else self._record_sum.spare(batch, beside)

    def _accumulate(
        self,
        rows: NDArray[np.int32],
        numbers: NDArray[np.int32],
        batch: rec.Batch,
        beside: Beside,
        latest: NDArray[np.int32],
        ticks_before: NDArray[np.int64],
    ) -> None:
        """Let the accumulators take in rows whose customers have these numbers."""
        for one in (self._record_sum, self._purchase_sums):
            if one is not None:
                one.held_in(self._records)
        if self.accumulators:
            part = Part(rows, numbers, self.table.n_keys, batch, *beside, readonly(latest), ticks_before)
            for accumulator in self.accumulators:
                accumulator.add(part)

    def enter_values(self, rows: NDArray[np.int32], numbers: NDArray[np.int32], values: NDArray[np.int64]) -> None:
        """Count the occasion values[rows[j]] of customer numbers[j] where it is new."""
        pair_numbers, pair_values = np.empty(len(rows), dtype=np.int32), np.empty(len(rows), dtype=np.int64)
        n = rec.enter_values(self.records, readonly(rows), readonly(numbers), values, pair_numbers, pair_values)
        self._add_pairs(pair_numbers[:n], pair_values[:n])

    def order_values(
        self, orders: Keys, hashes: NDArray[np.uint64], rows: NDArray[np.int32], n: int
    ) -> NDArray[np.int64]:
        """Return int64[n], the numbers of the listed rows' order ids; the other rows' are without meaning."""
        assert self.orders is not None
        values = np.empty(n, dtype=np.int64)
        values[rows] = self.orders.number(orders, hashes, rows)
        return readonly(values)

    def _add_pairs(self, numbers: NDArray[np.int32], values: NDArray[np.int64]) -> None:
        """Count the pairs that the set does not hold yet."""
        assert self.pairs is not None
        if len(numbers):
            is_new = np.empty(len(numbers), dtype=np.uint8)
            self.pairs.add(numbers, values, is_new)
            rec.count_new(self.records, readonly(numbers), readonly(is_new))

    def pair_columns(self) -> PairColumns:
        """Return all pairs: the set's, and each customer's first one, which only its record knows."""
        if self.pairs is None:
            return PairColumns(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64), None)
        records = self.records[: self.table.n_keys]
        bought = np.flatnonzero(records["frequency"] > 0)
        numbers, values = self.pairs.export()
        numbers = np.concatenate([bought.astype(np.int32), numbers])
        values = np.concatenate([records["first_value"][bought], values])
        if self.orders is None:
            return PairColumns(numbers, values, None)
        ids = self.orders.keys()
        assert isinstance(ids, ByteKeys)
        return PairColumns(numbers, values, ByteKeys(ids.data, ids.starts[values], ids.lengths[values]))
