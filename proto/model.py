"""The fitted model: everything scoring needs, as JSON, with an id that proves it unaltered.

`id` is the SHA-256 of the RFC 8785 canonical JSON of the model without `id`. The service stores no model: it goes
back to the caller, who sends it with a later request or puts it into the folder the service is started with.
"""

from __future__ import annotations

import hashlib
import itertools
from typing import Any, Literal, TypeVar

import orjson
import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from proto.canonical import canonical_json
from proto.errors import ErrorCode, RequestError
from proto.option_values import MAX_FEATURES, Zone
from proto.options import EXACT_SEED, MAX_SEGMENTS

__all__ = [
    "FORMAT_VERSION",
    "Aggregation",
    "Feature",
    "FittedOn",
    "FrozenScheme",
    "Judgement",
    "KCandidate",
    "KSearch",
    "Model",
    "Notice",
    "Segment",
    "check_id",
    "content_id",
    "dump_model",
    "is_none",
    "load_model",
    "read_content",
    "seal",
    "validated",
]

FORMAT_VERSION = 1
SCORE_QUANTILES = 1010
MOST_DISTANT = 1e150
"""Coordinates beyond have no finite square, and so no distance."""


def is_none(value: object) -> bool:
    """For fields that are left out where there is nothing to say, so that models of before keep their ids."""
    return value is None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Notice(_Part):
    """Something the caller should know, in words and as a code with its facts."""

    code: str
    message: str
    facts: dict[str, Any] = {}


class Aggregation(_Part):
    """How transactions became customers; scoring repeats it. None in a model fitted on a customers table."""

    tz: Zone
    window_days: float | None = Field(gt=0)
    occasion: Literal["order", "time", "day", "row"]
    refunds: Literal["net", "drop", "error"]
    monetary: Literal["sum", "mean"]
    whole_days: bool
    rollup: str | None = Field(
        default=None,
        exclude_if=is_none,
        description="the column of the households that were fitted; left out where customers were",
    )


class Feature(_Part):
    """One feature: how it is transformed and standardised, and what it looked like when fitted."""

    name: str
    sign: Literal[1, -1] = Field(description="-1: smaller is better")
    log: bool
    log_unit: float = Field(description="u of sign(x)·log1p(100·|x|/u); 100 stands for plain log1p(|x|)", gt=0)
    centre: float
    spread: float = Field(ge=0, description="0: the feature does not vary, its z is 0")
    weight: float = Field(ge=0, le=1)
    mean: float = Field(description="of all fitted customers, untransformed")
    median: float
    deviation: float = Field(ge=0, description="standard deviation (ddof 0), untransformed")
    minimum: float
    maximum: float
    quantiles: list[float] = Field(
        description="the edges of the drift bins: the deciles, untransformed, equal ones once; where several are equal "
        "also the next number above, so that their value has a bin of its own",
        max_length=9,
    )
    shares: list[float] = Field(description="shares of the fitted customers in the bins between them", max_length=10)


class Segment(_Part):
    """One segment: plain statistics of its members."""

    id: int
    code: str = Field(description="unique: the class, numbered by value where several segments share it")
    class_code: str
    en: str
    zh: str
    size: int
    share: float
    means: dict[str, float] = Field(description="per feature, and per RFM column where there are transactions")
    revenue_share: float | None
    value_score: float
    margins: dict[str, float] = Field(description="(mean − cut)/deviation, positive is better, per feature")
    borderline: bool
    centroid: list[float]


class Judgement(_Part):
    """The pairwise comparisons that the weights come from (`ahp=`)."""

    matrix: list[list[float]]
    consistency_ratio: float = Field(ge=0, description="0: the comparisons agree; above 0.1 they are refused")


class KCandidate(_Part):
    """One number of segments that `k=auto` looked at."""

    k: int
    score: float | None = Field(description="the index; null where it has none")
    smallest_share: float = Field(description="of the sample, in the smallest segment")


class KSearch(_Part):
    """How `k=auto` chose."""

    by: Literal["silhouette", "calinski_harabasz", "davies_bouldin"]
    customers: int = Field(description="in the sample that the candidates were compared on")
    candidates: list[KCandidate]
    k: int


class FittedOn(_Part):
    """What the model was fitted on."""

    customers: int
    rows: int
    as_of: str | None
    history_days: float | None
    inertia: float
    k_requested: int
    n_init: int
    seed: int
    starts: int
    steps: int
    passes: int
    options: dict[str, Any]
    warnings: list[Notice]
    ahp: Judgement | None = Field(default=None, exclude_if=is_none)
    k_search: KSearch | None = Field(default=None, exclude_if=is_none)


class FrozenScheme(_Part):
    """A value scheme of the fit: its parameters, and what the population then fixed for every customer since."""

    parameters: dict[str, Any] = Field(description="all of them, as they were given or by default")
    frozen: dict[str, Any] = Field(description="cuts and ratios of the fitted customers, as the scheme explains them")


