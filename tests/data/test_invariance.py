"""What must not matter: how the rows are cut, how many threads there are, their order, the currency's unit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.data.jobs import reply_bytes, rows, run

ALL_FIELDS = (
    "customer_id,recency_days,frequency,monetary,value_score,value_percentile,segment_id,segment,rfm_class,"
    "tenure_days,first_at,last_at,explain"
)


@pytest.mark.parametrize("occasion", ["row", "time", "day"])
def test_cuts_and_threads_change_no_byte(cdnow_sample: pa.Table, occasion: str) -> None:
    replies = {
        (max_rows, threads): reply_bytes(
            run(cdnow_sample, threads=threads, max_rows=max_rows, occasion=occasion, fields=ALL_FIELDS)
        )
        for max_rows in (1, 1_000, None)
        for threads in ((1, 2, 4) if occasion == "time" or max_rows != 1 else (2,))
    }
    assert len(set(replies.values())) == 1


def test_cuts_and_threads_change_no_byte_of_baskets(complete_journey: pa.Table) -> None:
    lines = complete_journey.slice(0, 200_000).combine_chunks()
    replies = {
        reply_bytes(run(lines, threads=threads, max_rows=max_rows, fields=ALL_FIELDS))
        for max_rows, threads in ((1_000, 1), (1_000, 4), (65_536, 2), (None, 1), (None, 2), (None, 4))
    }
    assert len(replies) == 1


def test_scoring_the_fitted_rows_gives_the_same_bits(cdnow: pa.Table) -> None:
    fitted = run(cdnow, threads=2)
    scored = run(cdnow, fitted.model, as_of="1998-06-30", threads=2)
    assert rows(scored).equals(rows(fitted))


def test_scoring_one_customer_at_a_time_gives_the_same_bits(cdnow: pa.Table) -> None:
    fitted = run(cdnow)
    expected = rows(fitted)
    ordered = cdnow.sort_by([("customer_id", "ascending")])
    ids = ordered["customer_id"].to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    stops = np.r_[starts[1:], len(ids)]
    place = {customer: i for i, customer in enumerate(expected["customer_id"].to_pylist())}
    chosen = np.random.default_rng(0).choice(len(starts), 1_000, replace=False)
    alone = [
        rows(run(ordered.slice(starts[i], stops[i] - starts[i]), fitted.model, as_of="1998-06-30")) for i in chosen
    ]
    among = expected.take([place[ids[starts[i]]] for i in chosen])
    assert pa.concat_tables(alone).combine_chunks().equals(among.combine_chunks())


def test_the_order_of_the_rows_moves_nobody(cdnow: pa.Table) -> None:
    before = rows(run(cdnow)).sort_by("customer_id")
    shuffled = cdnow.take(np.random.default_rng(1).permutation(cdnow.num_rows))
    after = rows(run(shuffled)).sort_by("customer_id")
    for exact in ("customer_id", "recency_days", "frequency"):
        assert before[exact].equals(after[exact])
    np.testing.assert_allclose(before["monetary"], after["monetary"], rtol=1e-12)
    same = pc.sum(pc.equal(before["segment_id"], after["segment_id"])).as_py()
    assert same >= 0.9999 * before.num_rows


@pytest.mark.parametrize("factor", [10_000, 0.01])
def test_the_unit_of_the_amounts_moves_nobody(cdnow: pa.Table, complete_journey: pa.Table, factor: float) -> None:
    for table in (cdnow, complete_journey):
        scaled = table.set_column(2, "amount", pc.multiply(table["amount"], factor))
        assert rows(run(scaled))["segment_id"].equals(rows(run(table))["segment_id"])


def test_duplicating_every_row_doubles_rows_and_money(cdnow: pa.Table) -> None:
    once = rows(run(cdnow, occasion="row"))
    twice = rows(run(pa.concat_tables([cdnow, cdnow]), occasion="row"))
    assert twice["recency_days"].equals(once["recency_days"])
    assert pc.multiply(once["frequency"], 2).equals(twice["frequency"])
    np.testing.assert_allclose(twice["monetary"], 2 * once["monetary"].to_numpy(), rtol=1e-12)


def test_the_summary_holds_together(cdnow: pa.Table) -> None:
    outcome = run(cdnow)
    segments = outcome.model.segments
    assert sum(s.size for s in segments) == outcome.model.fitted_on.customers == 23_570
    assert all(s.size for s in segments)
    values = [sum(s.centroid) for s in segments]
    assert values == sorted(values, reverse=True)
    for segment, value in zip(segments, values, strict=True):
        assert abs(segment.value_score - value) <= 0.01
    assert abs(sum(s.revenue_share or 0 for s in segments) - 1) < 1e-12
    assert len({s.code for s in segments}) == len(segments)
