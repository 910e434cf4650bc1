"""Record batches ↔ arrays: times, amounts, and what is missing; slices throughout."""

import datetime as dt
import decimal
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import ErrorCode, RequestError
from service.columns import (
    TimeUnit,
    amount_array,
    amount_kind,
    boolean_bytes,
    feature_array,
    find_holes,
    keys_of,
    monetary_column,
    ticks_of,
    time_column,
    time_unit,
    validity,
)
from tests.service.arrays import INTEGERS, bounds, sliced, texts_of

FLOATS = [pa.float16(), pa.float32(), pa.float64()]
DECIMALS = [pa.decimal32(7, 2), pa.decimal64(16, 2), pa.decimal128(20, 2), pa.decimal256(40, 2)]
TIMES = [
    *(pa.timestamp(unit, tz) for unit in ("s", "ms", "us", "ns") for tz in (None, "Europe/Berlin")),
    pa.date32(),
    pa.date64(),
]
texts = st.text(max_size=12)


def _misaligned(array: pa.Array) -> pa.Array:
    """The array with its values at an odd address, as a careless sender's buffers can be."""
    validity, values = array.buffers()
    moved = pa.py_buffer(b"\0" + values.to_pybytes())[1:]
    return pa.Array.from_buffers(array.type, len(array), [validity, moved], offset=array.offset)


def _padded(array: pa.Array, n_bytes: int) -> pa.Array:
    """The array with a values buffer that is longer than it has to be."""
    validity, values = array.buffers()
    return pa.Array.from_buffers(
        array.type, len(array), [validity, pa.py_buffer(values.to_pybytes() + b"\7" * n_bytes)]
    )


# Times


@pytest.mark.parametrize("kind", TIMES, ids=str)
@given(
    days=st.lists(st.integers(-30_000, 80_000) | st.none(), max_size=20),
    left=st.integers(0, 3),
    right=st.integers(0, 3),
)
@settings(max_examples=10)
def test_times_come_back(kind: pa.DataType, days: list[int | None], left: int, right: int) -> None:
    unit = time_unit(kind)
    ticks = [None if d is None else d * unit.ticks_per_day + (0 if unit.is_date else d % 7) for d in days]
    stored = [None if t is None else t * 86_400_000 for t in ticks] if pa.types.is_date64(kind) else ticks
    width = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    array = sliced(pa.array(stored, width).cast(kind), left, right)
    found = ticks_of(array)
    assert found.dtype == np.int64
    assert found.flags.aligned
    assert [f for f, t in zip(found.tolist(), ticks, strict=True) if t is not None] == [
        t for t in ticks if t is not None
    ]
    missing = np.array([t is None for t in ticks], np.bool_)
    back = time_column(found, missing, kind)
    back.validate(full=True)
    assert back.type == kind
    assert back.equals(pa.array(stored, width).cast(kind))


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        (pa.timestamp("s"), TimeUnit(86_400, False)),
        (pa.timestamp("ms", "UTC"), TimeUnit(86_400 * 10**3, False)),
        (pa.timestamp("us"), TimeUnit(86_400 * 10**6, False)),
        (pa.timestamp("ns"), TimeUnit(86_400 * 10**9, False)),
        (pa.date32(), TimeUnit(1, True)),
        (pa.date64(), TimeUnit(1, True)),
    ],
    ids=str,
)
def test_units(kind: pa.DataType, unit: TimeUnit) -> None:
    assert time_unit(kind) == unit


def test_a_date64_within_a_day_is_that_day() -> None:
    milliseconds = np.array([-1, 0, 1, 86_399_999, 86_400_000], np.int64)
    array = pa.Array.from_buffers(pa.date64(), 5, [None, pa.py_buffer(milliseconds)])
    assert ticks_of(array).tolist() == [-1, 0, 0, 0, 1]


