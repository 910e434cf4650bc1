"""The request options: query parameters, one pydantic model per endpoint.

Each option is documented where it is declared; the OpenAPI document, the command line's help and the table in
`proto/README.md` are made from these declarations.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import zoneinfo
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from proto.classes import Lang
from proto.errors import ErrorCode, RequestError

__all__ = [
    "INPUT_COLUMNS",
    "Features",
    "FitOptions",
    "ScoreOptions",
    "SegmentOptions",
    "parse_options",
]

INPUT_COLUMNS = ("customer_id", "timestamp", "amount", "order_id")
OutputField = Literal[
    "customer_id",
    "recency_days",
    "frequency",
    "monetary",
    "value_score",
    "value_percentile",
    "segment_id",
    "segment",
    "rfm_class",
    "tenure_days",
    "first_at",
    "last_at",
    "explain",
]
OUTPUT_FIELDS: tuple[str, ...] = get_args(OutputField)
MAX_FEATURES = 32
MAX_SEGMENTS = 256
EXACT_SEED = 2**53 - 1  # seeds live in the model's JSON, where larger integers lose digits


def _split(value: Any) -> Any:
    """`a,b,c` as a list; an empty string is an empty list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value.strip() else []
    return value


def _pairs(value: Any) -> Any:
    """`a:1,b:2` as a dict."""
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    for part in _split(value):
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


def _log(value: Any) -> Any:
    names = _split(value)
    return [] if names == ["none"] else names


def _features(value: Any) -> Any:
    names = _split(value)
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


def _fields(value: Any) -> Any:
    names = _split(value)
    if not names:
        raise ValueError("no column is named; leave the option out for the usual ones")
    return names


Columns = Annotated[dict[str, str], BeforeValidator(_column_names)]
Features = Annotated[list[str], BeforeValidator(_features)]
Weights = Annotated[dict[str, float], BeforeValidator(_weights)]
Names = Annotated[list[str], BeforeValidator(_log)]
Days = Annotated[float, BeforeValidator(_window)]
AsOf = Annotated[str, BeforeValidator(_as_of)]
ScoreAsOf = Annotated[str, BeforeValidator(_score_as_of)]
Zone = Annotated[str, BeforeValidator(_zone)]
Occasion = Literal["order", "time", "day", "row"]
Refunds = Literal["net", "drop", "error"]
Nulls = Literal["error", "drop"]
Scaler = Literal["zscore", "minmax", "robust", "none"]
FieldNames = Annotated[list[OutputField], BeforeValidator(_fields)]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Columns = Field(
        default={},
        description="Your column names: customer_id:household_id,amount:sales_value.",
        json_schema_extra={"format": "name:column,…"},
    )
    input: Literal["auto", "transactions", "customers"] = Field(
        default="auto",
        description="What a row is. auto: transactions where timestamp and amount are there, else customers.",
    )
    nulls: Nulls = Field(
        default="error",
        description="Rows with a missing value (or an amount that is not finite): refuse, or leave out and count.",
    )


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: FieldNames | None = Field(
        default=None,
        description="Output columns to send, among: " + ", ".join(OUTPUT_FIELDS) + ". Default: all up to rfm_class.",
        json_schema_extra={"format": "name,…"},
    )
    lang: Lang = Field(default="code", description="How segments and classes are named: code, English, Chinese.")


class _Fitting(_Options):
    as_of: AsOf = Field(
        default="max",
        description="The instant recency counts from: max (the latest row), now, a date (to its end in tz) or an "
        "RFC 3339 time. Later rows are left out and counted.",
    )
    tz: Zone = Field(default="UTC", description="IANA time zone that defines days and bare dates.")
    window: Days | None = Field(
        default=None,
        description="Only rows in the last so many days before as_of (365d). Default: everything. Needs an "
        "explicit as_of.",
        json_schema_extra={"format": "<days>d"},
    )
    occasion: Occasion | None = Field(
        default=None,
        description="What frequency counts: order (distinct order_id; default where that column is there), time "
        "(distinct times; default otherwise), day (distinct days in tz), row.",
    )
    refunds: Refunds = Field(
        default="net",
        description="Rows with amount < 0: net (lower monetary, are no purchase), drop, error.",
    )
    monetary: Literal["sum", "mean"] = Field(
        default="sum", description="Monetary value: the net sum, or the mean per occasion."
    )
    whole_days: bool = Field(default=False, description="Floor recency to whole days.")
    features: Features | None = Field(
        default=None,
        description="What to segment by; a leading - means smaller is better. Default: "
        "recency_days,frequency,monetary.",
        json_schema_extra={"format": "name,…"},
    )
    log: Names | None = Field(
        default=None,
        description="Features taken as sign(x)·log1p(100·|x|/u); none for no logs. Default: frequency,monetary "
        "where they are features.",
        json_schema_extra={"format": "name,… or none"},
    )
    log_unit: Literal["median", "plain"] = Field(
        default="median",
        description="The u of log: the median of the non-zero |x|, or plain log1p(|x|).",
    )
    scaler: Scaler = Field(default="zscore", description="How features are standardised.")
    weights: Weights | None = Field(
        default=None,
        description="Weights of the features, normalised to sum 1: recency_days:0.2,frequency:0.3,monetary:0.5. "
        "Every feature is named; 0 leaves one out of the distances. Default: equal.",
        json_schema_extra={"format": "name:number,…"},
    )
    k: int = Field(default=8, ge=1, le=MAX_SEGMENTS, description="How many segments.")
    strict_k: bool = Field(
        default=False, description="Refuse when there are fewer than k distinct customers, instead of lowering k."
    )
    n_init: int = Field(default=10, ge=1, le=100, description="How many k-means starts compete.")
    seed: int = Field(default=0, ge=0, le=EXACT_SEED, description="Seed of the random numbers.")
    init: str | None = Field(
        default=None,
        description="Model to start from, so that segment ids are kept: a name, or inline for the one that comes with "
        "the data.",
    )
    class_cut: Literal["mean", "median"] = Field(
        default="mean", description="What a customer's own class compares with: the mean or the median."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> _Fitting:
        if self.window is not None and self.as_of == "max":
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                "window= needs an explicit as_of= (a date, a time, or now): rows are not kept, so the window's end "
                "must be known when they arrive.",
                option="as_of",
                found="max",
            )
        return self


