from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.distinct_values import DistinctValues

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, sent


def naive_pairs(rows: list[Row]) -> set[tuple[int, int]]:
    return {(r.customer, r.code) for r in rows if r.action == rec.PURCHASE and r.code is not None}


@given(ROWS, st.integers(0, 40))
def test_counts_are_of_distinct_values_of_purchases(rows: list[Row], cut: int) -> None:
    distinct = DistinctValues("code")
    sent(distinct, rows, cut)
    pairs = naive_pairs(rows)
    assert distinct.counts(N_CUSTOMERS).tolist() == [sum(c == i for c, _ in pairs) for i in range(N_CUSTOMERS)]
    assert distinct.n_pairs == len(pairs)


PURCHASE = (st.integers(0, 1), st.just(rec.PURCHASE), st.just(0), st.just(1), st.none(), st.integers(0, 14))
MANY = st.lists(st.builds(Row, *PURCHASE))


@given(MANY, st.integers(0, 40))
def test_more_than_are_kept_with_a_customer(rows: list[Row], cut: int) -> None:
    distinct = DistinctValues("code")
    sent(distinct, rows, cut)
    pairs = naive_pairs(rows)
    assert distinct.counts(2).tolist() == [sum(c == i for c, _ in pairs) for i in range(2)]
    assert distinct.n_pairs == len(pairs)