@pytest.mark.parametrize("kind", TIMES, ids=str)
def test_the_first_and_the_last_time_there_can_be(kind: pa.DataType) -> None:
    per_day = 86_400_000 if pa.types.is_date64(kind) else 1
    limits = np.iinfo(np.int32 if pa.types.is_date32(kind) else np.int64)
    first, last = -(-int(limits.min) // per_day) * per_day, int(limits.max) // per_day * per_day
    array = pa.array([first, last], pa.int32() if pa.types.is_date32(kind) else pa.int64()).view(kind)
    ticks = ticks_of(array)
    assert ticks.tolist() == [first // per_day, last // per_day]
    assert time_column(ticks, np.zeros(2, np.bool_), kind).equals(array)


def test_a_missing_time_may_hold_anything() -> None:
    nothing = np.array([np.iinfo(np.int64).min, 5], np.int64)
    for kind in TIMES:
        back = time_column(nothing, np.array([True, False]), kind)
        assert back.null_count == 1
        assert ticks_of(back)[1] == 5


# Amounts


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
@given(data=st.data(), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=10)
def test_integer_amounts(kind: pa.DataType, data: st.DataObject, left: int, right: int) -> None:
    amounts = data.draw(st.lists(bounds(kind).map(lambda a: min(a, 2**63 - 1)), max_size=20))
    found = amount_array(sliced(pa.array(amounts, kind), left, right), "amount")
    assert amount_kind(kind) == "integer"
    assert (found.dtype, found.shape) == (np.int64, (len(amounts),))
    assert found.tolist() == amounts


@pytest.mark.parametrize("kind", FLOATS, ids=str)
@given(amounts=st.lists(st.floats(width=16), max_size=20), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=20)
def test_float_amounts(kind: pa.DataType, amounts: list[float], left: int, right: int) -> None:
    array = pa.array([kind.to_pandas_dtype()(a) for a in amounts], kind)
    found = amount_array(sliced(array, left, right), "amount")
    assert amount_kind(kind) == "float"
    assert found.dtype == np.float64
    assert np.array_equal(found, np.array(amounts, np.float64), equal_nan=True)


@pytest.mark.parametrize("kind", DECIMALS, ids=str)
@given(data=st.data(), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=10)
def test_decimal_amounts(kind: pa.DataType, data: st.DataObject, left: int, right: int) -> None:
    largest = 10 ** min(kind.precision, 38) - 1
    units = data.draw(st.lists(st.integers(-largest, largest), max_size=20))
    amounts = [decimal.Decimal(u).scaleb(-2, decimal.Context(prec=76)) for u in units]
    array = sliced(pa.array(amounts, kind), left, right)
    found = amount_array(array, "amount")
    assert amount_kind(kind) == "decimal"
    assert (found.dtype, found.shape) == (np.int64, (len(units), 2))
    assert [high * 2**64 + low % 2**64 for low, high in found.tolist()] == units
    back = monetary_column(found, kind)
    back.validate(full=True)
    assert back.type == pa.decimal128(38, 2)
    assert back.to_pylist() == amounts


def test_a_decimal_column_with_missing_values() -> None:
    array = pa.array([None, decimal.Decimal("1.50"), None], pa.decimal128(10, 2))
    assert amount_array(array, "amount")[1].tolist() == [150, 0]
    assert amount_array(array[1:], "amount")[0].tolist() == [150, 0]


@pytest.mark.parametrize(
    ("kind", "amounts", "row"),
    [
        (pa.uint64(), [1, 2**63 - 1, 2**63, 2**64 - 1], 3),
        (pa.decimal256(76, 2), [decimal.Decimal(1), decimal.Decimal("1e37")], 2),
    ],
    ids=str,
)
def test_amounts_that_do_not_fit_are_told_with_their_row(kind: pa.DataType, amounts: list[Any], row: int) -> None:
    with pytest.raises(RequestError) as caught:
        amount_array(pa.array(amounts, kind), "sales", rows_before=1000)
    error = caught.value
    assert error.code is ErrorCode.OVERFLOW
    assert (error.facts["column"], error.facts["row"]) == ("sales", 1000 + row)
    assert f"row {1000 + row:,}" in error.detail
    assert "sales" in error.detail


@pytest.mark.parametrize("kind", [pa.uint64(), pa.decimal256(76, 2)], ids=str)
def test_amounts_of_rows_that_are_left_out_may_be_anything(kind: pa.DataType) -> None:
    array = pa.array([decimal.Decimal(10) ** 38, 3, None], pa.decimal256(76, 2)) if kind != pa.uint64() else None
    if array is None:
        values = pa.py_buffer(np.array([2**64 - 1, 3, 2**64 - 1], np.uint64))
        array = pa.Array.from_buffers(kind, 3, [pa.py_buffer(b"\x03"), values])
    keep = np.array([False, True, False])
    assert amount_array(array, "amount", keep=keep).reshape(3, -1)[1, 0] == (3 if kind == pa.uint64() else 300)


def test_sums_as_columns() -> None:
    assert monetary_column(np.array([1.5, -2.0]), pa.float32()).equals(pa.array([1.5, -2.0]))
    words = np.array([[5, 0], [-7, -1]], np.int64)
    assert monetary_column(words, pa.int8()).equals(pa.array([5, -7], pa.int64()))
    assert monetary_column(words[::-1], pa.decimal128(5, 1)).to_pylist() == [
        decimal.Decimal("-0.7"),
        decimal.Decimal("0.5"),
    ]
    assert len(monetary_column(words[:0], pa.decimal128(5, 1))) == 0


@pytest.mark.parametrize("n_bytes", [0, 3, 8, 48])
def test_buffers_may_be_longer_than_their_values(n_bytes: int) -> None:
    assert amount_array(_padded(pa.array([1, 2, 3], pa.int16()), n_bytes), "a").tolist() == [1, 2, 3]
    assert ticks_of(_padded(pa.array([1, 2], pa.timestamp("us")), n_bytes)).tolist() == [1, 2]
    assert keys_of(_padded(pa.array([1, 2], pa.uint64()), n_bytes))[0].tolist() == [1, 2]
    money = _padded(pa.array([decimal.Decimal("0.07")], pa.decimal128(9, 2)), n_bytes)
    assert amount_array(money, "a").tolist() == [[7, 0]]
    indices = _padded(pa.array([1, 0, 1], pa.int16()), n_bytes)
    assert texts_of(keys_of(pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"])))) == [b"b", b"a", b"b"]


def test_values_at_odd_addresses_are_moved() -> None:
    """Compiled kernels take aligned arrays only."""
    ids = keys_of(_misaligned(pa.array([1, 2], pa.int64())))
    money = _misaligned(pa.array([decimal.Decimal("0.07")], pa.decimal128(9, 2)))
    found = [
        *ids,
        ticks_of(_misaligned(pa.array([1, 2], pa.timestamp("us")))),
        amount_array(_misaligned(pa.array([1.0, 2.0])), "a"),
        amount_array(money, "a"),
        feature_array(_misaligned(pa.array([1.0, 2.0]))),
    ]
    assert all(array.flags.aligned for array in found)
    assert [array.ravel()[0] for array in found] == [1, 1, 1, 7, 1]


# Features


@pytest.mark.parametrize("kind", [*INTEGERS, *FLOATS, *DECIMALS], ids=str)
@given(values=st.lists(st.integers(0, 100) | st.none(), max_size=20), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=10)
def test_features_are_floats_and_nulls_are_nan(
    kind: pa.DataType, values: list[int | None], left: int, right: int
) -> None:
    make = decimal.Decimal if pa.types.is_decimal(kind) else kind.to_pandas_dtype()
    array = pa.array([None if v is None else make(v) for v in values], kind)
    found = feature_array(sliced(array, left, right))
    assert found.dtype == np.float64
    assert np.array_equal(found, np.array([math.nan if v is None else v for v in values], np.float64), equal_nan=True)


# What is missing


def test_nothing_is_missing() -> None:
    holes = find_holes({"a": pa.array([1, 2]), "b": pa.array([1.0, 2.0]), "c": pa.array(["x", ""])}, ("a", "b"))
    assert holes == (None, {}, {}, 0, -1, 0, None)
    assert find_holes({"a": pa.array([], pa.float64())}, ("a",)) == (None, {}, {}, 0, -1, 0, None)


def test_not_finite_counts_rows() -> None:
    nan, inf = math.nan, math.inf
    a = pa.array([1.0, nan, nan, None, 1.0])
    b = pa.array([1.0, nan, 1.0, inf, -inf])
    holes = find_holes({"a": a, "b": b}, ("a", "b"))
    assert holes.keep is not None
    assert holes.keep.tolist() == [True, False, False, False, False]
    assert (holes.nulls, holes.first_null) == ({"a": 1}, {"a": 3})
    assert (holes.not_finite, holes.first_not_finite, holes.dropped) == (4, 1, 4)


def test_only_the_columns_asked_for_must_be_finite() -> None:
    holes = find_holes({"a": pa.array([math.nan]), "b": pa.array([1.0])}, ("b",))
    assert holes.keep is None


maybe_floats = st.floats(width=16) | st.none()


@given(
    st.lists(st.tuples(maybe_floats, maybe_floats, texts | st.none()), max_size=20), st.sampled_from(FLOATS), st.data()
)
@settings(max_examples=40)
def test_holes_are_those_of_a_plain_look(
    rows: list[tuple[float | None, float | None, str | None]], kind: pa.DataType, data: st.DataObject
) -> None:
    names = ("x", "y", "id")
    arrays = {}
    for j, name in enumerate(names):
        column: list[Any] = [row[j] for row in rows]
        if name != "id":
            column = [None if v is None else kind.to_pandas_dtype()(v) for v in column]
        left, right = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
        arrays[name] = sliced(pa.array(column, pa.utf8() if name == "id" else kind), left, right)
    holes = find_holes(arrays, ("x", "y"))

    whole = [all(v is not None and (isinstance(v, str) or math.isfinite(v)) for v in row) for row in rows]
    odd = [any(isinstance(v, float) and not math.isfinite(v) for v in row) for row in rows]
    missing = {name: [row[j] is None for row in rows] for j, name in enumerate(names)}
    assert (holes.keep is None) == all(whole)
    if holes.keep is not None:
        assert holes.keep.tolist() == whole
    assert holes.nulls == {name: sum(gone) for name, gone in missing.items() if any(gone)}
    assert holes.first_null == {name: gone.index(True) for name, gone in missing.items() if any(gone)}
    assert holes.not_finite == sum(odd)
    assert holes.first_not_finite == (odd.index(True) if any(odd) else -1)
    assert holes.dropped == whole.count(False)


def test_times_of_people_are_ticks() -> None:
    moment = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    array = pa.array([moment], pa.timestamp("ms", "Europe/Berlin"))
    assert ticks_of(array).tolist() == [int(moment.timestamp() * 1000)]


def test_a_signalling_nan_is_a_nan_like_any_other() -> None:
    bits = np.array([0x7F80_0001, 0x3F80_0000], np.uint32)
    array = pa.Array.from_buffers(pa.float32(), 2, [None, pa.py_buffer(bits.tobytes())])
    for values in (amount_array(array, "amount"), feature_array(array)):
        assert np.isnan(values[0])
        assert values[1] == 1.0


@given(st.lists(st.booleans() | st.none(), max_size=40), st.integers(0, 19), st.integers(0, 9))
def test_bits_become_bytes(flags: list[bool | None], left: int, right: int) -> None:
    array = pa.array([True] * left + flags + [True] * right, pa.bool_()).slice(left, len(flags))
    found = boolean_bytes(array).tolist()
    assert len(found) == len(flags)
    assert all(flag is None or flag == byte for flag, byte in zip(flags, found, strict=True))
    for kind in (pa.bool_(), pa.int16(), pa.utf8(), pa.dictionary(pa.int8(), pa.utf8())):
        valid = validity(
            array.cast(pa.utf8()).dictionary_encode() if pa.types.is_dictionary(kind) else array.cast(kind)
        )
        assert ([True] * len(flags) if valid is None else valid.tolist()) == [flag is not None for flag in flags]
