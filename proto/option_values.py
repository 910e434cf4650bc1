"""How the values of the request options are written: text → value, for pydantic.

A checker leaves what is no text as it is; its ValueError says what is wanted.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import zoneinfo
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from proto.ahp import matrix_of
from proto.where import parse_where

__all__ = [
    "MAX_FEATURES",
    "Ahp",
    "AsOf",
    "Columns",
    "Days",
    "Features",
    "GroupColumn",
    "Names",
    "Nulls",
    "Occasion",
    "Refunds",
    "Scaler",
    "Schemes",
    "ScoreAsOf",
    "Unit",
    "ValueKind",
    "Weights",
    "Where",
    "Zone",
    "checked_by",
    "split_fields",
    "split_names",
]

MAX_FEATURES = 32
ValueKind = Literal["id", "time", "number", "text", "flag"]
"""What a column's values are, for formats that have no types: CSV and, in part, JSON."""


def checked_by(check: Callable[[str], object]) -> BeforeValidator:
    """For text that is kept as it was written once `check` accepts it; its ValueError says what is wanted."""

    def checked(value: Any) -> Any:
        if isinstance(value, str):
            check(value)
        return value

    return BeforeValidator(checked)


def split_names(value: Any) -> Any:
    """`a,b,c` as a list; an empty string is an empty list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value.strip() else []
    return value


def _pairs(value: Any) -> Any:
    """`a:1,b:2` as a dict."""
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    for part in split_names(value):
        name, colon, right = part.partition(":")
        if not colon or not name.strip() or not right.strip():
            raise ValueError(f"{part!r} is not of the form name:value")
        if name.strip() in pairs:
            raise ValueError(f"{name.strip()!r} stands there twice")
        pairs[name.strip()] = right.strip()
    return pairs


def _column_names(value: Any) -> Any:
    pairs = _pairs(value)
    if isinstance(pairs, dict) and len(set(pairs.values())) < len(pairs):
        raise ValueError("one column of yours is mapped to two names")
    return pairs


def _weights(value: Any) -> Any:
    pairs = _pairs(value)
    if not isinstance(pairs, dict):
        return pairs
    weights = {}
    for name, text in pairs.items():
        try:
            weights[name] = float(text)
        except ValueError:
            weights[name] = math.nan
        if not math.isfinite(weights[name]) or weights[name] < 0:
            raise ValueError(f"the weight of {name} is {text}, not a number ≥ 0")
    if not weights:
        raise ValueError("no weight is given; leave the option out for equal ones")
    if sum(weights.values()) == 0:
        raise ValueError("all weights are 0")
    if not math.isfinite(sum(weights.values())):
        raise ValueError("the weights are too large to be added up")
    return weights


def _schemes(value: Any) -> Any:
    names = split_names(value)
    if not isinstance(names, list):
        return names
    if not names:
        raise ValueError("no scheme is named; leave the option out for none")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"the scheme {twice} stands there twice")
    return {name: {} for name in names}


def _log(value: Any) -> Any:
    names = split_names(value)
    return [] if names == ["none"] else names


def _features(value: Any) -> Any:
    names = split_names(value)
    if not isinstance(names, list):
        return names
    bare = [name.removeprefix("-") for name in names]
    if not all(bare):
        raise ValueError("a feature name is empty")
    if len(set(bare)) < len(bare):
        raise ValueError("a feature stands there twice")
    if not 1 <= len(names) <= MAX_FEATURES:
        raise ValueError(f"there are {len(names)} features; 1 to {MAX_FEATURES} can be used")
    return names


_DAYS = re.compile(r"([0-9]{1,6}(?:\.[0-9]+)?)d")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _window(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _DAYS.fullmatch(value)
    if match is None or float(match[1]) <= 0:
        raise ValueError("a window is a number of days above 0 followed by d, such as 365d")
    return float(match[1])


def _as_of(value: Any) -> Any:
    """Checks the form only; `proto.instants` knows what it means in a time zone."""
    if not isinstance(value, str) or value in ("max", "now"):
        return value
    try:
        if _DATE.fullmatch(value):
            dt.date.fromisoformat(value)
            return value
        # A literal + in a query string arrives as a space; RFC 3339 allows t and z.
        value = re.sub(r" (?=\d\d:\d\d$)", "+", value).upper()
        if dt.datetime.fromisoformat(value).tzinfo is None:
            raise ValueError("no offset")
    except ValueError:
        raise ValueError(
            "as_of is max, now, a date such as 2026-01-31, or a time with its offset such as 2026-01-31T12:00:00Z"
        ) from None
    return value


def _score_as_of(value: Any) -> Any:
    if value == "max":
        raise ValueError(
            "a lone customer's own latest row would make every recency 0; give a date, a time with its offset, or now"
        )
    return _as_of(value)


# Names of the zone database that are no places: the machine's own zone, none at all, a clock that counts leap seconds.
_NO_ZONE = re.compile(r"localtime|posixrules|Factory|(posix|right)/.*")


def _zone(value: Any) -> Any:
    try:
        if _NO_ZONE.fullmatch(value):
            raise ValueError
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise ValueError("not an IANA time zone name, such as Europe/Berlin or UTC") from None
    return value


def _column(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("no column is named")
    return value


def split_fields(value: Any) -> Any:
    names = split_names(value)
    if not names:
        raise ValueError("no column is named; leave the option out for the usual ones")
    return names


Schemes = Annotated[dict[str, dict[str, str]], BeforeValidator(_schemes)]
Columns = Annotated[dict[str, str], BeforeValidator(_column_names)]
Features = Annotated[list[str], BeforeValidator(_features)]
Ahp = Annotated[str, checked_by(matrix_of)]
Weights = Annotated[dict[str, float], BeforeValidator(_weights)]
Names = Annotated[list[str], BeforeValidator(_log)]
Days = Annotated[float, BeforeValidator(_window)]
AsOf = Annotated[str, BeforeValidator(_as_of)]
ScoreAsOf = Annotated[str, BeforeValidator(_score_as_of)]
Zone = Annotated[str, BeforeValidator(_zone)]
Where = Annotated[str, checked_by(parse_where)]
GroupColumn = Annotated[str, BeforeValidator(_column)]
Unit = Literal["customer", "row"]
Occasion = Literal["order", "time", "day", "row"]
Refunds = Literal["net", "drop", "error"]
Nulls = Literal["error", "drop"]
Scaler = Literal["zscore", "minmax", "robust", "none"]
