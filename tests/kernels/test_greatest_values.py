import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.accumulators import MISSING
from kernels.greatest_values import GreatestValues

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, sent


def naive_greatest(rows: list[Row], customer: int) -> int:
    kept = [r.code for r in rows if r.customer == customer and r.action >= rec.REFUND and r.code is not None]
    return max(kept, default=MISSING)


@given(ROWS, st.integers(0, 40))
def test_the_greatest_of_the_rows_that_are_kept(rows: list[Row], cut: int) -> None:
    rows = [row._replace(code=None if row.code is None else row.code % 5) for row in rows]  # codes are not below 0
    for column, dtype in (("code", np.int64), ("narrow_code", np.int32)):
        greatest = GreatestValues(column, np.dtype(dtype))
        sent(greatest, rows, cut)
        assert greatest.values(N_CUSTOMERS).tolist() == [naive_greatest(rows, c) for c in range(N_CUSTOMERS)]
