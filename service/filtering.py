"""`where=` on record batches: the tree of `proto.where`, bound to the types of a schema, as a mask of the rows to keep.

Logic has three values, as in SQL: comparing with a missing value (null, NaN) is neither true nor false, and only rows
for which the whole is true are kept. Numbers are compared exactly: 2^53 + 1 is not 2^53, 0.1 is a decimal's 0.1, and
next to a float it is the float nearest to it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import math
import uuid
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from proto.errors import ErrorCode, RequestError
from proto.instants import NANOSECONDS_PER_DAY, instant_ns
from proto.where import All, Comparison, Expression, Not, Operator, Value, columns_of, number_of, parse_where, source_of

__all__ = ["RowFilter", "RowMask"]

Bools = npt.NDArray[np.bool_]
Predicate = Callable[[pa.Array], pa.Array]
"""Values of one column → true, false or null for each."""
OfBatch = Callable[[pa.RecordBatch], pa.Array]

_COMPARE: dict[str, Callable[[pa.Array, pa.Scalar], pa.Array]] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_UNKNOWN = pa.scalar(None, pa.bool_())
_EPOCH_DAYS = dt.date(1970, 1, 1).toordinal()
_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


class RowMask(Protocol):
    """What says which rows of a batch take part."""

    @property
    def text(self) -> str:
        """As it was asked for."""

    def mask(self, batch: pa.RecordBatch) -> Bools | None:
        """Which rows to keep, bool[n]; None: all of them. In any thread."""


class RowFilter:
    """The filter of one request. `names` maps our column names to the sender's, `tz` says when a bare date begins."""

    def __init__(self, where: str, schema: pa.Schema, names: Mapping[str, str], tz: str) -> None:
        self.text = where
        expression = parse_where(where)
        self._fields: dict[str, pa.Field] = {
            column: schema.field(source_of(column, position, schema.names, names))
            for column, position in columns_of(expression).items()
        }
        self._tz = tz
        self._evaluate = self._bound(expression)

    def mask(self, batch: pa.RecordBatch) -> Bools | None:
        """Which rows to keep, bool[n]; None: all of them. In any thread."""
        kept = self._evaluate(batch)
        if kept.null_count == 0 and kept.true_count == len(kept):
            return None
        return np.asarray(kept.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)

    def _bound(self, expression: Expression) -> OfBatch:
        if isinstance(expression, Comparison):
            field = self._fields[expression.column]
            predicate = _predicate(expression, field.type, self._tz)
            return lambda batch: predicate(batch.column(field.name))
        if isinstance(expression, Not):
            inner = self._bound(expression.inner)
            return lambda batch: pc.invert(inner(batch))
        parts = [self._bound(part) for part in expression.parts]
        join = pc.and_kleene if isinstance(expression, All) else pc.or_kleene
        return lambda batch: functools.reduce(join, [part(batch) for part in parts])


def _predicate(comparison: Comparison, kind: pa.DataType, tz: str) -> Predicate:
    if comparison.operator == "is null":
        return _is_missing
    if pt.is_dictionary(kind):
        of_entry = _predicate(comparison, kind.value_type, tz)
        return lambda array: of_entry(array.dictionary).take(array.indices)
    bind = _binder(kind)
    if bind is None:
        raise _mismatch(comparison, comparison.values[0], kind, "null: such a column can only be asked is null")
    tests = [bind(comparison, value, kind, tz) for value in comparison.values]
    if comparison.operator != "in":
        return tests[0]
    return _in(comparison, kind) or (lambda array: functools.reduce(pc.or_kleene, [test(array) for test in tests]))


def _in(comparison: Comparison, kind: pa.DataType) -> Predicate | None:
    """A list of texts as one look-up."""
    if not _is_text(kind):
        return None
    values = pa.array([value.text for value in comparison.values], kind)

    def is_one(array: pa.Array) -> pa.Array:
        found = pc.is_in(array, values)
        return found if array.null_count == 0 else pc.if_else(array.is_valid(), found, _UNKNOWN)

    return is_one


def _mismatch(comparison: Comparison, value: Value, kind: pa.DataType, wanted: str) -> RequestError:
    shown = repr(value.text[:60])
    return RequestError(
        ErrorCode.WRONG_TYPE,
        f"where= compares the column {comparison.column!r}, which has the type {kind}, with {shown} at character "
        f"{value.position}; it compares with {wanted}.",
        option="where",
        column=comparison.column,
        position=value.position,
        found=value.text[:60],
        wanted=wanted,
    )


# What is missing, and what is the same for all that is there


def _is_missing(array: pa.Array) -> pa.Array:
    """Null or NaN; an entry of a dictionary may be a null, too."""
    if pt.is_dictionary(array.type):
        return pc.invert(array.dictionary.is_valid().take(array.indices).fill_null(False))
    return array.is_null(nan_is_null=pt.is_floating(array.type))


