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
    numbers, values = distinct.pairs()
    assert sorted(zip(numbers.tolist(), values.tolist(), strict=True)) == sorted(pairs)
    assert distinct.n_pairs == len(pairs)
