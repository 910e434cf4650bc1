import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.accumulators import MISSING
from kernels.last_values import LastValues

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, sent


def naive_last(rows: list[Row], customer: int, field: str, missing: Any) -> Any:
    """Sorting is stable: of equally late rows the last one wins."""
    kept = [r for r in rows if r.customer == customer and r.action in (rec.REFUND, rec.PURCHASE)]
    there = [(r.tick, getattr(r, field)) for r in kept if getattr(r, field) is not None]
    return sorted(there, key=lambda pair: pair[0])[-1][1] if there else missing


@given(ROWS, st.integers(0, 40))
def test_the_latest_value_of_those_that_are_there(rows: list[Row], cut: int) -> None:
    numbers, codes, both = LastValues("value", [True]), LastValues("code", [False]), LastValues("both", [True, False])
    for values in (numbers, codes, both):
        sent(values, rows, cut)
    assert both.values(N_CUSTOMERS, 0).tobytes() == numbers.values(N_CUSTOMERS).tobytes()
    assert both.values(N_CUSTOMERS, 1).tolist() == codes.values(N_CUSTOMERS).tolist()
    for customer in range(N_CUSTOMERS):
        wanted = naive_last(rows, customer, "value", math.nan)
        found = numbers.values(N_CUSTOMERS).tolist()[customer]
        assert found == wanted or (math.isnan(wanted) and math.isnan(found))
        assert codes.values(N_CUSTOMERS).tolist()[customer] == naive_last(rows, customer, "code", MISSING)
