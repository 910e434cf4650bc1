"""Members and households against a loop over rows, for any cut into batches, with a column and with a mapping."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.model import Model, seal
from proto.options import FitOptions, ScoreOptions, SegmentOptions, parse_options
from service.mapping import MemberMapping
from service.outcome import Outcome
from service.pipeline import Job
from service.threads import ThreadTeam
from tests.data.jobs import NOW_NS, reply_bytes, rows, run

DAY = 86_400
AS_OF = "1970-01-09"  # inclusive: ticks up to day 8


class Row(NamedTuple):
    """One row; `home` is what its household column says."""

    member: str
    home: int | None
    day: int
    amount: int
    category: str | None


MEMBERS = "abcde"
ROWS = st.lists(
    st.builds(
        Row,
        st.sampled_from(MEMBERS),
        st.none() | st.integers(0, 2),
        st.integers(0, 10),
        st.integers(-4, 9),
        st.none() | st.sampled_from(["food", "toys"]),
    ),
    max_size=14,
)


def table_of(data: Sequence[Row], *, with_homes: bool = True) -> pa.Table:
    columns = {
        "customer_id": pa.array([row.member for row in data], pa.utf8()),
        "timestamp": pa.array([row.day * DAY for row in data], pa.int64()).cast(pa.timestamp("s")),
        "amount": pa.array([row.amount for row in data], pa.int64()),
        "category": pa.array([row.category for row in data], pa.utf8()),
    }
    if with_homes:
        columns["household_id"] = pa.array([row.home for row in data], pa.int32())
    return pa.table(columns)


def settled(data: Sequence[Row]) -> list[Row]:
    """The rows with each member's first household in all of its rows that have one."""
    first: dict[str, int] = {}
    for row in data:
        if row.home is not None:
            first.setdefault(row.member, row.home)
    return [row if row.home is None else row._replace(home=first[row.member]) for row in data]


@functools.cache
def models(refunds: str, window: str | None) -> tuple[Model, Model]:
    """A model of customers, and the same that says it was fitted on households."""
    data = [Row(str(i), None, i % 9, 1 + i * i, None) for i in range(30)]
    more = {} if window is None else {"window": window}
    table = table_of(data, with_homes=False)
    model = run(table, k=3, as_of=AS_OF, refunds=refunds, log="none", **more).model
    assert model.aggregation is not None
    rolled = model.aggregation.model_copy(update={"rollup": "household_id"})
    return model, seal(model.model_copy(update={"aggregation": rolled}))


def naive(data: Sequence[Row], refunds: str, window: int | None) -> list[dict[str, Any]]:
    """The members' side, row by row."""
    lower = -1 if window is None else 8 - window
    data = [row for row in data if row.day <= 8 and (row.day > lower or window is None)]
    homes = {row.member: row.home for row in data if row.home is not None}
    if refunds == "drop":
        data = [row for row in data if row.amount >= 0]
    found = []
    for member in dict.fromkeys(row.member for row in data):
        own = [row for row in data if row.member == member]
        home = homes.get(member)
        if all(row.home != home for row in data):  # nobody of that household has a row that counts
            home = None
        spent = sum(row.amount for row in own if row.home is not None)
        total = sum(row.amount for row in data if row.home is not None and row.home == home)
        by_category: dict[str, int] = {}
        for row in own:
            if row.category is not None:
                by_category[row.category] = by_category.get(row.category, 0) + row.amount
        top = max(by_category, key=by_category.__getitem__, default=None)
        share = None if home is None or total <= 0 else min(max(spent / total, 0.0), 1.0)
        top = top if top is not None and by_category[top] > 0 else None
        found.append({"customer_id": member, "household_id": home, "household_share": share, "top_category": top})
    return found


def mapping_of(members: Sequence[Any], homes: Sequence[Any], column: str = "household_id") -> MemberMapping:
    mapping = MemberMapping(column, Limits())
    batch = pa.record_batch({"customer_id": pa.array(members), column: pa.array(homes)})
    mapping.begin(batch.schema)
    mapping.add(batch)
    return mapping


