import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.accumulators import MISSING
from kernels.last_values import LastValues

from .accumulator_rows import N_CUSTOMERS, NARROW, ROWS, Row, sent

KINDS = {"value": np.float64, "code": np.int64, "growing": np.int8, "flag": np.uint8, **NARROW}


def naive_last(rows: list[Row], customer: int, field: str, missing: Any) -> Any:
    """Sorting is stable: of equally late rows the last one wins."""
    kept = [r for r in rows if r.customer == customer and r.action in (rec.REFUND, rec.PURCHASE)]
    there = [(r.tick, getattr(r, field)) for r in kept if getattr(r, field) is not None]
    return sorted(there, key=lambda pair: pair[0])[-1][1] if there else missing


@given(ROWS, st.integers(0, 40), st.integers(0, 40), st.permutations(list(KINDS)), st.integers(1, len(KINDS)))
def test_the_latest_value_of_those_that_are_there(
    rows: list[Row], cut: int, n_complete: int, names: list[str], n_names: int
) -> None:
    # the first rows lack nothing, so that values are kept together for a while, or to the end
    filled = [row._replace(value=row.value or 0.5, code=row.code or 3) for row in rows[:n_complete]]
    rows = filled + rows[n_complete:]
    last = LastValues({name: np.dtype(KINDS[name]) for name in names[:n_names]})
    sent(last, rows, cut)
    for customer in range(N_CUSTOMERS):
        value = naive_last(rows, customer, "value", math.nan)
        code = naive_last(rows, customer, "code", MISSING)
        flag = value if math.isnan(value) else float(value > 0)
        wanted = dict.fromkeys(KINDS, code if code == MISSING else code % 5)
        wanted |= {"value": value, "flag": flag, "code": code}
        for place, name in enumerate(names[:n_names]):
            found = last.values(N_CUSTOMERS, place).tolist()[customer]
            assert repr(found) == repr(wanted[name])


def test_values_are_written_where_their_customers_are_listed() -> None:
    rows = [Row(customer, rec.PURCHASE, 0, 1, 0.5 + customer, None) for customer in range(3)]
    for names in (["value"], ["value", "code"]):  # together, and apart as codes are missing
        last = LastValues({name: np.dtype(KINDS[name]) for name in names})
        sent(last, rows, 2)
        out = np.full(4, 9.0)
        last.write(0, np.array([2, 0], dtype=np.int32), np.array([1, 3]), out)
        assert out.tolist() == [9.0, 2.5, 9.0, 0.5]


def test_columns_keep_their_ticks_when_one_becomes_wider() -> None:
    """Wider codes move to another word, and columns change their order with it."""
    rows = [
        Row(0, rec.PURCHASE, 10, 1, None, 1),
        Row(0, rec.PURCHASE, 5, 1, 0.5, None),
        Row(0, rec.PURCHASE, 7, 1, -1.5, 2),  # later than the value so far, and before the code
    ]
    last = LastValues({name: np.dtype(KINDS[name]) for name in ("growing", "flag")})
    sent(last, rows, 2)
    assert (last.values(1, 0).tolist(), last.values(1, 1).tolist()) == ([1], [0.0])


def test_codes_by_themselves_may_come_less_wide_again() -> None:
    rows = [Row(customer, rec.PURCHASE, tick, 1, 1.0, tick) for tick in range(3) for customer in range(4)]
    last = LastValues({"growing": np.dtype(np.int8)})
    sent(last, rows, 4)  # in one byte, in four, in two
    assert last.values(N_CUSTOMERS).tolist() == [2] * N_CUSTOMERS
