import datetime as dt
import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.accumulators import MISSING
from kernels.purchase_days import CustomerDays, PurchaseDays, longest_gaps, months_bought, months_of

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, sent

EPOCH = dt.date(1970, 1, 1)


def naive_month(day: int) -> int:
    date = EPOCH + dt.timedelta(days=day)
    return date.year * 12 + date.month - 1


def naive_days(rows: list[Row], customer: int) -> list[int]:
    return sorted({r.tick for r in rows if r.customer == customer and r.action == rec.PURCHASE})


@given(ROWS, st.integers(0, 40), st.integers(1969 * 12 + 11, 1970 * 12 + 2))
def test_days_months_and_gaps(rows: list[Row], cut: int, last_month: int) -> None:
    bought = PurchaseDays()
    sent(bought, rows, cut)
    by_customer = bought.by_customer(N_CUSTOMERS)
    first, months = months_bought(by_customer, last_month)
    gaps = longest_gaps(by_customer).tolist()
    total = 0
    for customer in range(N_CUSTOMERS):
        days = naive_days(rows, customer)
        total += len(days)
        assert by_customer.days[by_customer.starts[customer] : by_customer.starts[customer + 1]].tolist() == days
        assert first[customer] == (naive_month(days[0]) if days else MISSING)
        assert months[customer] == len({naive_month(day) for day in days if naive_month(day) <= last_month})
        between = [float(b - a) for a, b in itertools.pairwise(days)]
        assert gaps[customer] == max(between, default=0.0) if between else math.isnan(gaps[customer])
    assert bought.n_pairs == total


@given(st.lists(st.integers(-700_000, 2_900_000)))
def test_months_are_those_of_the_calendar(days: list[int]) -> None:
    assert months_of(np.array(days, dtype=np.int64)).tolist() == [naive_month(day) for day in days]


def test_many_days_of_one_customer_are_sorted_too() -> None:
    rows = [Row(0, rec.PURCHASE, day, 1, None, None) for day in np.random.default_rng(0).permutation(200).tolist()]
    bought = PurchaseDays()
    sent(bought, rows, 77)
    assert bought.by_customer(1).days.tolist() == list(range(200))


def test_nobody() -> None:
    nobody = CustomerDays(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64))
    assert len(longest_gaps(nobody)) == len(months_bought(nobody, 0)[0]) == len(months_of(nobody.days)) == 0
