import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.column_sums import ColumnSums, where_not_zero

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, sent


def naive_sum(rows: list[Row], customer: int) -> float:
    there = [r.value for r in rows if r.customer == customer and r.action == rec.PURCHASE and r.value is not None]
    if not there:
        return math.nan
    total = there[0]
    for value in there[1:]:
        total += value
    return total


@given(ROWS, st.integers(0, 40))
def test_sums_are_those_of_the_purchases(rows: list[Row], cut: int) -> None:
    sums, amounts, three = ColumnSums("value"), ColumnSums("@amount"), ColumnSums("@amount", "value", "@amount")
    for one in (sums, amounts, three):
        sent(one, rows, cut)
    for place, alone in enumerate((amounts, sums, amounts)):
        assert three.sums(N_CUSTOMERS, place).tobytes() == alone.sums(N_CUSTOMERS).tobytes()
    found = sums.sums(N_CUSTOMERS).tolist()
    for customer in range(N_CUSTOMERS):
        wanted = naive_sum(rows, customer)
        assert found[customer] == wanted or (math.isnan(wanted) and math.isnan(found[customer]))


@given(st.lists(st.tuples(st.sampled_from([-1.5, 0.0, 7.0]), st.sampled_from([-0.0, 0.0, 0.5, -1.0, math.nan]))))
def test_values_of_chosen_rows(pairs: list[tuple[float, float]]) -> None:
    values, chosen = np.array(pairs, dtype=np.float64).reshape(-1, 2).T.copy()
    wanted = [math.nan if math.isnan(choice) else value if choice else 0.0 for value, choice in pairs]
    assert repr(where_not_zero(values, chosen).tolist()) == repr(wanted)