def _always(array: pa.Array) -> pa.Array:
    return pc.if_else(array.is_valid(), pa.scalar(True), _UNKNOWN)


def _never(array: pa.Array) -> pa.Array:
    return pc.if_else(array.is_valid(), pa.scalar(False), _UNKNOWN)


# One binder per family of types: (comparison, value, type, tz) → predicate

Binder = Callable[[Comparison, Value, pa.DataType, str], Predicate]


class _Whole(NamedTuple):
    """Values as whole numbers between two bounds: how the array shows them, and what one of them is as a scalar."""

    low: int
    high: int
    array: Callable[[pa.Array], pa.Array]
    scalar: Callable[[int], pa.Scalar]


def _against(operator: Operator, wanted: Fraction, whole: _Whole) -> Predicate:
    """Whole numbers against any number: x > 2.5 is x > 2, x = 2.5 is never true."""
    is_whole = wanted.denominator == 1
    if not is_whole and operator in ("=", "!=", "in"):
        return _always if operator == "!=" else _never
    number = math.ceil(wanted) if operator in ("<", ">=") else math.floor(wanted)
    if not whole.low <= number <= whole.high:
        is_below = number > whole.high  # all there are
        holds = operator == "!=" or (is_below and operator in ("<", "<=")) or (not is_below and operator in (">", ">="))
        return _always if holds else _never
    compare = _COMPARE["=" if operator == "in" else operator]
    scalar = whole.scalar(number)
    return lambda array: compare(whole.array(array), scalar)


def _integers(comparison: Comparison, value: Value, kind: pa.DataType, tz: str) -> Predicate:
    limits = np.iinfo(kind.to_pandas_dtype())
    whole = _Whole(int(limits.min), int(limits.max), lambda array: array, lambda n: pa.scalar(n, kind))
    return _against(comparison.operator, _number(comparison, value, kind), whole)


def _decimals(comparison: Comparison, value: Value, kind: pa.DataType, tz: str) -> Predicate:
    precision = min(kind.precision, 76)
    top = 10**precision - 1
    wide = pa.decimal256(precision, kind.scale) if precision > 38 else pa.decimal128(precision, kind.scale)

    def scalar(n: int) -> pa.Scalar:
        with decimal.localcontext(prec=80):
            return pa.scalar(decimal.Decimal(n).scaleb(-kind.scale), wide)

    whole = _Whole(-top, top, lambda array: array.cast(wide), scalar)
    scaled = _number(comparison, value, kind) * Fraction(10) ** kind.scale
    return _against(comparison.operator, scaled, whole)


def _floats(comparison: Comparison, value: Value, kind: pa.DataType, tz: str) -> Predicate:
    """NaN is no number to compare with: unknown, like null."""
    number = _number(comparison, value, kind)
    try:
        wanted = number.numerator / number.denominator
    except OverflowError:
        wanted = math.copysign(math.inf, number)
    half = pt.is_float16(kind)
    compare = _COMPARE["=" if comparison.operator == "in" else comparison.operator]
    with np.errstate(over="ignore"):
        nearest = float(kind.to_pandas_dtype()(wanted))
    scalar = pa.scalar(nearest, pa.float32() if half else kind)

    def test(array: pa.Array) -> pa.Array:
        array = array.cast(pa.float32()) if half else array
        found, strange = compare(array, scalar), pc.is_nan(array)
        return pc.if_else(strange, _UNKNOWN, found) if strange.true_count else found

    return test


def _texts(comparison: Comparison, value: Value, kind: pa.DataType, tz: str) -> Predicate:
    compare = _COMPARE["=" if comparison.operator == "in" else comparison.operator]
    scalar = pa.scalar(value.text, kind)
    return lambda array: compare(array, scalar)


def _booleans(comparison: Comparison, value: Value, kind: pa.DataType, tz: str) -> Predicate:
    word = value.text.lower()
    if word not in ("true", "false") or comparison.operator not in ("=", "!=", "in"):
        raise _mismatch(comparison, value, kind, "true or false, by = or !=")
    wanted = (word == "true") is (comparison.operator != "!=")
    return (lambda array: array) if wanted else pc.invert


def _uuids(comparison: Comparison, value: Value, kind: pa.DataType, tz: str) -> Predicate:
    try:
        if comparison.operator not in ("=", "!=", "in"):
            raise ValueError
        scalar = pa.scalar(uuid.UUID(value.text).bytes, kind)
    except ValueError:
        raise _mismatch(comparison, value, kind, "a UUID, by = or !=") from None
    compare = pc.not_equal if comparison.operator == "!=" else pc.equal
    return lambda array: compare(array, scalar)