def job_of(
    table: pa.Table, model: Model | None = None, *, kind: Any = None, cut: int | None = None, **more: Any
) -> Job:
    """A job that has taken the table; `mapping` and `limits` are the job's, all else options."""
    own = {name: more.pop(name) for name in ("mapping", "limits", "threads") if name in more}
    kind = kind or (SegmentOptions if model is None else ScoreOptions)
    options = parse_options(kind, [(name, str(value)) for name, value in more.items()])
    team = ThreadTeam(own.pop("threads", 1))
    job = Job(options, model, **{"limits": Limits(), "team": team, "now_ns": NOW_NS, **own})
    job.start(table.schema)
    for batch in table.to_batches(max_chunksize=cut):
        job.add(batch)
    return job


def outcome_of(table: pa.Table, model: Model | None = None, **more: Any) -> Outcome:
    outcome = job_of(table, model, **more).finish()
    assert isinstance(outcome, Outcome)
    return outcome


MEMBERS_SIDE = ["customer_id", "household_id", "household_share", "top_category"]


@settings(max_examples=50)
@given(ROWS, st.integers(1, 14), st.sampled_from(["net", "drop"]), st.sampled_from([None, 4]))
def test_members_and_their_households(data: list[Row], cut: int, refunds: str, window: int | None) -> None:
    data = settled(data)
    plain, rolled = models(refunds, None if window is None else f"{window}d")
    expected = naive(data, refunds, window)
    if expected and all(row["household_id"] is None for row in expected):
        with pytest.raises(RequestError) as refusal:
            outcome_of(table_of(data), rolled, as_of=AS_OF)
        assert refusal.value.code is ErrorCode.NO_CUSTOMERS
        return
    outcome = outcome_of(table_of(data), rolled, cut=cut, as_of=AS_OF)
    found = rows(outcome)
    side = found.select(MEMBERS_SIDE).to_pylist()
    for one, other in zip(side, expected, strict=True):
        shares = one.pop("household_share"), other.pop("household_share")
        assert shares[0] == shares[1] or math.isclose(*shares)
        assert one == other
    # The household's figures are those of the household as a customer.
    homes = table_of(data).filter(pa.array([row.home is not None for row in data], pa.bool_()))
    homes = homes.drop_columns("customer_id").rename_columns({"household_id": "customer_id"})
    alone = {row.pop("customer_id"): row for row in rows(run(homes, plain, as_of=AS_OF)).to_pylist()}
    for member, home in zip(found.drop_columns(MEMBERS_SIDE).to_pylist(), expected, strict=True):
        nothing = {**dict.fromkeys(member), "segment_id": -1}
        assert member == (nothing if home["household_id"] is None else alone[home["household_id"]])
    told = outcome.summary.rollup
    assert told is not None
    assert (told.households, told.members) == (len(alone), len(expected))
    assert outcome.summary.counts.customers_out == outcome.customers_out == len(expected)
    assert outcome.summary.counts.rows_filtered == 0
    assert told.rows_without_household == sum(row.home is None for row in data)
    assert told.members_without_household == sum(row["household_id"] is None for row in expected)
    assert told.members + told.members_left_out == len({row.member for row in data})
    assert sum(segment.size for segment in outcome.summary.segments) == sum(
        row["value_score"] is not None for row in alone.values()
    )


