"""Rows become one record per customer, in one pass, for any number of batches, shards and threads.

    recency ← last purchase,  frequency ← distinct occasions,  monetary ← Σ amount

A batch is judged (what becomes of each row), hashed and parted into shards by hash, several batches at a time; then
each shard numbers its customers and updates their records. Every customer lives in one shard, so its rows keep their
order and its float sum has the same bits for any cut into batches and any number of shards.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import mask_bytes, readonly
from kernels._run import Run, run_serially
from kernels.accumulators import Accumulator, Beside
from kernels.customers import CustomerTable
from kernels.hashing import PROCESS_SEED, EntryKeys, RowKeys
from kernels.keys import ByteKeys, FixedKeys, Keys, WideKeys, concatenate_keys, hash_keys, n_keys
from kernels.listing import Arranged, Customers, arrange, list_all, list_arranged
from kernels.money import Amounts, sums_fit, sums_to_float
from kernels.parts import Arrays, Room, hash_and_list, hash_and_part, part_rows
from kernels.recency import NO_PURCHASE, local_days, recency_days, tenure_days
from kernels.runs import ROWS_ALONE, first_keys, run_starts
from kernels.shard import Shard

__all__ = [
    "RECORD",
    "Counts",
    "Customers",
    "Occasion",
    "Partial",
    "Plan",
    "Prepared",
    "Refunds",
    "RfmTable",
    "Rows",
    "recency_days",
    "sums_fit",
    "sums_to_float",
    "tenure_days",
]

RECORD = rec.RECORD
_NO_VALUES, _NO_HASHES = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)


class Occasion(IntEnum):
    """What frequency counts: purchase rows, or distinct times, local days or orders."""

    ROW = 0
    TIME = 1
    DAY = 2
    ORDER = 3


class Refunds(IntEnum):
    """What a row with amount < 0 does: lowers the sum, is left out, or makes the caller refuse (else as NET)."""

    NET = 0
    DROP = 1
    ERROR = 2


class Plan(NamedTuple):
    """What a table computes; ticks are int64 in a unit fixed for the table."""

    occasion: Occasion
    refunds: Refunds
    lower_tick: int  # rows at or before it are before the window; INT64_MIN: none
    upper_tick: int  # rows after it are after as_of; INT64_MAX: none
    ticks_per_day: int  # 1 for dates
    zone_transitions: NDArray[np.int64]  # [t] UTC ticks, ascending
    zone_offsets: NDArray[np.int64]  # [t + 1] ticks to add to UTC before the first transition, from it on, …
    amount_kind: Literal["float", "integer", "decimal"]
    fixed_ids: bool
    fixed_orders: bool | None = None
    wide_ids: bool = False  # WideKeys; then fixed_ids is False


class Rows(NamedTuple):
    """One batch."""

    customers: RowKeys  # [n]
    ticks: NDArray[np.int64]  # [n]
    amounts: Amounts  # [n] float or integer, [n, 2] decimal as (low, high) words
    orders: Keys | None = None  # [n], needed where the occasion is ORDER
    keep: NDArray[np.bool_] | None = None  # [n] False: the row does not exist (a dropped null)
    beside: Beside = Beside()  # of [n], for the accumulators


class Prepared(NamedTuple):
    """One batch, ready to be entered: what becomes of each row, and which shard it belongs to."""

    rows: Rows
    first_row: int  # global number of row 0
    batch: rec.Batch
    keys: RowKeys  # [n], or of each run
    starts: NDArray[np.int32]  # of runs, see runs.py; [0]: every row is one
    hashes: NDArray[np.uint64]  # [n], where customers are numbered apart from their records
    parts: list[NDArray[np.int32]]  # the rows of each shard then, in order; else
    listed: list[NDArray[np.uint64]]  # its rows or runs with half of their hashes, see parts.py
    room: Arrays  # that these are in
    tally: NDArray[np.int64]  # [8], see records.py
    values: NDArray[np.int64]  # [n] occasions, or
    orders: Keys | None  # [n] order ids of bytes
    order_hashes: NDArray[np.uint64] | None  # [n]


class Counts(NamedTuple):
    """What a table has seen. Rows outside the window count as early or late and as nothing else."""

    rows: int = 0
    rows_kept: int = 0  # rows that entered a record
    rows_after_as_of: int = 0
    rows_before_window: int = 0
    refund_rows: int = 0
    zero_amount_rows: int = 0
    first_refund_row: int = -1  # global row number
    max_tick: int = NO_PURCHASE  # of kept rows
    min_tick: int = rec.NEVER
    overflow: bool = False  # a sum left 128 bits

    def plus(self, other: "Counts") -> "Counts":
        """Return the counts of both."""
        refunds = [row for row in (self.first_refund_row, other.first_refund_row) if row >= 0]
        return Counts(
            rows=self.rows + other.rows,
            rows_kept=self.rows_kept + other.rows_kept,
            rows_after_as_of=self.rows_after_as_of + other.rows_after_as_of,
            rows_before_window=self.rows_before_window + other.rows_before_window,
            refund_rows=self.refund_rows + other.refund_rows,
            zero_amount_rows=self.zero_amount_rows + other.zero_amount_rows,
            first_refund_row=min(refunds, default=-1),
            max_tick=max(self.max_tick, other.max_tick),
            min_tick=min(self.min_tick, other.min_tick),
            overflow=self.overflow or other.overflow,
        )


class Partial(NamedTuple):
    """A table as plain arrays, to be merged into another one of the same plan, here or on another machine."""

    customers: Customers  # also those without a kept row: first_row INT64_MAX
    pair_customers: NDArray[np.int32]  # [p] place in customers; empty where the occasion is ROW
    pair_values: NDArray[np.int64]  # [p] tick, day or order id; empty where pair_orders is given
    pair_orders: Keys | None  # [p] order ids made of bytes
    counts: Counts


class RfmTable:
    """The records of all customers seen."""

    def __init__(
        self,
        plan: Plan,
        n_shards: int = 1,
        seed: int | None = None,
        accumulators: Callable[[], Sequence[Accumulator]] = tuple,
    ) -> None:
        # accumulators makes those of one shard; see accumulators.py
        if n_shards < 1:
            raise ValueError(f"n_shards: found {n_shards}, wanted at least 1")
        if plan.occasion == Occasion.ORDER and plan.fixed_orders is None:
            raise ValueError("fixed_orders: found None, wanted a bool; occasion ORDER needs the kind of its ids")
        if plan.lower_tick > plan.upper_tick:
            raise ValueError(f"lower_tick: found {plan.lower_tick}, wanted at most upper_tick, {plan.upper_tick}")
        self.plan = plan
        self.seed = PROCESS_SEED if seed is None else seed
        self._counts = Counts()
        self._byte_orders = plan.occasion == Occasion.ORDER and not plan.fixed_orders
        kinds = plan.fixed_ids, plan.wide_ids, plan.occasion != Occasion.ROW, self._byte_orders
        self._shards = [Shard(*kinds, self.seed, accumulators(), shard, n_shards) for shard in range(n_shards)]
        self._counts_rows = isinstance(self._shards[0].table, CustomerTable)
        self._room = Room(self._counts_rows)
        if plan.wide_ids and self._shards[0].accumulators:
            raise ValueError("wide_ids: found True, wanted False; accumulators need tables that number their customers")

    @property
    def counts(self) -> Counts:
        """What was counted so far."""
        return self._counts._replace(overflow=self._counts.overflow or any(shard.overflow for shard in self._shards))

    @property
    def n_customers(self) -> int:
        """Customers seen, with those that only have rows outside the window."""
        return sum(shard.table.n_keys for shard in self._shards)

    @property
    def n_pairs(self) -> int:
        """Customer × occasion pairs held beyond each customer's first: what the cap on memory is about."""
        held = sum(shard.pairs.n_pairs for shard in self._shards if shard.pairs is not None)
        return held + sum(getattr(own, "n_pairs", 0) for shard in self._shards for own in shard.accumulators)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(shard.nbytes for shard in self._shards)

    @property
    def text_bytes(self) -> int:
        """Bytes of the distinct ids that are held as bytes, of customers and of orders."""
        return sum(shard.text_bytes for shard in self._shards)

    @property
    def n_outside_window(self) -> int:
        """Customers whose rows all lie outside the window."""
        if self._counts.rows_after_as_of + self._counts.rows_before_window == 0:
            return 0
        return sum(shard.n_without_row() for shard in self._shards)

    def prepare(self, rows: Rows, first_row: int) -> Prepared:
        """Judge, hash and part a batch whose row 0 is row first_row of the whole.

        Changes nothing here: several threads may prepare several batches at the same time.
        """
        n = len(rows.ticks)
        amounts = self._check(rows, n)
        ticks = readonly(rows.ticks)
        window, drop = (int(self.plan.lower_tick), int(self.plan.upper_tick)), self.plan.refunds == Refunds.DROP
        actions, tally = rec.judge(ticks, amounts, mask_bytes(rows.keep), *window, drop)
        keep = actions != rec.SKIP if tally[rec.N_SKIPPED] else None
        room = self._room.take(n, len(self._shards))
        keys, starts, n_shards = rows.customers, ROWS_ALONE, len(self._shards)
        hashes, parts, listed = _NO_HASHES, list[NDArray[np.int32]](), list[NDArray[np.uint64]]()
        if self._counts_rows:
            if keep is None and isinstance(keys, FixedKeys | WideKeys):
                starts = run_starts(keys)
                keys = first_keys(keys, starts) if len(starts) else keys
            listed = hash_and_list(keys, self.seed, n_shards, keep, room)
        else:
            assert not isinstance(keys, EntryKeys)
            hashes, parts = hash_and_part(keys, self.seed, n_shards, keep, room)
        batch, shared = rec.Batch(actions, ticks, amounts), (keys, starts, hashes, parts, listed, room)
        return Prepared(rows, first_row, batch, *shared, tally, *self._occasions(rows))

    def entering(self, batches: Sequence[Prepared]) -> list[Callable[[], None]]:
        """Return thunks, one for each shard, that enter batches in the order of their rows, also at the same time.

        All of them are to be done before the next batches come. Others may be prepared meanwhile.
        """
        for batch in batches:
            self._count(batch)

        def work(number: int) -> None:
            for batch in batches:
                shard = self._shards[number]
                if isinstance(shard.table, CustomerTable):
                    ids = batch.keys, batch.listed[number]
                    shard.overflow |= shard.table.count(*ids, batch.batch, batch.first_row, batch.starts)
                elif len(batch.parts[number]):
                    self._enter(shard, batch, batch.parts[number])

        return [partial(work, number) for number in range(len(self._shards))] if batches else []

    def entered(self, batches: Sequence[Prepared]) -> None:
        """Use again what batches took that all shards have entered."""
        for batch in batches:
            self._room.give(batch.room)

    def add(self, rows: Rows, first_row: int, run: Run = run_serially) -> None:
        """Prepare and enter a batch whose row 0 is row first_row of the whole."""
        if len(rows.ticks):
            batches = [self.prepare(rows, first_row)]
            run(self.entering(batches))
            self.entered(batches)

    def _enter(self, shard: Shard, batch: Prepared, part: NDArray[np.int32]) -> None:
        """Enter a shard's part of a batch."""
        customers, hashes, actions = batch.keys, batch.hashes, batch.batch.actions
        if shard.pairs is None:
            shard.count(customers, hashes, part, batch.batch, batch.first_row, batch.rows.beside)
            return
        values = batch.values
        if batch.orders is not None and batch.order_hashes is not None:
            bought = part
            if batch.tally[rec.N_KEPT] < len(actions) or batch.tally[rec.N_REFUND]:
                bought = part[actions[part] == rec.PURCHASE]
            values = shard.order_values(batch.orders, batch.order_hashes, bought, len(actions))
        shard.enter(customers, hashes, part, batch.batch, batch.first_row, values, batch.rows.beside)

    def merge(self, other: Partial, run: Run = run_serially) -> None:
        """Enter another table's partial state: counts, dates and exact sums as if its rows had come here."""
        self._counts = self._counts.plus(other.counts)
        theirs = other.customers
        hashes, parts = hash_and_part(theirs.keys, self.seed, len(self._shards))
        pair_parts = part_rows(hashes[other.pair_customers], len(self._shards))
        order_hashes = None if other.pair_orders is None else readonly(hash_keys(other.pair_orders, self.seed))
        sums: Amounts = readonly(theirs.sums)  # type: ignore[assignment]
        dates = readonly(theirs.first_row), readonly(theirs.first_tick), readonly(theirs.last_tick)
        columns = rec.Columns(*dates, readonly(theirs.frequency), sums)
        pair_customers = other.pair_customers
        numbers = np.empty(n_keys(theirs.keys), dtype=np.int32)

        def work(shard: Shard, part: NDArray[np.int32], pairs: NDArray[np.int32]) -> None:
            own = shard.merge(theirs.keys, hashes, part, columns)
            if shard.pairs is None:
                return
            numbers[part] = own
            if other.pair_orders is not None and order_hashes is not None:
                values = shard.order_values(other.pair_orders, order_hashes, pairs, len(order_hashes))
                shard.enter_values(pairs, numbers[pair_customers[pairs]], values)
            elif len(pairs):
                shard.enter_values(pairs, numbers[pair_customers[pairs]], readonly(other.pair_values))

        run([partial(work, *shard) for shard in zip(self._shards, parts, pair_parts, strict=True)])

    def export(self) -> Partial:
        """Return the table as plain arrays."""
        columns = [shard.pair_columns() for shard in self._shards]
        shifts = np.cumsum([0] + [shard.table.n_keys for shard in self._shards])
        places = [pair.numbers + np.int32(shift) for pair, shift in zip(columns, shifts, strict=False)]
        return Partial(
            list_all(self._shards, self.plan.amount_kind == "float"),
            np.concatenate(places),
            _NO_VALUES if self._byte_orders else np.concatenate([pair.values for pair in columns]),
            concatenate_keys([pair.orders for pair in columns if pair.orders is not None])
            if self._byte_orders
            else None,
            self.counts,
        )

    def finish(self, run: Run = run_serially, identify: Callable[[Keys], Keys] | None = None) -> Customers:
        """Return the customers that have a kept row, in the order of their first one.

        identify turns keys into those whose values order customers with the same first row; None: the keys are such.
        """
        return self.finish_arranged(run, identify)[0]

    def finish_arranged(
        self, run: Run = run_serially, identify: Callable[[Keys], Keys] | None = None
    ) -> tuple[Customers, list[Arranged]]:
        """Do as finish, and tell for each shard which customer numbers are listed, and at which places."""
        self._room.clear()
        arranged = arrange(self._shards, run, identify)
        return list_arranged(self._shards, arranged, self.plan.amount_kind == "float", run), arranged

    @property
    def accumulators(self) -> list[Sequence[Accumulator]]:
        """The accumulators of each shard."""
        return [shard.accumulators for shard in self._shards]

    @property
    def n_numbers(self) -> list[int]:
        """How many customers each shard has numbered."""
        return [shard.table.n_keys for shard in self._shards]

    def _check(self, rows: Rows, n: int) -> Amounts:
        """Check a batch against the plan; return the amounts as the kernels take them."""
        kind, shape = self.plan.amount_kind, (n, 2) if self.plan.amount_kind == "decimal" else (n,)
        dtype = np.float64 if kind == "float" else np.int64
        if rows.amounts.shape != shape or rows.amounts.dtype != dtype:
            raise ValueError(
                f"amounts: found {rows.amounts.dtype}{rows.amounts.shape}, wanted {np.dtype(dtype)}{shape} for {kind}"
            )
        if n_keys(rows.customers) != n or (rows.keep is not None and len(rows.keep) != n):
            raise ValueError(f"rows: found columns of different lengths, wanted all of {n}, as ticks")
        if self.plan.occasion == Occasion.ORDER and (rows.orders is None or n_keys(rows.orders) != n):
            raise ValueError(f"orders: found none or another length, wanted {n} ids; occasion ORDER needs them")
        amounts: Amounts = rows.amounts.reshape(n, 1) if kind == "integer" else rows.amounts
        return readonly(amounts)  # type: ignore[return-value]

    def _count(self, batch: Prepared) -> None:
        """Add a batch's tally to the counts."""
        tally, plan, rows = batch.tally.tolist(), self.plan, batch.rows
        first = -1
        if tally[rec.N_REFUND] and not 0 <= self._counts.first_refund_row < batch.first_row:
            keep = mask_bytes(rows.keep)
            window = int(plan.lower_tick), int(plan.upper_tick)
            first = batch.first_row + rec.find_refund(batch.batch.ticks, batch.batch.amounts, keep, *window)
        latest, earliest = tally[rec.MAX_TICK], tally[rec.MIN_TICK]
        kept, late, early, refunds, zeros = tally[: rec.MAX_TICK]
        seen = Counts(len(rows.ticks), kept, late, early, refunds, zeros, first, latest, earliest)
        self._counts = self._counts.plus(seen)

    def _occasions(self, rows: Rows) -> tuple[NDArray[np.int64], Keys | None, NDArray[np.uint64] | None]:
        """Return (values int64[n], order ids, their hashes) of a batch's occasions: values or byte ids, not both."""
        occasion, plan = self.plan.occasion, self.plan
        if occasion == Occasion.ROW:
            return _NO_VALUES, None, None
        if occasion == Occasion.TIME:
            return readonly(rows.ticks), None, None
        if occasion == Occasion.DAY:
            zone = plan.zone_transitions, plan.zone_offsets
            return readonly(local_days(rows.ticks, plan.ticks_per_day, *zone)), None, None
        if isinstance(rows.orders, FixedKeys) and not self._byte_orders:
            return readonly(rows.orders.bits.view(np.int64)), None, None
        if isinstance(rows.orders, ByteKeys) and self._byte_orders:
            return _NO_VALUES, rows.orders, readonly(hash_keys(rows.orders, self.seed))
        raise TypeError(f"orders: found {type(rows.orders).__name__}, wanted the other kind; see Plan.fixed_orders")
