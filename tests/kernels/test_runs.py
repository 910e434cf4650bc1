"""Runs of rows: listed where they are worth it, and summed to the bits of rows that come alone."""

from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.keys import FixedKeys, WideKeys
from kernels.rfm import Occasion, Plan, Refunds, RfmTable
from kernels.runs import first_keys, run_starts

from .aggregation_inputs import I64, batch_of, bytes_of
from .naive_rfm import Row
from .test_rfm import check


def keys_of(ids: list[int], wide: bool) -> FixedKeys | WideKeys:
    bits = np.array(ids, dtype=np.uint64)
    return WideKeys(np.stack([bits // np.uint64(2), bits % np.uint64(2)], axis=1)) if wide else FixedKeys(bits)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), min_size=1, max_size=30), st.booleans())
@settings(deadline=None)
def test_runs_begin_where_the_id_changes(lengths: list[tuple[int, int]], wide: bool) -> None:
    ids = [customer for customer, n in lengths for _ in range(n)]
    starts = run_starts(keys_of(ids, wide)).tolist()
    sizes = [len(list(run)) for _, run in groupby(ids)]
    if 2 * len(sizes) > len(ids):
        assert starts == []
    else:
        assert starts == [0, *np.cumsum(sizes).tolist()]
        firsts: Any = first_keys(keys_of(ids, wide), np.array(starts, dtype=np.int32))
        assert firsts[0].tolist() == keys_of([customer for customer, _ in groupby(ids)], wide)[0].tolist()


AMOUNTS = {
    "float": [0.0, -0.0, 0.1, 0.2, 0.3, -0.1, 1e16, -5.5],
    "integer": [0, 1, -7, I64.max, I64.min],
    "decimal": [0, 1 << 64, -(10**30)],
}


@pytest.mark.parametrize("kind", list(AMOUNTS))
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_rows_in_runs_have_the_bits_of_rows_alone(kind: Any, data: st.DataObject) -> None:
    runs = data.draw(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), min_size=1, max_size=15))
    amount, tick = st.sampled_from(AMOUNTS[kind]), st.integers(-40, 40)
    there = data.draw(st.sampled_from([st.just(True), st.booleans()]))  # with rows left out, none is in a run
    rows = [
        Row(customer, data.draw(tick), data.draw(amount), 0, data.draw(there)) for customer, n in runs for _ in range(n)
    ]
    zone = np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    refunds = data.draw(st.sampled_from([Refunds.NET, Refunds.DROP]))
    lower, upper = data.draw(st.sampled_from([(I64.min, I64.max), (-10, 20)]))
    plan = Plan(Occasion.ROW, refunds, lower, upper, 10, *zone, kind, True)
    whole, alone = RfmTable(plan, 2, 5), RfmTable(plan, 1, 5)
    whole.add(batch_of(rows, kind), 0)
    for i in range(len(rows)):
        alone.add(batch_of(rows[i : i + 1], kind), i)
    check(whole, plan, rows)
    assert bytes_of(whole.finish()) == bytes_of(alone.finish())