@settings(max_examples=40)
@given(ROWS, st.integers(1, 14), st.lists(st.none() | st.integers(0, 2), min_size=5, max_size=5))
def test_a_mapping_is_as_good_as_a_column(data: list[Row], cut: int, homes: list[int | None]) -> None:
    by_member = dict(zip(MEMBERS, homes, strict=True))
    data = [row._replace(home=by_member[row.member]) for row in data]
    kept = [row for row in data if row.day <= 8]
    if kept and all(row.home is None for row in kept):
        return
    _, rolled = models("net", None)
    mapping = mapping_of([*MEMBERS, "nobody"], pa.array([*homes, 7], pa.int32()))
    table = table_of(data, with_homes=False)
    with_column = outcome_of(table_of(data), rolled, as_of=AS_OF)
    with_mapping = outcome_of(table, rolled, mapping=mapping, cut=cut, as_of=AS_OF)
    assert rows(with_mapping).equals(rows(with_column))
    told = with_mapping.summary.rollup
    assert told is not None
    assert told.source == "mapping"
    there = {row.member for row in data if row.home is not None}
    assert told.mapped_members == sum(home is not None for home in homes) + 1
    assert told.mapped_without_rows == told.mapped_members - len(there)


@settings(max_examples=40)
@given(ROWS, st.integers(1, 14))
def test_a_member_in_two_households_is_named(data: list[Row], cut: int) -> None:
    first: dict[str, int] = {}
    wrong = None
    for i, row in enumerate(data):
        if row.home is not None and row.day <= 8 and first.setdefault(row.member, row.home) != row.home:
            wrong = i, row.member, first[row.member], row.home
            break
    if wrong is None:
        return
    _, rolled = models("net", None)
    with pytest.raises(RequestError) as refusal:
        outcome_of(table_of(data), rolled, cut=cut, as_of=AS_OF)
    assert refusal.value.code is ErrorCode.TWO_HOUSEHOLDS
    i, member, one, other = wrong
    assert refusal.value.detail.startswith(
        f"Row {i + 1:,} says that the customer {member!r} is in the household '{one}' and in '{other}'."
    )


def test_any_cut_and_any_threads_give_the_same_bytes() -> None:
    data = [Row(f"m{i * i % 97}", i * i % 97 % 31, i % 9, 1 + i % 13, ["food", "toys"][i % 2]) for i in range(250)]
    table = table_of(data).set_column(2, "amount", pa.array([row.amount / 7 for row in data]))
    replies = {
        reply_bytes(outcome_of(table, cut=cut, threads=threads, rollup="household_id", k=4, schemes="pareto"))
        for cut in (None, 1, 77)
        for threads in (1, 2)
    }
    assert len(replies) == 1


