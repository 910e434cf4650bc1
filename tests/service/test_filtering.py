"""Filters on batches against a naive twin in plain Python, over every type a column may have."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import ErrorCode, RequestError
from service.filtering import RowFilter

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def kept(where: str, batch: pa.RecordBatch, tz: str = "UTC") -> list[int]:
    """The rows that a filter keeps."""
    mask = RowFilter(where, batch.schema, {}, tz).mask(batch)
    return list(range(batch.num_rows)) if mask is None else [i for i, holds in enumerate(mask) if holds]


def naive(tree: Any, row: dict[str, Any]) -> bool | None:
    """Three-valued logic, row by row, of ("and" | "or" | "not", …), ("null", column) or (column, operator, value)."""
    if tree[0] == "not":
        inner = naive(tree[1], row)
        return None if inner is None else not inner
    if tree[0] in ("and", "or"):
        parts = [naive(part, row) for part in tree[1:]]
        decisive = tree[0] == "or"
        return decisive if decisive in parts else None if None in parts else not decisive
    if tree[0] == "null":
        return row[tree[1]] is None
    column, operator, value = tree
    if row[column] is None:
        return None
    if operator == "in":
        return row[column] in value
    return OPERATORS[operator](row[column], value)


def text_of(tree: Any) -> str:
    if tree[0] == "not":
        return f"not ({text_of(tree[1])})"
    if tree[0] in ("and", "or"):
        return f" {tree[0]} ".join(f"({text_of(part)})" for part in tree[1:])
    if tree[0] == "null":
        return f"{tree[1]} is null"
    column, operator, value = tree
    if operator == "in":
        return f"{column} in ({', '.join(map(str, value))})"
    return f"{column} {operator} {value}"


NUMBERS = st.integers(-3, 3)
WORDS = st.sampled_from(["a", "b", "é", "zz"])
LEAVES = st.one_of(
    st.tuples(st.just("n"), st.sampled_from(list(OPERATORS)), NUMBERS),
    st.tuples(st.just("x"), st.sampled_from(list(OPERATORS)), NUMBERS),
    st.tuples(st.just("s"), st.sampled_from(list(OPERATORS)), WORDS),
    st.tuples(st.just("d"), st.sampled_from(list(OPERATORS)), WORDS),
    st.tuples(st.just("n"), st.just("in"), st.lists(NUMBERS, min_size=1, max_size=3)),
    st.tuples(st.just("s"), st.just("in"), st.lists(WORDS, min_size=1, max_size=3)),
    st.tuples(st.just("null"), st.sampled_from(["n", "x", "s", "d"])),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.just("and"), inner, inner),
        st.tuples(st.just("or"), inner, inner),
    ),
    max_leaves=5,
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.none() | NUMBERS,
            "x": st.none() | NUMBERS.map(float),
            "s": st.none() | WORDS,
            "d": st.none() | WORDS,
        }
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(TREES, ROWS)
def test_filters_like_three_valued_logic_row_by_row(tree: Any, rows: list[dict[str, Any]]) -> None:
    columns = {name: [row[name] for row in rows] for name in "nxsd"}
    batch = pa.record_batch(
        {
            "n": pa.array(columns["n"], pa.int16()),
            "x": pa.array(columns["x"], pa.float64()),
            "s": pa.array(columns["s"], pa.utf8()),
            "d": pa.array(columns["d"], pa.utf8()).dictionary_encode(),
        }
    )
    assert kept(text_of(tree), batch) == [i for i, row in enumerate(rows) if naive(tree, row) is True]


INTEGERS = [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_integers_are_compared_exactly(kind: pa.DataType, operator: str) -> None:
    bits, signed = kind.bit_width, str(kind).startswith("i")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    values = [low, low + 1, 0, 2, 3, high - 1, high, None]
    batch = pa.record_batch({"n": pa.array(values, kind)})
    for wanted in ("2", "2.5", "-0.5", str(low), str(high), str(low - 1), str(high + 1), f"{high}.5", "1e30", "-1e30"):
        holds = [i for i, v in enumerate(values) if v is not None and OPERATORS[operator](v, Fraction(wanted))]
        assert kept(f"n {operator} {wanted}", batch) == holds, wanted
        others = [i for i, v in enumerate(values) if v is not None and i not in holds]
        assert kept(f"not n {operator} {wanted}", batch) == others, wanted


@pytest.mark.parametrize("operator", OPERATORS)
def test_decimals_are_compared_exactly(operator: str) -> None:
    values = [decimal.Decimal("0.10"), decimal.Decimal("-9.99"), decimal.Decimal("9.99"), None]
    for kind in (pa.decimal32(3, 2), pa.decimal64(5, 2), pa.decimal128(12, 2), pa.decimal256(50, 2)):
        batch = pa.record_batch({"p": pa.array(values, kind)})
        for wanted in ("0.1", "0.105", "10", "-1000", "9.99", "1e60", "-1e60"):
            holds = [
                i for i, v in enumerate(values) if v is not None and OPERATORS[operator](v, decimal.Decimal(wanted))
            ]
            assert kept(f"p {operator} {wanted}", batch) == holds, (kind, wanted)


def test_floats_meet_the_nearest_float_and_nan_is_missing() -> None:
    for kind in (pa.float16(), pa.float32(), pa.float64()):
        batch = pa.record_batch({"x": pa.array([0.1, 0.5, None, float("nan"), float("inf")], pa.float64()).cast(kind)})
        assert kept("x = 0.1", batch) == [0]
        assert kept("x in (0.1, 0.5)", batch) == [0, 1]
        assert kept("x != 0.5", batch) == [0, 4]
        assert kept("not x > 0.3", batch) == [0]
        assert kept("x is null", batch) == [2, 3]
        assert kept("x < 1e300", batch) == [0, 1]


def test_texts_of_every_kind() -> None:
    words = ["north", "south", None, "北"]
    for kind in (pa.utf8(), pa.large_utf8()):
        for batch in (
            pa.record_batch({"s": pa.array(words, kind)}),
            pa.record_batch({"s": pa.array(words, kind).dictionary_encode()}),
        ):
            assert kept("s in (north, 北)", batch) == [0, 3]
            assert kept("not s in (north, 北)", batch) == [1]
            assert kept("s > north", batch) == [1, 3]
            assert kept("s is null", batch) == [2]
            assert kept("s is not null", batch) == [0, 1, 3]
            assert kept("s = 00123", batch) == []


def test_a_dictionary_with_a_null_of_its_own() -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0]), pa.array(["a", None]))
    batch = pa.record_batch({"s": values})
    assert kept("s = a", batch) == [0, 3]
    assert kept("s != a", batch) == []
    assert kept("s is null", batch) == [1, 2]


def test_a_date_is_the_whole_day_of_its_zone() -> None:
    texts = ["2026-03-28T22:59:59", "2026-03-28T23:00:00", "2026-03-29T21:59:59", "2026-03-29T22:00:00"]
    for unit in ("s", "ms", "us", "ns"):
        for kind in (pa.timestamp(unit), pa.timestamp(unit, "America/New_York")):
            array = pa.array(texts).cast(pa.timestamp(unit)).cast(kind) if kind.tz is None else None
            if array is None:
                array = pa.array(texts).cast(pa.timestamp(unit)).view(pa.int64()).view(kind)
            batch = pa.record_batch({"t": array})
            berlin = {"=": [1, 2], "!=": [0, 3], ">=": [1, 2, 3], ">": [3], "<=": [0, 1, 2], "<": [0]}
            for operator, rows in berlin.items():
                assert kept(f"t {operator} 2026-03-29", batch, "Europe/Berlin") == rows, operator
            assert kept("t in (2026-03-29)", batch, "Europe/Berlin") == [1, 2]
            assert kept("t >= 2026-03-28T23:00:00Z", batch) == [1, 2, 3]
            assert kept("t > '2026-03-29T00:00:00+01:00'", batch) == [2, 3]
            assert kept("t < 2026-03-28T23:00:00", batch) == [0]
            assert kept("t < 2026-03-28T23:00:00.5Z", batch) == [0, 1]


def test_dates_clocks_booleans_and_uuids() -> None:
    one = uuid.UUID(int=7)
    days = [dt.date(2026, 1, 30), dt.date(2026, 1, 31), None]
    batch = pa.record_batch(
        {
            "d32": pa.array(days, pa.date32()),
            "d64": pa.array(days, pa.date64()),
            "clock": pa.array([dt.time(8), dt.time(17, 30), None], pa.time32("s")),
            "fine": pa.array([dt.time(8), dt.time(17, 30), None], pa.time64("ns")),
            "on": pa.array([True, False, None]),
            "id": pa.array([one.bytes, bytes(16), None], pa.binary(16)),
            "none": pa.nulls(3),
            "span": pa.array([1, 2, None], pa.duration("s")),
        }
    )
    for name in ("d32", "d64"):
        assert kept(f"{name} >= 2026-01-31", batch) == [1]
        assert kept(f"not {name} >= 2026-01-31", batch) == [0]
    assert kept("clock < 17:30", batch) == [0]
    assert kept("fine >= 17:30:00", batch) == [1]
    assert kept("on = true", batch) == [0]
    assert kept("on != TRUE", batch) == [1]
    assert kept("on in (true, false)", batch) == [0, 1]
    assert kept(f"id = {one}", batch) == [0]
    assert kept("none = 3 or none is null", batch) == [0, 1, 2]
    assert kept("span is not null", batch) == [0, 1]


@pytest.mark.parametrize(
    ("where", "position", "wanted"),
    [
        ("n = north", 5, "a number"),
        ("n in (1, '2')", 10, "a number"),
        ("d > 3", 5, "a date"),
        ("d > 2026-01-31T00:00Z", 5, "a date"),
        ("t > soon", 5, "a date"),
        ("t > 2026-01-31Z", 5, "a date"),
        ("on = 1", 6, "true or false"),
        ("on > true", 6, "true or false"),
        ("id = 7", 6, "a UUID"),
        ("clock = 8", 9, "a time of day"),
        ("raw = a", 7, "is null"),
        ("span > 1", 8, "is null"),
    ],
)
def test_a_value_of_another_kind_is_refused(where: str, position: int, wanted: str) -> None:
    types = {"n": pa.int32(), "d": pa.date32(), "t": pa.timestamp("us"), "on": pa.bool_(), "id": pa.binary(16)}
    types |= {"clock": pa.time32("s"), "raw": pa.binary(), "span": pa.duration("s")}
    with pytest.raises(RequestError) as caught:
        RowFilter(where, pa.schema(types), {}, "UTC")
    assert caught.value.code == ErrorCode.WRONG_TYPE
    assert caught.value.facts["position"] == position
    assert wanted in caught.value.facts["wanted"]


def test_slices_keep_their_place() -> None:
    batch = pa.record_batch({"n": pa.array(range(100)), "s": pa.array(["a", "b"] * 50).dictionary_encode()})
    assert kept("n >= 52 and s = a", batch.slice(50, 10)) == [2, 4, 6, 8]
    assert RowFilter("n >= 0", batch.schema, {}, "UTC").mask(batch) is None
