import math

from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.column_sums import ColumnSums

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
    sums, two = ColumnSums("value"), ColumnSums("twice", 2)
    sent(sums, rows, cut)
    sent(two, rows, cut)
    assert two.sums(N_CUSTOMERS, 0).tobytes() == sums.sums(N_CUSTOMERS).tobytes()
    found = sums.sums(N_CUSTOMERS).tolist()
    for customer in range(N_CUSTOMERS):
        wanted = naive_sum(rows, customer)
        assert found[customer] == wanted or (math.isnan(wanted) and math.isnan(found[customer]))
