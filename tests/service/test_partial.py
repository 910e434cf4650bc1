"""Parts aggregated apart and merged through Arrow are as good as one stream."""

from __future__ import annotations

import itertools
import uuid
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from proto.errors import RequestError
from proto.limits import Limits
from proto.options import SegmentOptions, parse_options
from service.pipeline import Job
from service.threads import ThreadTeam

N = 600
DICTIONARY = pa.dictionary(pa.int16(), pa.utf8())
FIELDS = "customer_id,recency_days,frequency,monetary,tenure_days,first_at,last_at"


def shop(id_type: pa.DataType, amount_type: pa.DataType) -> pa.Table:
    """Customers, refunds, ties and rows outside the window, in every part."""
    random = np.random.default_rng(7)
    numbers = random.integers(0, 60, N)
    texts = [f"k{n}" if n % 2 else f"a longer name for {n}" for n in numbers]
    ids = [uuid.UUID(int=int(n)).bytes for n in numbers] if id_type == pa.binary(16) else texts
    orders = [f"o{n}" for n in random.integers(0, 200, N)]
    cents = random.integers(-500, 5_000, N)
    amounts = pa.array([Decimal(int(c)) / 100 for c in cents], pa.decimal128(12, 2))
    if amount_type == pa.int64():
        amounts = pa.array(cents)
    return pa.table(
        {
            "customer_id": pa.array(numbers if pa.types.is_integer(id_type) else ids, id_type),
            "timestamp": pa.array(random.integers(0, 400 * 86_400, N), pa.timestamp("s", "UTC")),
            "amount": amounts if amount_type == pa.int64() else amounts.cast(amount_type),
            "order_id": pa.array(orders, pa.dictionary(pa.int32(), pa.utf8())),
        }
    )


def job_of(table: pa.Table, first_row: int = 0, n_threads: int = 1, **options: str) -> Job:
    query = {"as_of": "1971-01-20", "window": "365d", "fields": FIELDS, "k": "3", **options}
    team = ThreadTeam(n_threads)
    job = Job(
        parse_options(SegmentOptions, query.items()),
        None,
        limits=Limits(),
        team=team,
        now_ns=0,
        first_row=first_row,
    )
    job.start(table.schema)
    return job


def rows(job: Job) -> pa.Table:
    outcome = job.finish()
    return pa.Table.from_batches(outcome.batches(), outcome.schema)


def through_the_wire(state: pa.RecordBatch) -> pa.RecordBatch:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, state.schema) as writer:
        writer.write_batch(state)
    return pa.ipc.open_stream(sink.getvalue()).read_next_batch()


def parts_of(table: pa.Table, **options: str) -> list[pa.RecordBatch]:
    states = []
    for start, stop in itertools.pairwise((0, 150, 151, 400, N)):
        part = job_of(table, first_row=start, **options)
        for batch in table.slice(start, stop - start).to_batches():
            part.add(batch)
        states.append(through_the_wire(part.partial()))
    return states


@pytest.mark.parametrize("occasion", ["order", "time", "day", "row"])
@pytest.mark.parametrize("id_type", [pa.int32(), pa.utf8(), pa.binary(16), DICTIONARY], ids=str)
@pytest.mark.parametrize("amount_type", [pa.int64(), pa.decimal128(12, 2), pa.float64()], ids=str)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_merged_in_any_order(occasion: str, id_type: pa.DataType, amount_type: pa.DataType, n_threads: int) -> None:
    table = shop(id_type, amount_type)
    whole = job_of(table, occasion=occasion)
    for batch in table.to_batches():
        whole.add(batch)
    merged = job_of(table, n_threads=n_threads, occasion=occasion)
    for place in (2, 0, 3, 1):
        merged.absorb(parts_of(table, occasion=occasion)[place])
    ours, wanted = rows(merged), rows(whole)
    for name in wanted.column_names:
        if name == "monetary" and amount_type == pa.float64():
            np.testing.assert_allclose(ours[name], wanted[name], rtol=1e-12, atol=1e-12)
        else:
            assert ours[name].equals(wanted[name]), name
    assert merged.rows_in == whole.rows_in == N


def test_a_part_can_be_absorbed_row_by_row() -> None:
    """Spark hands a customer's rows of the state to whichever worker it likes."""
    table = shop(pa.utf8(), pa.float64())
    state = parts_of(table, occasion="order")[0]
    whole, pieces = job_of(table, occasion="order"), job_of(table, occasion="order")
    whole.absorb(state)
    for i in reversed(range(state.num_rows)):
        pieces.absorb(state.slice(i, 1))
    assert rows(pieces).equals(rows(whole))


def test_an_empty_part_adds_nothing() -> None:
    table = shop(pa.int32(), pa.float64())
    merged = job_of(table)
    merged.absorb(through_the_wire(job_of(table).partial()))
    assert merged.rows_in == 0
    with pytest.raises(RequestError, match="no customer"):
        merged.finish()


def test_states_made_otherwise_are_refused() -> None:
    table = shop(pa.int32(), pa.float64())
    state = parts_of(table, occasion="row")[0]
    with pytest.raises(RequestError, match="occasion=row, this one with day"):
        job_of(table, occasion="day").absorb(state)
    with pytest.raises(RequestError, match="no partial state"):
        job_of(table).absorb(table.to_batches()[0])


def test_as_of_max_is_refused() -> None:
    table = shop(pa.int32(), pa.float64())
    query = parse_options(SegmentOptions, [("as_of", "max")])
    job = Job(query, None, limits=Limits(), team=ThreadTeam(1), now_ns=0)
    job.start(table.schema)
    with pytest.raises(RequestError, match="explicit as_of"):
        job.partial()
