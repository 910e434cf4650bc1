from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.accumulators import MISSING, NO_CODE, NO_FLAG, Accumulator, Beside, Part, is_missing, widened, with_room
from kernels.keys import FixedKeys
from kernels.rfm import Occasion, Plan, Refunds, RfmTable, Rows


def test_room_keeps_what_is_there_and_fills_the_rest() -> None:
    values = with_room(np.empty(0), 1, np.nan)
    assert np.isnan(values).all()
    values[0] = 3.0
    assert with_room(values, 1, 0.0) is values
    wide = with_room(values, len(values) + 1, 7.0)
    assert wide[0] == 3.0
    assert set(wide[len(values) :].tolist()) == {7.0}


def test_room_of_columns_side_by_side() -> None:
    values = with_room(np.ones((2, 12)), 1000, 0.0)
    assert values.shape[0] >= 1000
    assert values.sum() == 24.0


@pytest.mark.parametrize(
    ("values", "wide"),
    [
        (np.array([0, 1, NO_FLAG], dtype=np.uint8), [0.0, 1.0, np.nan]),
        *((np.array([5, 0, NO_CODE], dtype=kind), [5, 0, MISSING]) for kind in (np.int8, np.int16, np.int32)),
        (np.array([5, -1, MISSING]), [5, -1, MISSING]),
        (np.array([0.5, -np.inf, np.nan]), [0.5, -np.inf, np.nan]),
    ],
)
def test_narrow_columns_say_the_same_as_wide_ones(values: Any, wide: list[float]) -> None:
    assert repr(widened(values).tolist()) == repr(wide)
    for column in (values, widened(values)):
        assert is_missing(column).tolist() == [False, False, True]


class _Latest:
    """Keeps which rows of the whole were listed as latest, and when their customers had bought before their batch."""

    reads_latest = True
    nbytes = 0

    def __init__(self, found: list[int], ticks: dict[int, int]) -> None:
        self.found, self.ticks = found, ticks

    def needs_ticks(self, complete: Collection[str]) -> bool:
        return True

    def add(self, part: Part) -> None:
        rows = part.columns["row"][part.rows].tolist()
        self.ticks |= zip(rows, part.ticks_before[part.numbers].tolist(), strict=True)
        self.found += [rows[j] for j in part.latest]


@pytest.mark.parametrize("occasion", [Occasion.ROW, Occasion.TIME])
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(-1, 3)), max_size=30),
    cut=st.integers(0, 30),
    n_shards=st.integers(1, 2),
    drop=st.booleans(),
)
def test_rows_not_older_than_the_latest_purchase_before_are_listed(
    occasion: Occasion, rows: list[tuple[int, int, int]], cut: int, n_shards: int, drop: bool
) -> None:
    found: list[int] = []
    ticks_before: dict[int, int] = {}
    no_zone = np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    plan = Plan(occasion, Refunds.DROP if drop else Refunds.NET, 0, 8, 1, *no_zone, "float", True)

    def accumulators() -> Sequence[Accumulator]:
        return [_Latest(found, ticks_before)]

    table = RfmTable(plan, n_shards, accumulators=accumulators)
    for start, stop in ((0, cut), (cut, len(rows))):
        batch = np.array(rows[start:stop], dtype=np.int64).reshape(-1, 3)
        ids, ticks, amounts = (np.ascontiguousarray(column) for column in batch.T)
        beside = Beside({"row": np.arange(start, start + len(batch))})
        table.add(Rows(FixedKeys(ids.view(np.uint64)), ticks, amounts.astype(np.float64), beside=beside), start)
    wanted, last, last_before = [], dict.fromkeys(range(4), MISSING), dict.fromkeys(range(4), MISSING)
    for i, (customer, tick, amount) in enumerate(rows):
        if i == cut:
            last_before = dict(last)
        assert ticks_before.get(i, last_before[customer]) == last_before[customer]  # not all rows come
        if 0 < tick <= 8 and (amount >= 0 or not drop) and tick >= last[customer]:
            wanted.append(i)
            last[customer] = last[customer] if amount < 0 else tick
    assert sorted(found) == wanted
