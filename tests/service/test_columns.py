"""Record batches ↔ arrays: ids of every type there and back, times, amounts, and what is missing; slices throughout."""

import datetime as dt
import decimal
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.keys import ByteKeys, FixedKeys, Keys, take_keys
from proto.errors import ErrorCode, RequestError
from service.columns import (
    TimeUnit,
    amount_array,
    amount_kind,
    feature_array,
    find_holes,
    id_column,
    is_fixed_id,
    keys_of,
    monetary_column,
    ticks_of,
    time_column,
    time_unit,
)

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
INDICES = INTEGERS
TEXTS = [pa.utf8(), pa.large_utf8()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
DECIMALS = [pa.decimal32(7, 2), pa.decimal64(16, 2), pa.decimal128(20, 2), pa.decimal256(40, 2)]
TIMES = [
    *(pa.timestamp(unit, tz) for unit in ("s", "ms", "us", "ns") for tz in (None, "Europe/Berlin")),
    pa.date32(),
    pa.date64(),
]
texts = st.text(max_size=12)


def _bounds(integer: pa.DataType) -> st.SearchStrategy[int]:
    info = np.iinfo(integer.to_pandas_dtype())
    return st.integers(int(info.min), int(info.max)) | st.sampled_from([int(info.min), 0, int(info.max)])


def _sliced(array: pa.Array, left: int, right: int) -> pa.Array:
    """The array as the middle of a longer one, so that offsets are not 0."""
    if len(array) == 0:
        return array
    padding = pa.concat_arrays([array[:1]] * 3)
    whole = pa.concat_arrays([padding[:left], array, padding[:right]])
    return whole.slice(left, len(array))


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


def _texts(keys: Keys) -> list[bytes]:
    assert isinstance(keys, ByteKeys)
    data = keys.data.tobytes()
    return [data[s : s + n] for s, n in zip(keys.starts.tolist(), keys.lengths.tolist(), strict=True)]


def _check_kind(keys: Keys) -> None:
    if isinstance(keys, FixedKeys):
        assert keys.bits.dtype == np.uint64
        assert keys.bits.flags.aligned
    else:
        assert (keys.data.dtype, keys.starts.dtype, keys.lengths.dtype) == (np.uint8, np.int64, np.int32)


# Ids


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
@given(data=st.data(), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=12)
def test_integer_ids_come_back(kind: pa.DataType, data: st.DataObject, left: int, right: int) -> None:
    ids = data.draw(st.lists(_bounds(kind), max_size=20))
    array = _sliced(pa.array(ids, kind), left, right)
    keys = keys_of(array)
    _check_kind(keys)
    assert is_fixed_id(kind)
    assert isinstance(keys, FixedKeys)
    assert [int(bits) for bits in keys.bits] == [i % 2**64 for i in ids]
    back = id_column(take_keys(keys), kind)
    back.validate(full=True)
    assert back.type == kind
    assert back.to_pylist() == ids


@pytest.mark.parametrize("kind", TEXTS, ids=str)
@given(ids=st.lists(texts, max_size=20), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=20)
def test_text_ids_come_back(kind: pa.DataType, ids: list[str], left: int, right: int) -> None:
    keys = keys_of(_sliced(pa.array(ids, kind), left, right))
    _check_kind(keys)
    assert not is_fixed_id(kind)
    assert _texts(keys) == [i.encode() for i in ids]
    _check_text_back(keys, kind, ids)


def _check_text_back(keys: Keys, kind: pa.DataType, ids: list[str]) -> None:
    """All ids, and a range of them, as a column."""
    compact = take_keys(keys)
    assert isinstance(compact, ByteKeys)
    for first in (0, len(ids) // 2):
        rows = slice(first, max(first, len(ids) - 1) if first else len(ids))
        part = ByteKeys(compact.data, compact.starts[rows], compact.lengths[rows])
        back = id_column(part, kind)
        back.validate(full=True)
        assert back.type == (kind.value_type if pa.types.is_dictionary(kind) else kind)
        assert back.to_pylist() == ids[rows]


@pytest.mark.parametrize("index", INDICES, ids=str)
@given(data=st.data(), text=st.sampled_from(TEXTS), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=10)
def test_dictionary_ids_come_back_as_text(
    index: pa.DataType, text: pa.DataType, data: st.DataObject, left: int, right: int
) -> None:
    words = data.draw(st.lists(texts | st.none(), min_size=1, max_size=8))
    indices = data.draw(st.lists(st.integers(0, len(words) - 1) | st.none(), max_size=20))
    dictionary = _sliced(pa.array(words, text), left, right)
    array = _sliced(pa.DictionaryArray.from_arrays(pa.array(indices, index), dictionary), right, left)
    ids = [None if i is None else words[i] for i in indices]
    keys = keys_of(array)
    _check_kind(keys)
    assert len(_texts(keys)) == len(ids)
    assert [t for t, i in zip(_texts(keys), ids, strict=True) if i is not None] == [
        i.encode() for i in ids if i is not None
    ]
    holes = find_holes({"customer_id": array}, ())
    missing = [i is None for i in ids]
    assert holes.dropped == sum(missing)
    if holes.keep is None:
        _check_text_back(keys, array.type, [i for i in ids if i is not None])
    else:
        assert holes.keep.tolist() == [not m for m in missing]
        assert holes.first_null == {"customer_id": missing.index(True)}


def test_nothing_but_missing_ids() -> None:
    for array in (
        pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), pa.array([], pa.utf8())),
        pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), pa.array([None], pa.utf8())),
        pa.nulls(2, pa.utf8()),
        pa.nulls(2, pa.int64()),
        pa.nulls(2, pa.binary(16)),
    ):
        assert find_holes({"customer_id": array}, ()).dropped == 2
        keys = keys_of(array)
        assert len(keys[-1]) == 2
        _check_kind(keys)


