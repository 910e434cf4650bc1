from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels._jit import readonly
from kernels.accumulators import MISSING
from kernels.order_dates import OrderColumns, OrderDates

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, part_of

DAY = 3  # ticks
Dates = tuple[int | None, int | None]


def naive_counts(rows: list[Row], dates: list[Dates], as_of_day: int, by_id: bool) -> list[tuple[int, int]]:
    """(due, late) by customer."""
    orders: dict[tuple[int, int], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for row, (due, paid) in zip(rows, dates, strict=True):
        order = row.code if by_id else row.tick
        if row.action == rec.PURCHASE and due is not None and order is not None:
            orders[row.customer, order][0].append(due)
            orders[row.customer, order][1].extend([] if paid is None else [paid])
    found = [(0, 0)] * N_CUSTOMERS
    for (customer, _), (due_dates, paid_dates) in orders.items():
        due_day = max(due_dates) // DAY
        if due_day <= as_of_day:
            n, late = found[customer]
            found[customer] = n + 1, late + (not paid_dates or max(paid_dates) // DAY > due_day)
    return found


TIMES = st.none() | st.integers(-9, 9)


@pytest.mark.parametrize("by_id", [True, False])
@given(rows=ROWS, data=st.data(), cut=st.integers(0, 40), as_of_day=st.integers(-3, 3))
def test_late_orders_are_those_of_the_naive_twin(
    by_id: bool, rows: list[Row], data: st.DataObject, cut: int, as_of_day: int
) -> None:
    dates = data.draw(st.lists(st.tuples(TIMES, TIMES), min_size=len(rows), max_size=len(rows)))
    orders = OrderDates(OrderColumns("code" if by_id else None, "due", "paid"))
    for some, when in ((rows[:cut], dates[:cut]), (rows[cut:], dates[cut:])):
        part = part_of(some, "float")
        columns = dict(part.columns)
        for name, values in zip(("due", "paid"), zip(*when, strict=True) if when else ((), ()), strict=True):
            column = np.full(2 * len(some), 5, dtype=np.int64)
            column[::2] = [MISSING if value is None else value for value in values]
            columns[name] = readonly(column)
        orders.add(part._replace(columns=columns))
    due, late = orders.counts(N_CUSTOMERS, DAY, as_of_day)
    assert list(zip(due.tolist(), late.tolist(), strict=True)) == naive_counts(rows, dates, as_of_day, by_id)
    assert orders.nbytes > 0
