"""A mapping of members to households: what it takes, what it refuses, and who is in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from service.budget import Budget
from service.columns import keys_of
from service.mapping import MemberMapping, enter, with_room


def mapping_of(columns: dict[str, Any], column: str | None = "home", limits: Limits | None = None) -> MemberMapping:
    mapping = MemberMapping(column, limits or Limits())
    batch = pa.record_batch(columns)
    mapping.begin(batch.schema)
    for i in range(batch.num_rows):
        mapping.add(batch.slice(i, 1))
    return mapping


def homes_of(mapping: MemberMapping, members: pa.Array) -> list[str | None]:
    found = mapping.homes_of(keys_of(members), np.arange(len(members), dtype=np.int32))
    return [None if number < 0 else mapping.homes.name(int(number)) for number in found]


@pytest.mark.parametrize("kind", [pa.utf8(), pa.large_utf8(), pa.dictionary(pa.int8(), pa.utf8())])
def test_members_find_their_household(kind: pa.DataType) -> None:
    members = pa.array(["a", "b", "c", "a", "d"]).cast(kind)
    homes = pa.array(["x", "y", None, "x", "x"]).cast(kind)
    mapping = mapping_of({"customer_id": members, "home": homes})
    asked = pa.array(["d", "nobody", "c", "b", "a"])
    assert homes_of(mapping, asked) == ["x", None, None, "y", "x"]
    assert homes_of(mapping, asked) == ["x", None, None, "y", "x"]  # also once unknown ones have been seen
    assert (mapping.n_members, mapping.homes.n, mapping.rows) == (3, 2, 5)


def test_integers_of_any_width_are_the_same_members() -> None:
    mapping = mapping_of({"home": pa.array([7, 8]), "customer_id": pa.array([1, -1], pa.int8())}, None)
    assert mapping.column == "home"
    assert homes_of(mapping, pa.array([-1, 1, 2], pa.int64())) == ["8", "7", None]
    mapping.check_ids(pa.uint32())
    for other in (pa.utf8(), pa.uint64()):  # -1 has the bits of the largest uint64
        with pytest.raises(RequestError) as refusal:
            mapping.check_ids(other)
        assert refusal.value.code is ErrorCode.WRONG_TYPE


def test_an_empty_mapping_knows_nobody() -> None:
    mapping = mapping_of({"customer_id": pa.array([], pa.int64()), "home": pa.array([], pa.int64())})
    mapping.check_ids(pa.utf8())
    assert homes_of(mapping, pa.array(["a"])) == [None]


def test_only_two_columns_ahead_of_the_data_are_a_mapping() -> None:
    mapping = MemberMapping("home", Limits())
    assert mapping.takes(["home", "customer_id"])
    assert not mapping.takes(["customer_id", "home", "timestamp"])
    assert not mapping.takes(["customer_id", "visits"])
    assert not MemberMapping(None, Limits()).takes(["customer_id", "home"])
    mapping.begin(pa.schema([("customer_id", pa.int64()), ("home", pa.int64())]))
    assert not mapping.takes(["home", "customer_id"])


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"customer_id": ["a", "a"], "home": ["x", "y"]}, ErrorCode.TWO_HOUSEHOLDS),
        ({"customer_id": ["a", None], "home": ["x", "y"]}, ErrorCode.NULLS),
        ({"customer_id": ["a"], "house": ["x"]}, ErrorCode.MISSING_COLUMN),
        ({"customer_id": ["a"]}, ErrorCode.MISSING_COLUMN),
        ({"customer_id": ["a"], "home": ["x"], "more": [1]}, ErrorCode.MISSING_COLUMN),
        ({"customer_id": ["a"], "home": [0.5]}, ErrorCode.WRONG_TYPE),
    ],
)
def test_what_is_wrong_is_told(columns: dict[str, Any], code: ErrorCode) -> None:
    with pytest.raises(RequestError) as refusal:
        mapping_of(columns)
    assert refusal.value.code is code


def test_both_households_are_named_and_the_use_is_checked() -> None:
    with pytest.raises(RequestError, match="customer 'a' is in the household 'x' and in 'y'"):
        mapping_of({"customer_id": ["b", "a", "a"], "home": ["x", "x", "y"]})
    mapping = mapping_of({"customer_id": ["a"], "home": ["x"]})
    mapping.check_use("home")
    for wanted in (None, "family"):
        with pytest.raises(RequestError) as refusal:
            mapping.check_use(wanted)
        assert refusal.value.code is ErrorCode.CONFLICTING_OPTIONS


def test_its_size_is_limited_and_reserved() -> None:
    columns = {"customer_id": list("abc"), "home": list("xyz")}
    with pytest.raises(RequestError, match="max_customers: found 3, allowed 2"):
        mapping_of(columns, limits=Limits(max_customers=2))
    with Budget(10**9).reservation() as memory:
        mapping = MemberMapping("home", Limits(), memory)
        batch = pa.record_batch(columns)
        mapping.begin(batch.schema)
        mapping.add(batch)
        assert memory.held == mapping.nbytes > 0
        assert memory.peak > memory.held


def test_the_first_household_stays() -> None:
    homes = with_room(np.empty(0, np.int32), 3)
    numbers = [np.array(values, np.int32) for values in ([0, 1, 0, 1], [5, 6, 5, 7])]
    assert enter(homes, *numbers) == 3
    assert homes[:3].tolist() == [5, 6, -1]
    assert enter(homes, *(values[:3] for values in numbers)) is None