def _nothing(comparison: Comparison, value: Value, kind: pa.DataType, tz: str) -> Predicate:
    return lambda array: pa.nulls(len(array), pa.bool_())


def _number(comparison: Comparison, value: Value, kind: pa.DataType) -> Fraction:
    number = number_of(value)
    if number is None:
        raise _mismatch(comparison, value, kind, "a number without quotes, such as 60 or 12.5")
    return number


# Times


_INT64 = _Whole(-(2**63), 2**63 - 1, lambda array: array.view(pa.int64()), lambda n: pa.scalar(n, pa.int64()))


def _dates(comparison: Comparison, value: Value, kind: pa.DataType, tz: str) -> Predicate:
    day = _day(value.text)
    if day is None:
        raise _mismatch(comparison, value, kind, "a date such as 2026-01-31")
    whole = _Whole(
        -(2**31),
        2**31 - 1,
        lambda array: array.cast(pa.date32(), safe=False).view(pa.int32()),
        lambda n: pa.scalar(n, pa.int32()),
    )
    return _against(comparison.operator, Fraction(day), whole)


def _timestamps(comparison: Comparison, value: Value, kind: pa.DataType, tz: str) -> Predicate:
    """A date stands for the whole day in `tz`: = within it, > after it, < before it."""
    tick_ns = _UNIT_NS[kind.unit]
    operator = comparison.operator
    day = _day(value.text)
    if day is None:
        instant = _instant(value.text)
        if instant is None:
            raise _mismatch(comparison, value, kind, "a date such as 2026-01-31, or a time such as '2026-01-31T12:00Z'")
        return _against(operator, Fraction(instant, tick_ns), _INT64)
    end = instant_ns(value.text, tz, 0) + 1
    start = _start_of(value.text, tz)
    from_start = _against(">=", Fraction(start, tick_ns), _INT64)
    from_end = _against(">=", Fraction(end, tick_ns), _INT64)
    if operator in (">=", "<"):
        return from_start if operator == ">=" else lambda array: pc.invert(from_start(array))
    if operator in (">", "<="):
        return from_end if operator == ">" else lambda array: pc.invert(from_end(array))
    if operator == "!=":
        return lambda array: pc.or_(pc.invert(from_start(array)), from_end(array))
    return lambda array: pc.and_(from_start(array), pc.invert(from_end(array)))


def _clocks(comparison: Comparison, value: Value, kind: pa.DataType, tz: str) -> Predicate:
    try:
        clock = dt.time.fromisoformat(value.text)
        if clock.tzinfo is not None:
            raise ValueError
    except ValueError:
        raise _mismatch(comparison, value, kind, "a time of day such as 17:30") from None
    micros = ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 10**6 + clock.microsecond
    bits = pa.int32() if pt.is_time32(kind) else pa.int64()
    whole = _Whole(0, 86_400 * 10**9, lambda array: array.view(bits), lambda n: pa.scalar(n, bits))
    return _against(comparison.operator, Fraction(micros * 1000, _UNIT_NS[kind.unit]), whole)


def _day(text: str) -> int | None:
    """A bare date as days since 1970."""
    if len(text) != len("2026-01-31"):
        return None
    try:
        return dt.date.fromisoformat(text).toordinal() - _EPOCH_DAYS
    except ValueError:
        return None


def _start_of(date: str, tz: str) -> int:
    """The first nanosecond of the day: the one behind the last of the day before."""
    before = dt.date.fromisoformat(date)
    if before == dt.date.min:
        return -_EPOCH_DAYS * NANOSECONDS_PER_DAY
    return instant_ns((before - dt.timedelta(days=1)).isoformat(), tz, 0) + 1


def _instant(text: str) -> int | None:
    """A time as nanoseconds since 1970; without an offset it is UTC."""
    text = text.upper()
    try:
        if _day(text[:10]) is None:
            return None
        zoned = any(mark in text[11:] for mark in "Z+-") or " " in text[11:]
        return instant_ns(text if zoned else f"{text}Z", "UTC", 0)
    except ValueError:
        return None


# Which binder


def _is_text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind))


_BINDERS: tuple[tuple[Callable[[pa.DataType], bool], Binder], ...] = (
    (_is_text, _texts),
    (pt.is_integer, _integers),
    (pt.is_floating, _floats),
    (pt.is_decimal, _decimals),
    (pt.is_boolean, _booleans),
    (pt.is_timestamp, _timestamps),
    (pt.is_date, _dates),
    (pt.is_time, _clocks),
    (lambda kind: pt.is_fixed_size_binary(kind) and kind.byte_width == 16, _uuids),
    (pt.is_null, _nothing),
)


def _binder(kind: pa.DataType) -> Binder | None:
    """None for types that can only be asked whether they are null: durations, binary."""
    return next((binder for fits, binder in _BINDERS if fits(kind)), None)
