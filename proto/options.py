"""The request options: query parameters, one pydantic model per endpoint.

Each option is documented where it is declared; the OpenAPI document, the command line's help and the table in
`proto/README.md` are made from these declarations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from proto.ahp import check_consistency
from proto.classes import RFM, Lang
from proto.errors import ErrorCode, RequestError
from proto.option_values import (
    Ahp,
    AsOf,
    Columns,
    Days,
    Features,
    GroupColumn,
    Names,
    Nulls,
    Occasion,
    Refunds,
    Scaler,
    Schemes,
    ScoreAsOf,
    Unit,
    ValueKind,
    Weights,
    Where,
    Zone,
    split_fields,
)

__all__ = [
    "AGGREGATION_OPTIONS",
    "INPUT_COLUMNS",
    "FitOptions",
    "ScoreOptions",
    "SegmentOptions",
    "parse_options",
]

INPUT_COLUMNS = ("customer_id", "timestamp", "amount", "order_id")
AGGREGATION_OPTIONS = ("tz", "window", "occasion", "refunds", "monetary", "whole_days", "rollup")
"""How transactions become customers; with as_of, what has no effect on a customers table."""
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
MAX_SEGMENTS = 256
EXACT_SEED = 2**53 - 1  # seeds live in the model's JSON, where larger integers lose digits

Rollup = Annotated[str, Field(min_length=1, max_length=200)]
FieldNames = Annotated[list[OutputField], BeforeValidator(split_fields)]


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
    where: Where | None = Field(
        default=None,
        description="Only rows for which this holds: screen_inches>=60 and region in (north,south). Rows left out are "
        "counted.",
        json_schema_extra={"format": "column=value and …"},
    )

    def named_columns(self) -> dict[str, tuple[str, ValueKind]]:
        """Columns that options name: by option, the column and what its values are (number or flag)."""
        return {}


_SCHEMES: Any = Field(
    default={},
    description="Value schemes to add, among those that GET /v1/schemes lists: pareto,loyalty. Their parameters are "
    "options too, written <scheme>.<parameter>: growth.window=60d. Score: among those in the model, whose parameters "
    "may be repeated.",
    json_schema_extra={"format": "name,…"},
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
    schemes: Schemes = _SCHEMES
    partition_by: GroupColumn | None = Field(
        default=None,
        description="Column that parts customers into groups (region, channel, industry), each with a fit of its own: "
        "the reply gains the column group, the model becomes a bundle by group. At most 1,000 groups.",
        json_schema_extra={"format": "column"},
    )
    unit: Unit = Field(
        default="customer",
        description="With partition_by: a customer belongs to the group of its last value (customer), or to the group "
        "of each of its rows (row), so that one who buys in two regions is in both.",
    )
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
    rollup: Rollup | None = Field(
        default=None,
        description="Column of the households: aggregate and fit those. Rows of the reply are their members. Arrow and "
        "JSON may send a mapping of members to households instead of the column.",
        json_schema_extra={"format": "column"},
    )
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
    ahp: Ahp | None = Field(
        default=None,
        description="Weights from pairwise comparisons, in the order of features: 1,1/3;3,1 says that the second is "
        "three times as important. telecom is a preset for recency, frequency and monetary value.",
        json_schema_extra={"format": "ratio,ratio;ratio,ratio"},
    )
    k: Annotated[int, Field(ge=1, le=MAX_SEGMENTS)] | Literal["auto"] = Field(
        default=8,
        description="How many segments; auto: the best number from 4 to 12 by k_by, each segment at least 1 %.",
        json_schema_extra={"format": f"1 … {MAX_SEGMENTS} or auto"},
    )
    k_by: Literal["silhouette", "calinski_harabasz", "davies_bouldin"] = Field(
        default="silhouette", description="The index by which k=auto compares numbers of segments, on a sample."
    )
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
        if self.rollup is not None and self.partition_by is not None:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"rollup={self.rollup} segments households, whose members may be in different groups of "
                f"partition_by={self.partition_by}; ask for one of the two. where={self.partition_by}=... takes one "
                "group at a time.",
                option="rollup",
                found=self.partition_by,
            )
        if self.ahp is not None:
            if self.weights is not None:
                raise RequestError(
                    ErrorCode.CONFLICTING_OPTIONS,
                    "ahp= and weights= both say how much each feature counts; give one of them.",
                    option="ahp",
                )
            check_consistency(self.ahp, [name.removeprefix("-") for name in self.features or RFM])
        if "unit" in self.model_fields_set and self.partition_by is None:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"unit={self.unit} says which group of partition_by= a customer belongs to, and means nothing without "
                "it; give both, or neither.",
                option="unit",
                wanted="partition_by",
            )
        if "k_by" in self.model_fields_set and self.k != "auto":
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"k_by={self.k_by} chooses the number of segments, and k={self.k} gives it; say k=auto, or leave k_by "
                "out.",
                option="k_by",
                found=self.k,
                wanted="auto",
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

    schemes: Schemes = _SCHEMES
    partition_by: GroupColumn | None = Field(
        default=None, description="Fixed by the model.", json_schema_extra={"format": "column"}
    )
    unit: Unit | None = Field(default=None, description="Fixed by the model.")
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
    rollup: Rollup | None = Field(
        default=None, description="Fixed by the model.", json_schema_extra={"format": "column"}
    )
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
        if name not in kind.model_fields and not ("." in name and "schemes" in kind.model_fields):
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
        return kind.model_validate(_with_parameters(values) if any("." in name for name in values) else values)
    except ValidationError as error:
        raise _refusal(error, values) from None


def _with_parameters(values: dict[str, str]) -> dict[str, Any]:
    """The options with what is written `<scheme>.<parameter>` put to its scheme."""
    named = [name.strip() for name in values.get("schemes", "").split(",")]
    schemes: dict[str, dict[str, str]] = {name: {} for name in named if name}
    for name in [name for name in values if "." in name]:
        scheme, _, parameter = name.partition(".")
        if scheme not in schemes:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"{name}={values[name]} is a parameter of the scheme {scheme}, which schemes= does not name. Add it "
                f"there (schemes={','.join([*schemes, scheme])}), or leave the parameter out.",
                option=name,
                found=list(schemes),
                wanted=scheme,
            )
        schemes[scheme][parameter] = values[name]
    plain: dict[str, Any] = {name: value for name, value in values.items() if "." not in name}
    return plain | ({"schemes": schemes} if len(schemes) == len(named) else {})


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
