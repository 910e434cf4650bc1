"""Text → times and numbers, with the row and the value in the error. JSON and CSV share it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from proto.errors import ErrorCode, RequestError

__all__ = ["TimeForm", "bad_value", "flags", "numbers", "time_form", "time_type", "times"]

TimeForm = Literal["date", "zoned", "naive"]

_OFFSET = re.compile(r"([Zz]|[+-]\d\d(:?\d\d)?)$")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DATE_LENGTH = len("2026-01-31")
_TYPES: dict[TimeForm, pa.DataType] = {
    "date": pa.date32(),
    "zoned": pa.timestamp("us", "UTC"),
    "naive": pa.timestamp("us"),
}
_FORMS: dict[TimeForm, str] = {
    "date": "a date such as 2026-01-31",
    "zoned": "a time with its offset such as 2026-01-31T12:00:00Z",
    "naive": "a time without an offset such as 2026-01-31T12:00:00",
}
_TIME = "an RFC 3339 time such as 2026-01-31T12:00:00Z, or a date such as 2026-01-31"


def bad_value(column: str, row: int, found: object, wanted: str, remedy: str) -> RequestError:
    """The refusal of one value. `row` counts from 1, without a header."""
    shown = repr(found)[:120]
    return RequestError(
        ErrorCode.BAD_VALUE,
        f"Row {row:,} of {column!r} is {shown}, not {wanted}. {remedy}".strip(),
        column=column,
        row=row,
        found=found if isinstance(found, int | float | bool | None) else str(found)[:120],
        wanted=wanted,
    )


def time_form(texts: pa.Array) -> TimeForm | None:
    """The form of the first value that is there; None where there is none, or where it is no time."""
    if texts.null_count == len(texts):
        return None
    first = next(value for value in (scalar.as_py() for scalar in texts) if value is not None).strip()
    if _DATE.fullmatch(first):
        return "date"
    if not _DATE.match(first):
        return None
    # The offset is looked for behind the date, whose last part would pass for one.
    return "zoned" if _OFFSET.search(first[_DATE_LENGTH:]) else "naive"


def time_type(form: TimeForm | None) -> pa.DataType:
    """The type of a column of this form; of one without values, a time in UTC."""
    return _TYPES[form or "zoned"]


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        return None


def _first_bad(texts: pa.Array, reads: Callable[[pa.Array], bool]) -> int:
    """Index of the first value that cannot be read, by halving."""
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        if reads(texts.slice(low, middle - low)):
            low = middle
        else:
            high = middle
    return low


def _tidy_times(texts: pa.Array) -> pa.Array:
    """RFC 3339 as pyarrow reads it: T and Z in capitals, no digits beyond microseconds (.NET and Go send 7 to 9)."""
    tidy = pc.utf8_upper(pc.utf8_trim_whitespace(texts))
    return pc.replace_substring_regex(tidy, r"(\.\d{6})\d+", r"\1")


def times(texts: pa.Array, form: TimeForm | None, column: str, first_row: int) -> pa.Array:
    """The times in `texts`, all of one form: date32, timestamp[us, UTC] or timestamp[us].

    RequestError(BAD_VALUE) names the first row that has another form, or cannot be read.
    """
    kind = time_type(form)
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), kind)
    if form is None:
        i = next(i for i, scalar in enumerate(texts) if scalar.is_valid)
        raise bad_value(column, first_row + i, texts[i].as_py(), _TIME, "Write it like that.")

    def read(part: pa.Array) -> pa.Array | None:
        if form == "naive" and pc.min(pc.binary_length(part)).as_py() in range(_DATE_LENGTH + 1):
            return None  # a bare date among times would pass as midnight
        return _cast(part, kind)

    parsed = read(texts)
    if parsed is None:
        parsed = read(_tidy_times(texts))
    if parsed is not None:
        return parsed
    i = _first_bad(texts, lambda part: read(_tidy_times(part)) is not None)
    remedy = "The first value of the column is one, and all must have the same form."
    if texts.slice(0, i).null_count == i and first_row == 1:
        remedy = "Write it like that."
    raise bad_value(column, first_row + i, texts[i].as_py(), _FORMS[form], remedy)


def numbers(texts: pa.Array, column: str, first_row: int) -> pa.Array:
    """The float64 numbers in `texts`; RequestError(BAD_VALUE) names the first that is none."""
    parsed = _cast(texts, pa.float64())
    if parsed is None:
        texts = pc.utf8_trim_whitespace(texts)
        parsed = _cast(texts, pa.float64())
    if parsed is not None:
        return parsed
    i = _first_bad(texts, lambda part: _cast(part, pa.float64()) is not None)
    found = texts[i].as_py()
    remedy = "Write 1234.50: a decimal point, no separators, no currency; leave missing values empty."
    raise bad_value(column, first_row + i, found, "a number", remedy)


def flags(texts: pa.Array, column: str, first_row: int) -> pa.Array:
    """The booleans in `texts` (true and false in any case, 1 and 0); RequestError(BAD_VALUE) names the first other."""
    tidy = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    true, false = pc.is_in(tidy, pa.array(["true", "1"])), pc.is_in(tidy, pa.array(["false", "0"]))
    other = pc.invert(pc.or_(pc.or_(true, false), texts.is_null()))
    i = pc.index(other, True).as_py()
    if i >= 0:
        raise bad_value(column, first_row + i, texts[i].as_py(), "true or false", "Write true, false, 1 or 0.")
    return pc.if_else(texts.is_valid(), true, pa.scalar(None, pa.bool_()))