class FitOptions(_Fitting):
    """Options of `POST /v1/fit`."""

    name: ClassVar[str] = "fit"


class SegmentOptions(_Fitting, _Reply):
    """Options of `POST /v1/segment`."""

    name: ClassVar[str] = "segment"


class ScoreOptions(_Options, _Reply):
    """Options of `POST /v1/score`. What the model fixes may be repeated, but not contradicted."""

    name: ClassVar[str] = "score"

    model: str | None = Field(
        default=None,
        description="Name or id of a model this service was started with. Else the model travels in the body.",
    )
    as_of: ScoreAsOf | None = Field(
        default=None,
        description="The instant recency counts from: now, a date (to its end in tz) or an RFC 3339 time. "
        "Required for transactions.",
    )
    tz: Zone | None = Field(default=None, description="Fixed by the model.")
    window: Days | None = Field(
        default=None, description="Fixed by the model.", json_schema_extra={"format": "<days>d"}
    )
    occasion: Occasion | None = Field(default=None, description="Fixed by the model.")
    refunds: Refunds | None = Field(default=None, description="Fixed by the model.")
    monetary: Literal["sum", "mean"] | None = Field(default=None, description="Fixed by the model.")
    whole_days: bool | None = Field(default=None, description="Fixed by the model.")
    features: Features | None = Field(
        default=None, description="Fixed by the model.", json_schema_extra={"format": "name,…"}
    )
    log: Names | None = Field(
        default=None, description="Fixed by the model.", json_schema_extra={"format": "name,… or none"}
    )
    log_unit: Literal["median", "plain"] | None = Field(default=None, description="Fixed by the model.")
    scaler: Scaler | None = Field(default=None, description="Fixed by the model.")
    weights: Weights | None = Field(
        default=None, description="Fixed by the model.", json_schema_extra={"format": "name:number,…"}
    )
    k: int | None = Field(default=None, ge=1, le=MAX_SEGMENTS, description="Fixed by the model.")
    seed: int | None = Field(default=None, ge=0, le=EXACT_SEED, description="Fixed by the model.")
    class_cut: Literal["mean", "median"] | None = Field(default=None, description="Fixed by the model.")


_O = TypeVar("_O", bound=BaseModel)


def parse_options(kind: type[_O], query: Iterable[tuple[str, str]]) -> _O:
    """The options of one request from its decoded query parameters.

    Raises RequestError for an unknown, repeated, malformed or conflicting option; the message names it.
    """
    values: dict[str, str] = {}
    for name, value in query:
        if name not in kind.model_fields:
            known = ", ".join(kind.model_fields)
            raise RequestError(
                ErrorCode.UNKNOWN_OPTION,
                f"There is no option {name!r} here. The options are: {known}.",
                option=name,
                wanted=list(kind.model_fields),
            )
        if name in values:
            raise RequestError(
                ErrorCode.REPEATED_OPTION,
                f"The option {name} is given twice ({values[name]!r} and {value!r}); give it once.",
                option=name,
                found=[values[name], value],
            )
        values[name] = value
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _refusal(error, values) from None


def _refusal(error: ValidationError, values: dict[str, str]) -> RequestError:
    first = error.errors(include_url=False, include_context=False)[0]
    what = str(first["msg"]).removeprefix("Value error, ")
    name = str(first["loc"][0])
    return RequestError(
        ErrorCode.BAD_OPTION,
        f"{name}={values.get(name)} cannot be used: {what[0].lower()}{what[1:]}.",
        option=name,
        found=values.get(name),
        wanted=what,
    )
