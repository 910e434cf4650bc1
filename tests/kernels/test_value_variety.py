from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.value_variety import ValueVariety

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, sent


def naive_variety(rows: list[Row], customer: int) -> int:
    bought = {r.code for r in rows if r.customer == customer and r.action == rec.PURCHASE and r.code is not None}
    return min(len(bought), 2)


@given(ROWS, st.integers(0, 40))
def test_one_value_or_several(rows: list[Row], cut: int) -> None:
    variety = ValueVariety("code")
    sent(variety, rows, cut)
    assert variety.varieties(N_CUSTOMERS).tolist() == [naive_variety(rows, c) for c in range(N_CUSTOMERS)]
