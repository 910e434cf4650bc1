"""Record batches ↔ arrays: the only file that knows both pyarrow and numpy.

Columns come down to few canonical kinds, so that the compiled signatures stay few: ids as 64-bit words or as bytes
with starts and lengths, times as int64 ticks in the unit they came in, amounts as float64, int64 or the two words of
a decimal128. Everything is a view where Arrow's layout allows it.
"""

from __future__ import annotations

import decimal
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kernels.dictionaries import spans
from kernels.finite import all_finite
from kernels.keys import ByteKeys, FixedKeys, Keys
from proto.errors import ErrorCode, RequestError

__all__ = [
    "Holes",
    "TimeUnit",
    "amount_array",
    "amount_kind",
    "boolean_bytes",
    "dictionary_indices",
    "feature_array",
    "find_holes",
    "id_column",
    "is_fixed_id",
    "keys_of",
    "monetary_column",
    "text_values",
    "ticks_of",
    "time_column",
    "time_unit",
    "uuid_keys",
    "uuid_words",
    "validity",
]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_DAY_SECONDS = 86_400
_TICKS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
UUID_BYTES = 16
INT64_MAX = 2**63 - 1


def _values(array: pa.Array, dtype: Any) -> npt.NDArray[Any]:
    """The values buffer of a fixed-width array as a view; null slots hold whatever the sender left there."""
    return _view(array.buffers()[1], np.dtype(dtype), array.offset, len(array))


def _view(buffer: pa.Buffer | None, dtype: np.dtype[Any], start: int, n: int) -> npt.NDArray[Any]:
    """`n` values from `start` on. Senders may pad a buffer to any length, and put it at any address."""
    if buffer is None:
        return np.zeros(n, dtype)
    values = np.frombuffer(buffer, dtype, n, start * dtype.itemsize)
    return values if values.flags.aligned else values.copy()  # kernels are compiled for aligned arrays only


# Ids


def is_fixed_id(id_type: pa.DataType) -> bool:
    """Whether ids of this type become 64-bit words (integers), not bytes."""
    return bool(pa.types.is_integer(id_type))


def keys_of(array: pa.Array) -> Keys:
    """The ids of a column; null slots are to be left out by the caller."""
    if pa.types.is_integer(array.type):
        if array.type in (pa.int64(), pa.uint64()):
            return FixedKeys(_values(array, np.uint64))
        values = _values(array, array.type.to_pandas_dtype())
        return FixedKeys(values.astype(np.int64).view(np.uint64))
    if pa.types.is_dictionary(array.type):
        data, offsets = text_values(array.dictionary)
        return ByteKeys(data, *spans(offsets, dictionary_indices(array)))
    if pa.types.is_fixed_size_binary(array.type):
        return uuid_keys(uuid_words(array))
    data, offsets = text_values(array)
    return ByteKeys(data, offsets[:-1].astype(np.int64), np.diff(offsets).astype(np.int32))


def text_values(array: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]:
    """The bytes of a text column, and its offsets into them, int32 or int64[n + 1]."""
    dtype = np.dtype(np.int64 if pa.types.is_large_string(array.type) else np.int32)
    _, offsets, data = array.buffers()
    if offsets is None or len(array) == 0:
        return np.zeros(0, np.uint8), np.zeros(len(array) + 1, dtype)
    values = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return values, _view(offsets, dtype, array.offset, len(array) + 1)


def dictionary_indices(array: pa.Array) -> npt.NDArray[Any]:
    """Which entry each row points at, int32 or int64[n]; a missing one points anywhere, also outside the dictionary."""
    indices: npt.NDArray[Any] = _values(array.indices, array.type.index_type.to_pandas_dtype())
    if indices.dtype in (np.int32, np.int64):
        return indices
    return indices.astype(np.int32 if indices.dtype.itemsize < np.dtype(np.int32).itemsize else np.int64)


def uuid_words(array: pa.Array) -> npt.NDArray[np.uint64]:
    """UUIDs as uint64[n, 2]."""
    return _view(array.buffers()[1], np.dtype(np.uint64), 2 * array.offset, 2 * len(array)).reshape(-1, 2)


def uuid_keys(words: npt.NDArray[np.uint64]) -> ByteKeys:
    """UUIDs as bytes."""
    starts = np.arange(len(words), dtype=np.int64) * UUID_BYTES
    data = np.ascontiguousarray(words).reshape(-1).view(np.uint8)
    return ByteKeys(data, starts, np.full(len(words), UUID_BYTES, np.int32))