def test_shares_of_a_household_sum_to_one_and_a_single_member_has_all_of_it() -> None:
    data = [Row(f"m{i % 50}", i % 50 // 3, i % 9, 1, ["food", "toys", None][i % 3]) for i in range(500)]
    table = table_of(data).set_column(2, "amount", pa.array([0.1 * (1 + i % 7) for i in range(500)]))
    found = rows(outcome_of(table, rollup="household_id", k=3)).to_pandas()
    assert found.groupby("household_id")["household_share"].sum().between(1 - 1e-12, 1 + 1e-12).all()
    lone = table.filter(pa.array([row.member == "m0" for row in data]))
    assert rows(outcome_of(lone, rollup="household_id", k=1))["household_share"].to_pylist() == [1.0]


def test_a_fit_knows_its_households_and_keeps_nothing_of_members() -> None:
    data = [Row(f"m{i % 40}", i % 40 // 2, i % 9, 1 + i, "food") for i in range(200)]
    outcome = outcome_of(table_of(data), kind=FitOptions, rollup="household_id", k=3)
    assert outcome.model.fitted_on.customers == 20
    assert outcome.model.aggregation is not None
    assert outcome.model.aggregation.rollup == "household_id"
    assert outcome.model.fitted_on.options == {"rollup": "household_id", "k": 3}
    segmented = outcome_of(table_of(data), rollup="household_id", k=3)
    assert segmented.model.id == outcome.model.id
    without = [row if row.member != "m1" else row._replace(home=None) for row in data]
    model = outcome_of(table_of(without), kind=FitOptions, rollup="household_id", k=3).model
    assert [notice.facts for notice in model.fitted_on.warnings if notice.code == "members_without_household"] == [
        {"members": 1, "rows": 5}
    ]


def test_filters_nulls_and_names_of_columns() -> None:
    data = [Row(f"m{i % 10}", i % 10 // 2, i % 9, 1 + i, ["food", "toys"][i % 2]) for i in range(60)]
    table = table_of(data)
    names = table.rename_columns({"household_id": "home", "category": "department", "customer_id": "device"})
    mapping = "household_id:home,category:department,customer_id:device"
    expected = rows(outcome_of(table, rollup="household_id", k=2))
    assert rows(outcome_of(names, rollup="household_id", columns=mapping, k=2)).equals(expected)
    told = outcome_of(table, rollup="household_id", where="household_id<3", k=2)
    assert told.summary.counts.rows_filtered == 24
    assert set(rows(told)["household_id"].to_pylist()) == {0, 1, 2}
    with_null = pa.concat_tables([table, table.slice(0, 1).set_column(0, "customer_id", pa.array([None], pa.utf8()))])
    with pytest.raises(RequestError) as refusal:
        outcome_of(with_null, rollup="household_id", k=2)
    assert refusal.value.code is ErrorCode.NULLS
    assert refusal.value.facts["column"] == "customer_id"
    assert refusal.value.facts["row"] == 61
    dropped = outcome_of(with_null, rollup="household_id", nulls="drop", k=2)
    assert dropped.summary.counts.rows_with_nulls == {"customer_id": 1}
    assert rows(dropped).equals(expected)


def refusal_of(table: pa.Table, model: Model | None = None, **more: Any) -> RequestError:
    with pytest.raises(RequestError) as refusal:
        outcome_of(table, model, **more)
    return refusal.value


def test_what_contradicts_is_refused() -> None:
    data = [Row(f"m{i % 10}", i % 10 // 2, i % 9, 1 + i, "food") for i in range(60)]
    table, bare = table_of(data), table_of(data, with_homes=False)
    plain, rolled = models("net", None)
    assert refusal_of(bare, rollup="household_id").code is ErrorCode.MISSING_COLUMN
    lacking = refusal_of(bare, rolled, as_of=AS_OF)
    assert lacking.code is ErrorCode.MISSING_COLUMN
    assert "the model, which was fitted on households, needs it" in lacking.detail
    assert refusal_of(table, rolled, as_of=AS_OF, rollup="family").code is ErrorCode.CONFLICTING_OPTIONS
    assert refusal_of(table, plain, as_of=AS_OF, rollup="household_id").facts["wanted"] is None
    assert "members and households need a column each" in refusal_of(table, rollup="customer_id").detail
    people = pa.table({"customer_id": [1, 2], "visits": [1.0, 2.0], "household_id": [1, 1]})
    assert refusal_of(people, rollup="household_id", features="visits").facts["found"] == "customers"
    both = refusal_of(table, rollup="household_id", mapping=mapping_of(["m1"], [1]))
    assert both.code is ErrorCode.CONFLICTING_OPTIONS
    assert refusal_of(bare, rollup="household_id", mapping=mapping_of([1], [1])).code is ErrorCode.WRONG_TYPE
    assert refusal_of(table, rollup="household_id", partition_by="category").facts["option"] == "rollup"
    job = job_of(table, rollup="household_id", as_of=AS_OF)
    with pytest.raises(RequestError) as refusal:
        job.partial()
    assert refusal.value.facts["option"] == "rollup"


def test_limits_count_members_and_their_categories() -> None:
    data = [Row(f"m{i}", i // 5, 1, 1, f"c{i % 3}") for i in range(20)]
    few = refusal_of(table_of(data), rollup="household_id", limits=Limits(max_customers=19))
    assert (few.facts["limit"], few.facts["found"]) == ("max_customers", 20)
    pairs = refusal_of(table_of(data * 2), rollup="household_id", occasion="row", limits=Limits(max_pairs=10))
    assert pairs.facts["limit"] == "max_pairs"
    assert outcome_of(table_of(data), rollup="household_id", k=2, limits=Limits(max_customers=20)).customers_out == 20
