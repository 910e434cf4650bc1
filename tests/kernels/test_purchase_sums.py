from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.column_sums import ColumnSums
from kernels.purchase_sums import PurchaseSums

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, part_of, sent


@given(ROWS, st.lists(st.integers(0, 40), max_size=3), st.booleans())
def test_sums_are_those_of_purchases_from_the_first_refund_on_too(
    rows: list[Row], cuts: list[int], with_refunds: bool
) -> None:
    rows = [row for row in rows if with_refunds or row.action != rec.REFUND]
    records = rec.new_records(N_CUSTOMERS)
    rec.clear_records(records, 0, N_CUSTOMERS)
    own, beside, starts = PurchaseSums(), ColumnSums("@amount"), [0, *sorted(cuts), len(rows)]
    for start, stop in pairwise(starts):
        part = part_of(rows[start:stop], "float")
        own.before(records, N_CUSTOMERS, part.batch)
        rec.count_rows(records, part.rows, part.numbers, *part.batch, 0, np.zeros(0, dtype=np.int32), rec.NO_SPARE)
        own.held_in(records)
        own.add(part)
    sent(beside, rows, 0)
    np.testing.assert_array_equal(own.sums(N_CUSTOMERS), beside.sums(N_CUSTOMERS))
    assert (own.nbytes > 0) == (rec.REFUND in [row.action for row in rows])


def test_a_shard_without_rows_has_no_sums() -> None:
    assert len(PurchaseSums().sums(0)) == 0
