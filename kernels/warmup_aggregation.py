"""Compile the aggregation kernels by using them: every kind of id, amount, occasion and keep mask, on a few rows."""

from itertools import product
from typing import Literal, get_args

import numpy as np

from kernels import records as rec
from kernels._jit import readonly
from kernels.customers import CustomerTable
from kernels.day_counts import DayCounts
from kernels.dictionaries import Entries, look_up
from kernels.hashing import EntryKeys
from kernels.interning import Interner
from kernels.keys import ByteKeys, FixedKeys, Keys, WideKeys, stable_hash
from kernels.money import Amounts
from kernels.overview import overview
from kernels.parts import Room, hash_and_list
from kernels.recency import recency_days
from kernels.rfm import Occasion, Plan, Refunds, RfmTable, Rows, sums_fit, sums_to_float
from kernels.runs import run_starts
from kernels.slots import FIRST_CAPACITY, grown, new_slots
from kernels.texts import unpack_texts

AmountKind = Literal["float", "integer", "decimal"]
KeyKind = Literal["fixed", "wide", "bytes"]
_N = 4


def _ids(kind: KeyKind) -> Keys:
    """Return the ids 0 … 3, as integers, as 16 bytes or as one byte each."""
    if kind == "fixed":
        return FixedKeys(np.arange(_N, dtype=np.uint64))
    if kind == "wide":
        return WideKeys(np.arange(2 * _N, dtype=np.uint64).reshape(_N, 2))
    return ByteKeys(np.arange(_N, dtype=np.uint8), np.arange(_N, dtype=np.int64), np.ones(_N, dtype=np.int32))


def _aggregate(kind: AmountKind, occasion: Occasion, id_kind: KeyKind, fixed_orders: bool) -> None:
    """Send one batch through a table, export it, and merge it into another one of two shards."""
    limits = np.iinfo(np.int64)
    zone = np.zeros(1, dtype=np.int64), np.zeros(2, dtype=np.int64)
    window, ids_of = (limits.min, limits.max), (id_kind == "fixed", fixed_orders, id_kind == "wide")
    plan = Plan(occasion, Refunds.NET, *window, 1, *zone, kind, *ids_of)
    amounts: Amounts = np.ones(_N, dtype=np.float64)
    if kind != "float":
        amounts = np.ones(_N if kind == "integer" else (_N, 2), dtype=np.int64)
    amounts[0] *= -1  # a refund: the first one's row is looked for
    table, other = RfmTable(plan), RfmTable(plan, n_shards=2)
    ids, orders = _ids(id_kind), _ids("fixed" if fixed_orders else "bytes")
    ticks = np.arange(_N, dtype=np.int64)
    table.add(Rows(ids, ticks, amounts, orders), 0)
    other.add(Rows(ids, ticks + 1, amounts, orders, np.ones(_N, dtype=np.bool_)), _N)
    other.merge(table.export())
    other.finish()


def _grow() -> None:
    """Send more customers to a table than it has room for at first."""
    n, keys = 200, FixedKeys(np.arange(200, dtype=np.uint64))
    bought, ticks, amounts = np.full(n, rec.PURCHASE, dtype=np.uint8), np.zeros(n, dtype=np.int64), np.zeros(n)
    batch = rec.Batch(readonly(bought), readonly(ticks), readonly(amounts))
    CustomerTable(False, 0).count(keys, hash_and_list(keys, 0, 1, None, Room(True).take(n, 1))[0], batch, 0)


def _warm_texts() -> None:
    """Pack, number and look up texts, with offsets and indices of both kinds, and take them back."""
    interner, data = Interner(), np.arange(40, dtype=np.uint8)
    offsets, indices = np.array([0, 1, 40]), np.array([0, 1])
    for wide, place, index in product((True, False), (np.int32, np.int64), (np.int32, np.int64)):
        entries = Entries(data, offsets.astype(place), interner, wide)
        keys = entries.keys_of(indices.astype(index))
        if isinstance(keys, EntryKeys):
            unpack_texts(WideKeys(keys.words[keys.entries]), interner.texts())
        else:
            entries.numbers_of(indices.astype(index))
            for greatest in (0, 1_000, 100_000):
                look_up(np.array([0, greatest], dtype=np.int32), indices.astype(index))


def _enter_entries(kind: AmountKind) -> None:
    """Send rows of a dictionary's entries through a table."""
    limits, zone = np.iinfo(np.int64), (np.zeros(1, dtype=np.int64), np.zeros(2, dtype=np.int64))
    table = RfmTable(Plan(Occasion.ROW, Refunds.NET, limits.min, limits.max, 1, *zone, kind, False, None, True))
    entries = Entries(np.arange(8, dtype=np.uint8), np.array([0, 1, 8]), Interner(), True)
    amounts: Amounts = np.ones(_N, dtype=np.float64)
    if kind != "float":
        amounts = np.ones(_N if kind == "integer" else (_N, 2), dtype=np.int64)
    keys = entries.keys_of(np.arange(_N, dtype=np.int32) % 2)
    table.add(Rows(keys, np.arange(_N, dtype=np.int64), amounts), 0)
    hash_and_list(keys, 0, 2, None, Room(True).take(_N, 2))


def warm() -> None:
    """Compile every kernel that the aggregation uses."""
    _warm_texts()
    for kind, id_kind in product(get_args(AmountKind), get_args(KeyKind)):
        _aggregate(kind, Occasion.ROW, id_kind, True)
    for kind in get_args(AmountKind):
        _enter_entries(kind)
    for keys in (FixedKeys(np.zeros(_N, dtype=np.uint64)), WideKeys(np.zeros((_N, 2), dtype=np.uint64))):
        run_starts(keys)
    for occasion, fixed_orders in product((Occasion.TIME, Occasion.DAY, Occasion.ORDER), (True, False)):
        _aggregate("float", occasion, "fixed", fixed_orders)
        _aggregate("integer", occasion, "fixed", fixed_orders)
    grown(new_slots(FIRST_CAPACITY))
    _grow()
    for id_kind in get_args(KeyKind):
        stable_hash(_ids(id_kind))
    sums = np.zeros((1, 2), dtype=np.int64)
    sums_to_float(sums, 2)
    sums_fit(sums, "int64")
    recency_days(sums[:, 0].copy(), 0, 0, 1, False)
    overview(sums[:, 0].copy(), np.zeros(1), sums[:, 1].copy())
    days = DayCounts(1)
    days.add(np.zeros(_N, dtype=np.int64))
    days.percentile(50)