def id_column(keys: Keys, id_type: pa.DataType) -> pa.Array:
    """The ids as a column of the type they came in, a dictionary as its value type."""
    if pa.types.is_dictionary(id_type):
        id_type = id_type.value_type
    if isinstance(keys, FixedKeys):
        if id_type in (pa.int64(), pa.uint64()):
            return pa.Array.from_buffers(id_type, len(keys.bits), [None, pa.py_buffer(keys.bits)])
        return pa.array(keys.bits.astype(id_type.to_pandas_dtype()), id_type)
    assert isinstance(keys, ByteKeys)  # wide ones live in the tables only
    n = len(keys.starts)
    if pa.types.is_fixed_size_binary(id_type):
        first = int(keys.starts[0]) if n else 0
        data = keys.data[first : first + n * UUID_BYTES]
        return pa.Array.from_buffers(id_type, n, [None, pa.py_buffer(data)])
    # Keys out of the kernels are compact: each starts where the one before ends.
    offsets = np.zeros(n + 1, np.int64)
    if n:
        offsets[:n] = keys.starts
        offsets[n] = keys.starts[-1] + keys.lengths[-1]
    data = keys.data[offsets[0] : offsets[n]]
    offsets -= offsets[0]
    large = pa.LargeStringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data)))
    return large if pa.types.is_large_string(id_type) else large.cast(pa.string())


# Times


class TimeUnit(NamedTuple):
    """How a time column counts: `ticks_per_day`, and whether it has days only."""

    ticks_per_day: int
    is_date: bool


def time_unit(time_type: pa.DataType) -> TimeUnit:
    """The unit of a timestamp or date column."""
    if pa.types.is_date(time_type):
        return TimeUnit(1, True)
    return TimeUnit(_DAY_SECONDS * _TICKS_PER_SECOND[time_type.unit], False)


def ticks_of(array: pa.Array) -> Ints:
    """The times as int64 ticks since 1970 in the unit they came in; dates as days."""
    if pa.types.is_date32(array.type):
        return _values(array, np.int32).astype(np.int64)
    ticks: Ints = _values(array, np.int64)
    return ticks // (_DAY_SECONDS * 1000) if pa.types.is_date64(array.type) else ticks


def time_column(ticks: Ints, missing: Bools, time_type: pa.DataType) -> pa.Array:
    """Ticks as a column of the type the times came in."""
    ticks = np.where(missing, 0, ticks)
    if pa.types.is_date32(time_type):
        return pa.array(ticks.astype(np.int32), pa.int32(), mask=missing).cast(time_type)
    if pa.types.is_date64(time_type):
        ticks = ticks * (_DAY_SECONDS * 1000)
    return pa.array(ticks, pa.int64(), mask=missing).cast(time_type)


# Amounts


def amount_kind(amount_type: pa.DataType) -> Literal["float", "integer", "decimal"]:
    """float, integer or decimal: how the kernels sum a column of this type."""
    if pa.types.is_integer(amount_type):
        return "integer"
    return "decimal" if pa.types.is_decimal(amount_type) else "float"


def amount_array(array: pa.Array, column: str, *, keep: Bools | None = None, rows_before: int = 0) -> npt.NDArray[Any]:
    """The amounts as float64[n], int64[n], or int64[n, 2] (the words of a decimal128, low first).

    `keep` says which rows count (None: all), `rows_before` how many came in earlier batches: RequestError(OVERFLOW)
    names the first row whose amount none of these can hold.
    """
    kind = amount_kind(array.type)
    if kind == "decimal":
        if not pa.types.is_decimal128(array.type):
            array = _as_decimal128(array, column, keep, rows_before)
        words = _view(array.buffers()[1], np.dtype(np.int64), 2 * array.offset, 2 * len(array))
        return words.reshape(-1, 2)
    if kind == "float":
        if array.type == pa.float64():
            return _values(array, np.float64)
        return _widened(array)
    if array.type == pa.int64():
        return _values(array, np.int64)
    values = _values(array, array.type.to_pandas_dtype())
    if array.type == pa.uint64():
        too_large = values > np.uint64(INT64_MAX)
        if keep is not None:
            too_large &= keep
        if too_large.any():
            row = int(np.argmax(too_large))
            raise _too_large(column, values[row], rows_before + row + 1, "a 64-bit signed integer", "as decimal128")
    return values.astype(np.int64)


def _as_decimal128(array: pa.Array, column: str, keep: Bools | None, rows_before: int) -> pa.Array:
    wide = pa.decimal128(38, array.type.scale)
    if keep is not None:
        array = pc.if_else(pa.array(keep), array, pa.scalar(None, array.type))
    try:
        return array.cast(wide)
    except pa.ArrowInvalid:
        limit = decimal.Decimal(10) ** (38 - wide.scale)
        amounts = enumerate(array.to_pylist(), start=rows_before + 1)
        row, amount = next((row, amount) for row, amount in amounts if amount is not None and abs(amount) >= limit)
        raise _too_large(column, amount, row, "a decimal128 of 38 digits", "in a larger unit") from None


def _too_large(column: str, amount: object, row: int, room: str, remedy: str) -> RequestError:
    return RequestError(
        ErrorCode.OVERFLOW,
        f"Column {column} has {amount} in row {row:,}, more than {room} holds; send amounts that large {remedy}.",
        column=column,
        row=row,
    )


