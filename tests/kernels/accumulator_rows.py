"""Rows of one shard for the accumulators, and how they come in batches."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from kernels import records as rec
from kernels._jit import readonly
from kernels.accumulators import Accumulator, Part

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


def part_of(rows: Sequence[Row], kind: str) -> Part:
    """The rows as one batch, in which other shards have rows too: every second one."""
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
    columns["both"] = readonly(np.stack([columns["value"].view(np.int64), columns["code"]]))
    columns["twice"] = readonly(np.stack([columns["value"], columns["@amount"]]))
    batch = rec.Batch(column([row.action for row in rows], np.uint8, rec.PURCHASE), ticks, array)
    numbers = readonly(np.array([row.customer for row in rows], dtype=np.int32))
    n_customers = max((row.customer for row in rows), default=-1) + 1
    return Part(readonly(own), numbers, n_customers, batch, columns)


def sent(accumulator: Accumulator, rows: Sequence[Row], cut: int, kind: str = "float") -> None:
    """Sends the rows in two batches."""
    for piece in (rows[:cut], rows[cut:]):
        accumulator.add(part_of(piece, kind))
    assert accumulator.nbytes >= 0
