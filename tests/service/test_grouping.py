"""Who is of which group while rows pass: every type of id and group, any cut and number of threads, the last value."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from proto.bundle import Partition
from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.model import Aggregation
from proto.option_values import Unit
from proto.options import SegmentOptions, parse_options
from proto.schemas import resolve
from proto.wishes import NO_WISHES, Wish, Wishes
from service.grouping import Grouping, with_group
from service.pipeline import Job
from service.threads import ThreadTeam
from service.transactions_intake import TransactionsIntake
from tests.service.shops import OPTIONS, run, shop, table_of

N = 300
UUID = pa.binary(16)
TEXTS = pa.dictionary(pa.int16(), pa.utf8())


def many(id_type: pa.DataType, group_type: pa.DataType) -> pa.Table:
    """Customers who buy in several groups, rows without one, refunds."""
    random = np.random.default_rng(11)
    ids = random.integers(0, 60, N).tolist()
    groups = [None if g == 0 else g for g in random.integers(0, 5, N).tolist()]
    named: list[Any] = ids
    if id_type == UUID:
        named = [uuid.UUID(int=i * 7).bytes for i in ids]
    elif not pa.types.is_integer(id_type):
        named = [f"k{i}" if i % 2 else f"a much longer name for {i}" for i in ids]
    table = shop([(i, d, a, None) for i, d, a in zip(ids, range(N), random.integers(-9, 90, N).tolist(), strict=True)])
    texts = [None if g is None else g if pa.types.is_integer(group_type) else str(g) for g in groups]
    table = table.set_column(0, "customer_id", pa.array(named, id_type))
    return table.set_column(3, "region", pa.array(texts, group_type))


ID_TYPES = [pa.int64(), pa.int8(), pa.utf8(), TEXTS, pa.large_utf8(), UUID]
GROUP_TYPES = [pa.utf8(), TEXTS, pa.int32(), pa.uint64(), pa.large_utf8()]


@pytest.mark.parametrize("id_type", ID_TYPES, ids=str)
@pytest.mark.parametrize("unit", ["row", "customer"])
def test_cuts_and_threads_change_nothing(id_type: pa.DataType, unit: str) -> None:
    occasion = ("row", "time")[ID_TYPES.index(id_type) % 2]
    options = {**OPTIONS, "as_of": "1971-06-01", "partition_by": "region", "unit": unit, "occasion": occasion}
    table = many(id_type, GROUP_TYPES[ID_TYPES.index(id_type) % len(GROUP_TYPES)])
    whole = run("segment", table, **options)
    found = table_of(whole)
    ids, groups = table["customer_id"].to_pylist(), [None if g is None else str(g) for g in table["region"].to_pylist()]
    if unit == "row":
        expected = list(dict.fromkeys(zip(ids, groups, strict=True)))
    else:
        last: dict[Any, str | None] = {}
        for who, group in zip(ids, groups, strict=True):  # times ascend
            last[who] = group if group is not None else last.get(who)
        expected = list(last.items())
    assert list(zip(found["customer_id"].to_pylist(), found["group"].to_pylist(), strict=True)) == expected
    for cut, n_threads in ((7, 1), (90, 2)):
        other = run("segment", table, cut=cut, n_threads=n_threads, **options)
        assert table_of(other).equals(found)
        assert other.model.id == whole.model.id
        assert other.summary == whole.summary


@pytest.mark.parametrize("group_type", GROUP_TYPES, ids=str)
def test_groups_are_texts_whatever_their_type(group_type: pa.DataType) -> None:
    options = {**OPTIONS, "as_of": "1971-06-01", "partition_by": "region"}
    as_text = run("segment", many(pa.int64(), pa.utf8()), **options)
    found = run("segment", many(pa.int64(), group_type), **options)
    assert table_of(found).equals(table_of(as_text))
    assert found.model.id == as_text.model.id


def test_the_window_and_refunds_that_are_dropped_say_nothing_of_a_customer() -> None:
    rows = [(1, 1, 5, "old"), (1, 20, 5, None), (2, 20, 5, "north"), (2, 21, -5, "south"), (3, 20, 5, "north")]
    options = {"as_of": "1970-01-31", "k": "2", "partition_by": "region"}

    def groups(**more: str) -> list[str | None]:
        return list(table_of(run("segment", shop(rows), **options, **more))["group"].to_pylist())

    assert groups() == ["old", "south", "north"]
    assert groups(window="20d") == [None, "south", "north"]
    assert groups(refunds="drop") == ["old", "north", "north"]
    assert groups(where="amount > 0 or region = north") == ["old", "north", "north"]


def test_the_column_joins_what_is_wanted_already() -> None:
    partition = Partition("region", "row")
    assert with_group(NO_WISHES, None) is NO_WISHES
    alone = with_group(NO_WISHES, partition)
    assert alone.rows == alone.table == (Wish("region", "id", True, "partition_by=region"),)
    profile = Wish("region", "label", False, "schemes=profile")
    found = with_group(Wishes((profile,), ()), partition)
    assert [(wish.kind, wish.is_needed) for wish in found.rows] == [("label", True)]


def test_a_scheme_may_read_the_same_column() -> None:
    table = many(pa.utf8(), pa.utf8()).append_column("industry", pa.array(["steel", "glass"] * (N // 2)))
    options = {**OPTIONS, "as_of": "1971-06-01", "schemes": "profile", "partition_by": "region"}
    told = run("segment", table, **options).summary.partition
    assert told is not None
    for one in told.groups:
        assert one.schemes is not None
        crossed = one.schemes["profile"].figures
        assert [label["label"] for label in crossed["region"] if label["customers"]] == [one.group]
        assert {label["label"] for label in crossed["industry"]} == {"glass", "steel"}


def test_what_cannot_part() -> None:
    table = many(pa.int64(), pa.utf8())
    options = {**OPTIONS, "as_of": "1971-06-01"}
    with pytest.raises(RequestError, match="groups are texts") as refused:
        run("segment", table.append_column("who", pa.array([b"0" * 16] * N, UUID)), **options, partition_by="who")
    assert refused.value.code is ErrorCode.WRONG_TYPE
    with pytest.raises(RequestError, match="In the group region=") as refused:
        run("segment", table, **options | {"k": "200", "strict_k": "true"}, partition_by="region")
    assert refused.value.facts["group"] in ("1", "2", "3", "4")
    asked = parse_options(SegmentOptions, [("as_of", "1971-06-01"), ("partition_by", "region")])
    job = Job(asked, None, limits=Limits(), team=ThreadTeam(1), now_ns=0)
    job.start(table.schema)
    with pytest.raises(RequestError, match="leave partition_by= out") as refused:
        job.partial()
    assert refused.value.code is ErrorCode.CONFLICTING_OPTIONS


@pytest.mark.parametrize("unit", ["row", "customer"])
def test_a_thousand_groups_are_the_most(unit: Unit) -> None:
    partition = Partition("region", unit)
    table = shop([(i, 0, 1, f"r{i}") for i in range(1_001)])
    options = parse_options(SegmentOptions, [("partition_by", "region"), ("unit", unit), ("as_of", "1970-01-31")])
    plan = resolve(table.schema, options, None, with_group(NO_WISHES, partition))

    def groups(n: int) -> list[str]:
        grouping = Grouping(plan, table.schema, partition, Limits(), 1)
        aggregation = Aggregation(
            tz="UTC", window_days=None, occasion="time", refunds="net", monetary="sum", whole_days=False
        )
        intake = TransactionsIntake(
            plan,
            table.schema,
            aggregation,
            "max",
            "error",
            now_ns=0,
            limits=Limits(),
            team=ThreadTeam(1),
            n_shards=1,
            grouping=grouping,
        )
        intake.add(table.to_batches()[0].slice(0, n))
        found = intake.finish().groups
        assert found is not None
        return found.names

    assert groups(1_000) == [f"r{i}" for i in range(1_000)]
    with pytest.raises(RequestError, match="has 1,001 different values") as refused:
        groups(1_001)
    assert refused.value.code is ErrorCode.TOO_MANY_GROUPS


def test_nobody_to_score() -> None:
    table = many(pa.int64(), pa.utf8())
    options = {**OPTIONS, "as_of": "1971-06-01", "schemes": "pareto", "partition_by": "region"}
    fitted = run("fit", table, **options)
    for rows in (table.slice(0, 0), table.slice(0, 3)):
        found = run("score", rows, fitted.model, as_of="1971-06-01", schemes="pareto")
        assert found.customers_out == rows.num_rows
        assert table_of(found).num_rows == rows.num_rows
        assert "pareto" in table_of(found).column_names
