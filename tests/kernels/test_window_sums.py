import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.window_sums import WindowCounts, WindowSums

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, part_of, sent
from .aggregation_inputs import ints_of, words_of


def naive_sum(rows: list[Row], customer: int, lower: int, upper: int) -> int:
    kept = [r for r in rows if r.customer == customer and r.action in (rec.REFUND, rec.PURCHASE)]
    return sum(r.amount for r in kept if lower < r.tick <= upper)


@given(
    ROWS, st.integers(0, 40), st.integers(-6, 60), st.integers(0, 30), st.sampled_from(["float", "integer", "decimal"])
)
def test_sums_are_those_of_the_window(rows: list[Row], cut: int, lower: int, length: int, kind: str) -> None:
    sums = WindowSums(lower, lower + length, exact=kind != "float")
    sent(sums, rows, cut, kind)
    found = sums.sums(N_CUSTOMERS)
    told = found.tolist() if kind == "float" else ints_of(found)
    assert told == [naive_sum(rows, customer, lower, lower + length) for customer in range(N_CUSTOMERS)]
    assert not sums.overflow


@given(ROWS, st.integers(0, 40), st.integers(-6, 60), st.integers(0, 30))
def test_counts_are_of_purchases_in_the_window(rows: list[Row], cut: int, lower: int, length: int) -> None:
    counts = WindowCounts(lower, lower + length)
    sent(counts, rows, cut)
    bought = [r.customer for r in rows if r.action == rec.PURCHASE and lower < r.tick <= lower + length]
    assert counts.counts(N_CUSTOMERS).tolist() == [bought.count(customer) for customer in range(N_CUSTOMERS)]


def test_a_sum_beyond_128_bits_is_told() -> None:
    sums = WindowSums(-1, 1, exact=True)
    part = part_of([Row(0, rec.PURCHASE, 0, 1, None, None)] * 2, "decimal")
    large = words_of([2**127 - 1] * 4)
    sums.add(part._replace(batch=part.batch._replace(amounts=np.ascontiguousarray(large))))
    assert sums.overflow
