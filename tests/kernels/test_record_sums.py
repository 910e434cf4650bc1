import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import records as rec
from kernels.accumulators import Beside
from kernels.column_sums import ColumnSums
from kernels.record_sums import RecordSum
from kernels.window_sums import WindowSums

from .accumulator_rows import N_CUSTOMERS, ROWS, Row, part_of, sent

NOBODY = np.zeros(0, dtype=np.int32)


def entered(own: RecordSum, rows: list[Row], cut: int, with_values: bool) -> None:
    """Enters the rows into records in two batches."""
    records = rec.new_records(N_CUSTOMERS)
    rec.clear_records(records, 0, N_CUSTOMERS)
    for part in (part_of(rows[:cut], "float"), part_of(rows[cut:], "float")):
        spare = own.spare(part.batch, Beside(part.columns, part.complete))
        if with_values:
            out = np.empty(len(part.rows), dtype=np.int32), np.empty(len(part.rows), dtype=np.int64)
            occasions = part.batch.ticks
            rec.enter_rows(records, part.rows, part.numbers, *part.batch, 0, occasions, *out, NOBODY.copy(), spare)
        else:
            rec.count_rows(records, part.rows, part.numbers, *part.batch, 0, NOBODY.copy(), spare)
        own.held_in(records)
        own.add(part)


def chosen(row: Row) -> Row:
    """The row with its amount as the value where the value is not 0."""
    return row._replace(value=float(row.amount) if row.value else row.value)


@pytest.mark.parametrize("with_values", [True, False])
@given(rows=ROWS, cut=st.integers(0, 40))
def test_sums_of_a_column_have_the_bits_of_those_beside_the_records(
    with_values: bool, rows: list[Row], cut: int
) -> None:
    for name, of_amounts in (("value", False), ("@amount", False), ("value", True)):
        own, beside = RecordSum(name, of_amounts=of_amounts), ColumnSums(name)
        entered(own, rows, cut, with_values)
        sent(beside, [chosen(row) for row in rows] if of_amounts else rows, cut)
        found, wanted = own.sums(N_CUSTOMERS), beside.sums(N_CUSTOMERS)
        np.testing.assert_array_equal(found, wanted)
        assert (np.signbit(found) == np.signbit(wanted))[~np.isnan(wanted)].all()


@pytest.mark.parametrize("with_values", [True, False])
@given(rows=ROWS, cut=st.integers(0, 40), lower=st.integers(-6, 60), length=st.integers(0, 30))
def test_sums_of_a_window_have_the_bits_of_those_beside_the_records(
    with_values: bool, rows: list[Row], cut: int, lower: int, length: int
) -> None:
    window = lower, lower + length
    own, beside = RecordSum(window=window), WindowSums(window, exact=False)
    entered(own, rows, cut, with_values)
    sent(beside, rows, cut)
    assert own.sums(N_CUSTOMERS).tobytes() == beside.sums(N_CUSTOMERS).tobytes()


def test_a_shard_without_rows_has_no_sums() -> None:
    assert len(RecordSum("value").sums(0)) == 0
