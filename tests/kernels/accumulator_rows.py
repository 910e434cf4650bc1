"""Rows of one shard for the accumulators, and how they come in batches."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from kernels import records as rec
from kernels._jit import readonly
from kernels.accumulators import NO_CODE, NO_FLAG, Accumulator, Part

from .aggregation_inputs import words_of

ACTIONS = (rec.SKIP, rec.OUTSIDE, rec.REFUND, rec.PURCHASE)
N_CUSTOMERS = 4


class Row(NamedTuple):
    """One row; value and code None: missing."""

    customer: int
    action: int
    tick: int
    amount: int
    value: float | None
    code: int | None


ROWS = st.lists(
    st.builds(
        Row,
        st.integers(0, N_CUSTOMERS - 1),
        st.sampled_from(ACTIONS),
        st.integers(-5, 60),
        st.integers(-3, 9),
        st.none() | st.sampled_from([0.0, -1.5, 0.1, 2.0**60]),
        st.none() | st.integers(-2, 2),
    ),
    max_size=40,
)


def latest_of(rows: Sequence[Row], last_ticks: dict[int, int]) -> Any:
    """The rows that are kept and not older than their customer's latest purchase before, whose ticks are last_ticks."""
    latest = []
    for j, row in enumerate(rows):
        if row.action in (rec.REFUND, rec.PURCHASE) and row.tick >= last_ticks.get(row.customer, row.tick):
            latest.append(j)
            if row.action == rec.PURCHASE:
                last_ticks[row.customer] = row.tick
    return readonly(np.array(latest, dtype=np.int32))


NARROW = {"narrow_code": np.int32, "half_code": np.int16, "byte_code": np.int8, "other_code": np.int8}


def part_of(
    rows: Sequence[Row], kind: str, last_ticks: dict[int, int] | None = None, growing: type[np.integer[Any]] = np.int8
) -> Part:
    """The rows as one batch, in which other shards have rows too: every second one; the type of one column."""
    n = 2 * len(rows)
    own = np.arange(0, n, 2, dtype=np.int32)

    def column(values: Sequence[Any], dtype: Any, other: Any) -> Any:
        array = np.full(n, other, dtype=dtype)
        array[own] = values
        return readonly(array)

    amounts = [row.amount for row in rows]
    if kind == "float":
        array = column(amounts, np.float64, 99.0)
    elif kind == "integer":
        array = readonly(column(amounts, np.int64, 99).reshape(n, 1))
    else:
        array = np.full((n, 2), 99, dtype=np.int64)
        array[own] = words_of(amounts)
        array = readonly(array)
    ticks = column([row.tick for row in rows], np.int64, 0)
    columns = {
        "value": column([np.nan if row.value is None else row.value for row in rows], np.float64, 7.0),
        "code": column([np.iinfo(np.int64).min if row.code is None else row.code for row in rows], np.int64, 7),
        "@day": ticks,
        "@amount": column(amounts, np.float64, 99.0),
    }
    batch = rec.Batch(column([row.action for row in rows], np.uint8, rec.PURCHASE), ticks, array)
    numbers = readonly(np.array([row.customer for row in rows], dtype=np.int32))
    n_customers = max((row.customer for row in rows), default=-1) + 1
    codes, values = [row.code for row in rows], [row.value for row in rows]
    narrow_codes = [NO_CODE if code is None else code % 5 for code in codes]
    for name, dtype in NARROW.items():
        columns[name] = column(narrow_codes, dtype, 7)
    columns["growing"] = column(narrow_codes, growing, 7)
    columns["flag"] = column([NO_FLAG if value is None else value > 0 for value in values], np.uint8, 1)
    kept = [row for row in rows if row.action in (rec.REFUND, rec.PURCHASE)]
    fields = dict.fromkeys(columns, "code") | {"value": "value", "flag": "value"}
    complete = frozenset(name for name, own in fields.items() if all(getattr(row, own) is not None for row in kept))
    last_ticks = {} if last_ticks is None else last_ticks
    ticks_before = np.array([last_ticks.get(i, np.iinfo(np.int64).min) for i in range(n_customers)], dtype=np.int64)
    latest = latest_of(rows, last_ticks)
    part = Part(readonly(own), numbers, n_customers, batch, columns, complete, latest=latest)
    return part._replace(ticks_before=ticks_before)


def sent(accumulator: Accumulator, rows: Sequence[Row], cut: int, kind: str = "float") -> None:
    """Sends the rows in three batches, of which one column becomes wider and less wide."""
    last_ticks: dict[int, int] = {}
    for i, piece in enumerate((rows[:cut], rows[cut : 2 * cut], rows[2 * cut :])):
        accumulator.add(part_of(piece, kind, last_ticks, (np.int8, np.int32, np.int16)[i]))
    assert accumulator.nbytes >= 0
