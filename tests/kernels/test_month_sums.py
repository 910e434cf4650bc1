import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.month_sums import MONTHS, MonthSums

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, sent

EPOCH = dt.date(1970, 1, 1)


def naive_sum(rows: list[Row], customer: int, month: int) -> int:
    kept = [r for r in rows if r.customer == customer and r.action in (rec.REFUND, rec.PURCHASE)]
    return sum(r.amount for r in kept if (EPOCH + dt.timedelta(days=r.tick)).month == month + 1)


@given(ROWS, st.integers(0, 40))
def test_sums_are_those_of_each_month_of_the_year(rows: list[Row], cut: int) -> None:
    sums = MonthSums()
    sent(sums, rows, cut)
    wanted = [[naive_sum(rows, customer, month) for month in range(MONTHS)] for customer in range(N_CUSTOMERS)]
    assert sums.sums(N_CUSTOMERS).tolist() == wanted
