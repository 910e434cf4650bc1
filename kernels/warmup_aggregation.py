"""Compile the aggregation kernels by using them: every kind of id, amount, occasion and keep mask, on a few rows."""

from itertools import product
from typing import Literal, get_args

import numpy as np

from kernels.day_counts import DayCounts
from kernels.keys import ByteKeys, FixedKeys, Keys, stable_hash
from kernels.money import Amounts
from kernels.recency import recency_days
from kernels.rfm import Occasion, Plan, Refunds, RfmTable, Rows, sums_fit, sums_to_float
from kernels.slots import FIRST_CAPACITY, grown, new_slots

AmountKind = Literal["float", "integer", "decimal"]
_N = 4


def _ids(fixed: bool) -> Keys:
    """Return the ids 0 … 3, as integers or as one byte each."""
    if fixed:
        return FixedKeys(np.arange(_N, dtype=np.uint64))
    return ByteKeys(np.arange(_N, dtype=np.uint8), np.arange(_N, dtype=np.int64), np.ones(_N, dtype=np.int32))


def _aggregate(kind: AmountKind, occasion: Occasion, fixed_ids: bool, fixed_orders: bool) -> None:
    """Send one batch through a table, export it, and merge it into another one of two shards."""
    limits = np.iinfo(np.int64)
    zone = np.zeros(1, dtype=np.int64), np.zeros(2, dtype=np.int64)
    plan = Plan(occasion, Refunds.NET, limits.min, limits.max, 1, *zone, kind, fixed_ids, fixed_orders)
    amounts: Amounts = np.ones(_N, dtype=np.float64)
    if kind != "float":
        amounts = np.ones(_N if kind == "integer" else (_N, 2), dtype=np.int64)
    amounts[0] *= -1  # a refund: the first one's row is looked for
    table, other = RfmTable(plan), RfmTable(plan, n_shards=2)
    ids, orders, ticks = _ids(fixed_ids), _ids(fixed_orders), np.arange(_N, dtype=np.int64)
    table.add(Rows(ids, ticks, amounts, orders), 0)
    other.add(Rows(ids, ticks + 1, amounts, orders, np.ones(_N, dtype=np.bool_)), _N)
    other.merge(table.export())
    other.finish()


def warm() -> None:
    """Compile every kernel that the aggregation uses."""
    for kind, fixed_ids in product(get_args(AmountKind), (True, False)):
        _aggregate(kind, Occasion.ROW, fixed_ids, True)
    for occasion, fixed_orders in product((Occasion.TIME, Occasion.DAY, Occasion.ORDER), (True, False)):
        _aggregate("float", occasion, True, fixed_orders)
        _aggregate("integer", occasion, True, fixed_orders)
    grown(new_slots(FIRST_CAPACITY))
    stable_hash(_ids(True))
    sums = np.zeros((1, 2), dtype=np.int64)
    sums_to_float(sums, 2)
    sums_fit(sums, "int64")
    recency_days(sums[:, 0].copy(), 0, 0, 1, False)
    days = DayCounts(1)
    days.add(np.zeros(_N, dtype=np.int64))
    days.percentile(50)