def monetary_column(sums: npt.NDArray[Any], amount_type: pa.DataType) -> pa.Array:
    """Exact sums as a column: float64 for floats, int64 for integers, decimal128(38, s) for decimals."""
    kind = amount_kind(amount_type)
    if kind == "float":
        return pa.array(sums)
    if kind == "integer":
        return pa.array(np.ascontiguousarray(sums[:, 0]))
    result = pa.decimal128(38, amount_type.scale)
    return pa.Array.from_buffers(result, len(sums), [None, pa.py_buffer(np.ascontiguousarray(sums))])


def _widened(array: pa.Array) -> Floats:
    """float32 as float64; a signalling NaN becomes a quiet one, without numpy's warning."""
    with np.errstate(invalid="ignore"):
        return _values(array, array.type.to_pandas_dtype()).astype(np.float64)


def feature_array(array: pa.Array) -> Floats:
    """A numeric column of a customers table as float64; nulls become NaN."""
    if array.type != pa.float64():
        if pa.types.is_decimal(array.type) or pa.types.is_integer(array.type):
            array = array.cast(pa.float64(), safe=False)
        else:
            values = _widened(array)
            array = pa.array(values, mask=np.asarray(array.is_null())) if array.null_count else pa.array(values)
    if array.null_count:
        return np.asarray(array.to_numpy(zero_copy_only=False), np.float64)
    return _values(array, np.float64)


def boolean_bytes(array: pa.Array) -> npt.NDArray[np.uint8]:
    """A boolean column as 0 and 1, anything where it has a null; five times faster than Arrow's cast."""
    return _unpacked(array.buffers()[1], array.offset, len(array))


def _unpacked(buffer: pa.Buffer | None, start: int, n: int) -> npt.NDArray[np.uint8]:
    """`n` bits from `start` on, a byte each."""
    first, bits = divmod(start, 8)
    packed = np.frombuffer(buffer or b"", np.uint8)[first : first + -(-(bits + n) // 8)]
    return np.unpackbits(packed, count=bits + n, bitorder="little")[bits:]


# What is missing


class Holes(NamedTuple):
    """Rows of a batch that lack something: the mask of rows to keep (None: all), and counts of rows.

    `nulls` and `first_null` are by column; a row that is not finite in several columns counts once.
    """

    keep: Bools | None
    nulls: dict[str, int]
    first_null: dict[str, int]
    not_finite: int
    first_not_finite: int
    dropped: int
    not_finite_column: str | None
    """The column of the first value that is not finite."""


def validity(array: pa.Array) -> Bools | None:
    """Which slots hold a value; None when all do. A dictionary can also point at a null of its own."""
    if pa.types.is_dictionary(array.type) and array.dictionary.null_count:
        array = array.dictionary.is_valid().take(array.indices).fill_null(False)
        return np.asarray(array.to_numpy(zero_copy_only=False), np.bool_)
    if array.null_count == 0:
        return None
    bits = array.buffers()[0]
    if bits is None:  # a column of nothing but nulls has none
        return np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    return _unpacked(bits, array.offset, len(array)).view(np.bool_)


def find_holes(columns: dict[str, pa.Array], finite: tuple[str, ...], among: Bools | None = None) -> Holes:
    """Looks for nulls in all columns, and for NaN and infinities in the float columns named in `finite`.

    `among` bool[n]: the only rows that are looked at, and that may be kept.
    """
    keep = among
    finite_rows: Bools | None = None
    unfit: dict[str, int] = {}
    nulls: dict[str, int] = {}
    first_null: dict[str, int] = {}
    n_rows = 0
    for name, array in columns.items():
        n_rows = len(array)
        valid = validity(array)
        if valid is not None and among is not None:
            valid = valid | ~among
        if valid is not None and not valid.all():
            nulls[name] = n_rows - int(np.count_nonzero(valid))
            first_null[name] = int(np.argmin(valid))
            keep = valid if keep is None else keep & valid
        if name in finite and pa.types.is_floating(array.type):
            values = _values(array, array.type.to_pandas_dtype())
            if array.type == pa.float64() and all_finite(values):
                continue
            whole = np.isfinite(values)
            if valid is not None:
                whole |= ~valid  # already counted as null
            if among is not None:
                whole |= ~among
            if not whole.all():
                unfit[name] = int(np.argmin(whole))
                finite_rows = whole if finite_rows is None else finite_rows & whole
    not_finite, first_not_finite = 0, -1
    if finite_rows is not None:
        not_finite, first_not_finite = n_rows - int(np.count_nonzero(finite_rows)), int(np.argmin(finite_rows))
        keep = finite_rows if keep is None else keep & finite_rows
    n_among = n_rows if among is None else int(np.count_nonzero(among))
    dropped = 0 if keep is None else n_among - int(np.count_nonzero(keep))
    column = min(unfit, key=unfit.__getitem__) if unfit else None
    return Holes(keep, nulls, first_null, not_finite, first_not_finite, dropped, column)
