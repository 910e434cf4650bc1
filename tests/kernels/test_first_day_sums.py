from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.first_day_sums import FirstDaySums

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, sent


def naive_after(rows: list[Row], customer: int) -> float:
    bought = [r for r in rows if r.customer == customer and r.action == rec.PURCHASE]
    first = min((r.tick for r in bought), default=0)
    return float(sum(r.amount for r in bought if r.tick > first))


@given(ROWS, st.integers(0, 40))
def test_sums_are_those_of_the_days_after_the_first(rows: list[Row], cut: int) -> None:
    sums = FirstDaySums()
    sent(sums, rows, cut)
    assert sums.after(N_CUSTOMERS).tolist() == [naive_after(rows, customer) for customer in range(N_CUSTOMERS)]