class Model(_Part):
    """A fitted model, format version 1."""

    format_version: Literal[1] = 1
    id: str = ""
    input: Literal["transactions", "customers"]
    aggregation: Aggregation | None
    scaler: Literal["zscore", "minmax", "robust", "none"]
    log_unit: Literal["median", "plain"]
    class_cut: Literal["mean", "median"]
    features: list[Feature] = Field(min_length=1, max_length=MAX_FEATURES)
    segments: list[Segment] = Field(min_length=1, max_length=MAX_SEGMENTS)
    score_quantiles: list[float] = Field(min_length=SCORE_QUANTILES, max_length=SCORE_QUANTILES)
    fitted_on: FittedOn
    # Left out, so that models without schemes keep the text, and so the id, that they had before there were any.
    schemes: dict[str, FrozenScheme] | None = Field(
        default=None,
        exclude_if=is_none,
        description="the value schemes it was fitted with, by name; left out where there are none",
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Model:
        d = len(self.features)
        if len({f.name for f in self.features}) < d:
            raise ValueError("two features have the same name")
        for feature in self.features:
            edges = feature.quantiles
            if len(feature.shares) != len(edges) + 1:
                raise ValueError(f"{feature.name} has {len(feature.shares)} shares for {len(edges)} quantiles")
            if feature.spread and not feature.weight * max(1.0, abs(feature.centre)) / feature.spread <= MOST_DISTANT:
                raise ValueError(f"the spread of {feature.name} is too small to divide by")
            if not _ascends(edges):
                raise ValueError(f"quantiles of {feature.name} do not ascend")
        for i, segment in enumerate(self.segments):
            if segment.id != i:
                raise ValueError(f"segment {i} has the id {segment.id}")
            if len(segment.centroid) != d:
                raise ValueError(f"segment {i} has {len(segment.centroid)} coordinates for {d} features")
            if not all(abs(coordinate) <= MOST_DISTANT for coordinate in segment.centroid):
                raise ValueError(f"segment {i} lies too far away")
        if not _ascends(self.score_quantiles):
            raise ValueError("score_quantiles do not ascend")
        if (self.aggregation is None) != (self.input == "customers"):
            raise ValueError("aggregation belongs to models of transactions")
        return self


def _ascends(values: list[float]) -> bool:
    return all(a <= b for a, b in itertools.pairwise(values))


def content_id(content: dict[str, Any]) -> str:
    """The SHA-256 of the canonical JSON of `content` without its `id`."""
    bare = {k: v for k, v in content.items() if k != "id"}
    try:
        canonical = canonical_json(bare)
    except rfc8785.IntegerDomainError:
        canonical = canonical_json(_large_as_float(bare))
    return hashlib.sha256(canonical).hexdigest()


def _large_as_float(value: Any) -> Any:
    """Integers that JavaScript has no exact number for as floats: it writes 1e16 as 10000000000000000."""
    if isinstance(value, dict):
        return {k: _large_as_float(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_large_as_float(v) for v in value]
    return float(value) if isinstance(value, int) and abs(value) > EXACT_SEED else value


def seal(model: Model) -> Model:
    """The model with its id."""
    return model.model_copy(update={"id": content_id(model.model_dump(mode="json"))})


def dump_model(model: Model) -> bytes:
    """The model as JSON."""
    return orjson.dumps(model.model_dump(mode="json"))


def load_model(data: bytes | memoryview | str | dict[str, Any]) -> Model:
    """The model in `data`; RequestError when it is unreadable, of another version, or altered."""
    content = read_content(data)
    check_id(content, content)
    return validated(Model, content)


def read_content(data: bytes | memoryview | str | dict[str, Any]) -> dict[str, Any]:
    """The JSON object in `data`, of the format version that this service reads."""
    if isinstance(data, dict):
        content: Any = data
    else:
        try:
            content = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise RequestError(
                ErrorCode.BAD_MODEL, f"The model is not JSON ({error}); send it as /v1/fit returned it."
            ) from None
    if not isinstance(content, dict):
        raise RequestError(ErrorCode.BAD_MODEL, "The model is not a JSON object; send it as /v1/fit returned it.")
    version = content.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise RequestError(
            ErrorCode.MODEL_VERSION,
            f"The model has format_version {version!r}; this service reads {FORMAT_VERSION}. Fit it again.",
            found=version if isinstance(version, int | str) else None,
            wanted=FORMAT_VERSION,
        )
    return content


def check_id(content: dict[str, Any], digested: dict[str, Any], of: str = "The model") -> None:
    """Refuses content whose `id` is not that of what its id is made of (`digested`)."""
    try:
        expected = content_id(digested)
    except (rfc8785.CanonicalizationError, RecursionError, OverflowError) as error:
        raise RequestError(ErrorCode.BAD_MODEL, f"{of} cannot be put into canonical form: {error}.") from None
    if content.get("id") != expected:
        raise RequestError(
            ErrorCode.MODEL_ALTERED,
            f"{of} says its id is {content.get('id')!r}, but its content has the id {expected}: it was edited or "
            "damaged after the fit. Send it as it was returned, or fit again.",
            found=str(content.get("id")),
            wanted=expected,
        )


_Kind = TypeVar("_Kind", bound=BaseModel)


def validated(kind: type[_Kind], content: dict[str, Any]) -> _Kind:
    """The content as what it is to be; RequestError(BAD_MODEL) names the part that does not fit."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the model"
        what = str(first["msg"]).removeprefix("Value error, ")
        raise RequestError(ErrorCode.BAD_MODEL, f"The model cannot be used: {where}: {what}.") from None