def test_what_a_missing_index_points_at_does_not_matter() -> None:
    indices = pa.Array.from_buffers(
        pa.int32(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([1, 2**31 - 1, 0], np.int32))]
    )
    array = pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"]))
    texts_found = _texts(keys_of(array))
    assert (texts_found[0], texts_found[2]) == (b"b", b"a")


@given(ids=st.lists(st.binary(min_size=16, max_size=16), max_size=20), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=12)
def test_uuids_come_back(ids: list[bytes], left: int, right: int) -> None:
    kind = pa.binary(16)
    keys = keys_of(_sliced(pa.array(ids, kind), left, right))
    _check_kind(keys)
    assert _texts(keys) == ids
    compact = take_keys(keys)
    assert isinstance(compact, ByteKeys)
    for rows in (slice(0, len(ids)), slice(len(ids) // 2, len(ids))):
        back = id_column(ByteKeys(compact.data, compact.starts[rows], compact.lengths[rows]), kind)
        back.validate(full=True)
        assert back.to_pylist() == ids[rows]


@pytest.mark.parametrize("kind", [*INTEGERS, *TEXTS, pa.binary(16), pa.dictionary(pa.int32(), pa.utf8())], ids=str)
def test_no_ids_at_all(kind: pa.DataType) -> None:
    keys = keys_of(pa.array([], kind))
    _check_kind(keys)
    back = id_column(keys, kind)
    assert len(back) == 0
    assert back.type == (kind.value_type if pa.types.is_dictionary(kind) else kind)


def test_a_range_of_ids_carries_only_its_own_bytes() -> None:
    keys = take_keys(keys_of(pa.array([f"customer {i:05}" for i in range(10_000)])))
    assert isinstance(keys, ByteKeys)
    back = id_column(ByteKeys(keys.data, keys.starts[:10], keys.lengths[:10]), pa.utf8())
    assert back.buffers()[2].size == 10 * len("customer 00000")


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
    array = _sliced(pa.array(stored, width).cast(kind), left, right)
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
    amounts = data.draw(st.lists(_bounds(kind).map(lambda a: min(a, 2**63 - 1)), max_size=20))
    found = amount_array(_sliced(pa.array(amounts, kind), left, right), "amount")
    assert amount_kind(kind) == "integer"
    assert (found.dtype, found.shape) == (np.int64, (len(amounts),))
    assert found.tolist() == amounts


@pytest.mark.parametrize("kind", FLOATS, ids=str)
@given(amounts=st.lists(st.floats(width=16), max_size=20), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=20)
def test_float_amounts(kind: pa.DataType, amounts: list[float], left: int, right: int) -> None:
    array = pa.array([kind.to_pandas_dtype()(a) for a in amounts], kind)
    found = amount_array(_sliced(array, left, right), "amount")
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
    array = _sliced(pa.array(amounts, kind), left, right)
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
    assert _texts(keys_of(pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"])))) == [b"b", b"a", b"b"]


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
    found = feature_array(_sliced(array, left, right))
    assert found.dtype == np.float64
    assert np.array_equal(found, np.array([math.nan if v is None else v for v in values], np.float64), equal_nan=True)


# What is missing


def test_nothing_is_missing() -> None:
    holes = find_holes({"a": pa.array([1, 2]), "b": pa.array([1.0, 2.0]), "c": pa.array(["x", ""])}, ("a", "b"))
    assert holes == (None, {}, {}, 0, -1, 0)
    assert find_holes({"a": pa.array([], pa.float64())}, ("a",)) == (None, {}, {}, 0, -1, 0)


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
        arrays[name] = _sliced(pa.array(column, pa.utf8() if name == "id" else kind), left, right)
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
