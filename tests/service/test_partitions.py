"""Groups against each group's rows by themselves: the same bits, for any shop, cut and number of threads."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.bundle import dump_any, load_any
from proto.errors import ErrorCode, RequestError
from proto.options import OUTPUT_FIELDS
from service.partitions import PartitionedOutcome
from tests.service.shops import OPTIONS, run, shop, table_of

GROUPS = st.sampled_from(["north", "south", "", None])
AMOUNTS = st.sampled_from([-5, 0, 3, 3, 40])
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), AMOUNTS, GROUPS), max_size=30)
FIELDS = ",".join(OUTPUT_FIELDS)


def groups_by_hand(rows: list[Any], unit: str) -> dict[str | None, list[Any]]:
    """Each group's rows: those of its own, or of the customers whose last value it is."""
    if unit == "row":
        return {group: [row for row in rows if row[3] == group] for group in dict.fromkeys(row[3] for row in rows)}
    last: dict[int, str | None] = {}
    for customer, _, _, group in sorted(rows, key=lambda row: row[1]):
        last[customer] = group if group is not None else last.get(customer)
    return {group: [row for row in rows if last[row[0]] == group] for group in dict.fromkeys(last.values())}


@settings(max_examples=20)
@given(ROWS, st.sampled_from(["row", "customer"]), st.sampled_from(["", "pareto,quintile"]))
def test_each_group_is_as_if_it_had_come_alone(rows: list[Any], unit: str, schemes: str) -> None:
    options = {**OPTIONS, "fields": FIELDS, **({"schemes": schemes} if schemes else {})}
    by_hand = groups_by_hand(rows, unit)
    fitted = [group for group, own in by_hand.items() if group is not None and any(row[2] >= 0 for row in own)]
    if not fitted:
        with pytest.raises(RequestError, match="There is no group of region") as refused:
            run("segment", shop(rows), partition_by="region", unit=unit, **options)
        assert refused.value.code is ErrorCode.NO_CUSTOMERS
        return
    outcome = run("segment", shop(rows), partition_by="region", unit=unit, **options)
    assert isinstance(outcome, PartitionedOutcome)
    found, told = table_of(outcome), outcome.summary.partition
    assert told is not None
    assert set(outcome.model.models) == set(fitted)
    # Everyone is there once, in order of arrival
    units = dict.fromkeys((row[0], row[3]) if unit == "row" else row[0] for row in rows)
    assert found["customer_id"].to_pylist() == [one[0] if unit == "row" else one for one in units]
    for group, own in by_hand.items():
        mine = found.filter(pc.is_null(found["group"]) if group is None else pc.equal(found["group"], group))
        mine = mine.drop_columns("group")
        if group not in fitted:
            assert set(mine["segment_id"].to_pylist()) <= {-1}
            for name in ("value_score", "value_percentile", "segment", "rfm_class", "distance_own"):
                assert mine[name].null_count == mine.num_rows
            continue
        alone = run("segment", shop(own), **options)
        theirs = table_of(alone)
        assert mine.select(theirs.column_names).equals(theirs)
        summary = next(one for one in told.groups if one.group == group)
        assert summary.segments == alone.summary.segments
        assert summary.schemes == alone.summary.schemes
        assert summary.k == len(alone.model.segments)
        assert outcome.model.models[group].segments == alone.model.segments
        assert outcome.model.models[group].schemes == alone.model.schemes
    assert told.customers_without_group == sum(group is None for group in found["group"].to_pylist())
    # Scoring with the bundle gives the same, for all and for one alone
    loaded = load_any(dump_any(outcome.model))
    score = {name: value for name, value in options.items() if name in ("as_of", "fields", "schemes")}
    assert table_of(run("score", shop(rows), loaded, **score)).equals(found)
    lone = [row for row in rows if row[0] == rows[0][0]]
    theirs = table_of(run("score", shop(lone), loaded, **score))
    assert theirs.equals(found.filter(pc.equal(found["customer_id"], rows[0][0])))
