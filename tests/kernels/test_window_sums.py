import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels._jit import readonly
from kernels.window_sums import WindowCounts, WindowSums

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, part_of, sent
from .aggregation_inputs import ints_of, words_of


def naive_sum(rows: list[Row], customer: int, lower: int, upper: int) -> int:
    kept = [r for r in rows if r.customer == customer and r.action in (rec.REFUND, rec.PURCHASE)]
    return sum(r.amount for r in kept if lower < r.tick <= upper)


WINDOWS = st.lists(st.tuples(st.integers(-6, 60), st.integers(0, 30)), min_size=1, max_size=3).map(
    lambda pairs: [(lower, lower + length) for lower, length in pairs]
)


@given(ROWS, st.integers(0, 40), WINDOWS, st.sampled_from(["float", "integer", "decimal"]))
def test_sums_are_those_of_each_window(rows: list[Row], cut: int, windows: list[tuple[int, int]], kind: str) -> None:
    sums = WindowSums(*windows, exact=kind != "float")
    sent(sums, rows, cut, kind)
    for place, window in enumerate(windows):
        found = sums.sums(N_CUSTOMERS, place)
        told = found.tolist() if kind == "float" else ints_of(np.ascontiguousarray(found))
        assert told == [naive_sum(rows, customer, *window) for customer in range(N_CUSTOMERS)]
    assert not sums.overflow


@given(st.lists(st.sampled_from([-0.0, 0.0, 0.1, 0.2, -0.3, 1e16, -1e16]), max_size=12))
def test_floats_are_added_in_the_order_of_their_rows(amounts: list[float]) -> None:
    rows = [
        Row(0, rec.REFUND if amount < 0 else rec.PURCHASE, j % 4, 0, None, None) for j, amount in enumerate(amounts)
    ]
    sums, wanted = WindowSums((-1, 3), (0, 1), (2, 9), exact=False), [0.0, 0.0, 0.0]
    values = np.full(2 * len(rows), 99.0)
    values[::2] = amounts
    part = part_of(rows, "float")
    sums.add(part._replace(batch=part.batch._replace(amounts=readonly(values))))
    for row, amount in zip(rows, amounts, strict=True):
        for place, ticks in enumerate([(0, 1, 2, 3), (1,), (3,)]):
            wanted[place] += amount if row.tick in ticks else 0.0
    found = [sums.sums(1, place)[0] for place in range(3)]
    assert np.array(found).tobytes() == np.array(wanted).tobytes()


@given(ROWS, st.integers(0, 40), WINDOWS)
def test_counts_are_of_purchases_in_each_window(rows: list[Row], cut: int, windows: list[tuple[int, int]]) -> None:
    counts = WindowCounts(*windows)
    sent(counts, rows, cut)
    for place, (lower, upper) in enumerate(windows):
        bought = [r.customer for r in rows if r.action == rec.PURCHASE and lower < r.tick <= upper]
        assert counts.counts(N_CUSTOMERS, place).tolist() == [bought.count(customer) for customer in range(N_CUSTOMERS)]


def test_a_sum_beyond_128_bits_is_told() -> None:
    sums = WindowSums((-1, 1), exact=True)
    part = part_of([Row(0, rec.PURCHASE, 0, 1, None, None)] * 2, "decimal")
    large = words_of([2**127 - 1] * 4)
    sums.add(part._replace(batch=part.batch._replace(amounts=np.ascontiguousarray(large))))
    assert sums.overflow
