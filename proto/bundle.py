"""Models by group (`partition_by=`): one document with a fitted model for each group, and an id of its own.

`id` is the SHA-256 of the RFC 8785 canonical JSON of the bundle without `id`, in which each group's model is replaced
by its own id: whoever checks the models has nearly checked the bundle. Each model is as good alone: it scores the
customers of its group like any other model.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from proto.errors import ErrorCode, RequestError
from proto.model import Model, Notice, check_id, content_id, read_content, validated
from proto.option_values import Unit
from proto.options import FitOptions, ScoreOptions, SegmentOptions

__all__ = [
    "MAX_GROUPS",
    "AnyModel",
    "Bundle",
    "Partition",
    "dump_any",
    "households_of",
    "load_any",
    "partition_of",
    "seal_bundle",
    "shared_of",
]

MAX_GROUPS = 1_000
_OF_ALL = ("input", "aggregation", "scaler", "log_unit", "class_cut")


class Bundle(BaseModel):
    """Fitted models by group, format version 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format_version: Literal[1] = 1
    id: str = ""
    partition_by: str = Field(description="the column that holds the group")
    unit: Unit = Field(description="customer: each customer's last group; row: each row's own group")
    customers: int = Field(description="that were fitted, in all groups; with unit=row customer and group together")
    rows: int
    as_of: str | None
    not_fitted: dict[str, int] = Field(
        description="groups in which nobody has a purchase, and so without a model: their customers"
    )
    warnings: list[Notice]
    models: dict[str, Model] = Field(min_length=1, max_length=MAX_GROUPS, description="by group")

    @model_validator(mode="after")
    def _holds_together(self) -> Bundle:
        first = self.shared
        wanted = [(f.name, f.sign, f.log) for f in first.features]
        for group, model in self.models.items():
            if any(getattr(model, name) != getattr(first, name) for name in _OF_ALL):
                raise ValueError(f"the model of {group!r} was fitted with other settings than the first")
            if [(f.name, f.sign, f.log) for f in model.features] != wanted:
                raise ValueError(f"the model of {group!r} has other features than the first")
            if list(model.schemes or ()) != list(first.schemes or ()):
                raise ValueError(f"the model of {group!r} has other schemes than the first")
        return self

    @property
    def shared(self) -> Model:
        """A model that stands for all where they agree: features by name, aggregation, schemes and parameters."""
        return next(iter(self.models.values()))


AnyModel = Model | Bundle


class Partition(NamedTuple):
    """The column that parts customers into groups, by our name for it, and what a unit is."""

    column: str
    unit: Unit


def partition_of(options: FitOptions | SegmentOptions | ScoreOptions, model: AnyModel | None) -> Partition | None:
    """How a request is parted: as a fit is asked to, or as the model that scores was."""
    if not isinstance(options, ScoreOptions):
        return None if options.partition_by is None else Partition(options.partition_by, options.unit)
    return Partition(model.partition_by, model.unit) if isinstance(model, Bundle) else None


def households_of(options: FitOptions | SegmentOptions | ScoreOptions, model: Model | None) -> str | None:
    """The column that names the households, from the model that scores or from the options; None: no rollup."""
    if isinstance(options, ScoreOptions) and model is not None:
        return None if model.aggregation is None else model.aggregation.rollup
    return options.rollup


def shared_of(model: AnyModel | None) -> Model | None:
    """The model, or one that stands for all of a bundle where they agree."""
    return model.shared if isinstance(model, Bundle) else model


def _bare(content: dict[str, Any]) -> dict[str, Any]:
    return content | {"models": {group: model["id"] for group, model in content["models"].items()}}


def seal_bundle(bundle: Bundle) -> Bundle:
    """The bundle with its id; its models have theirs."""
    content = bundle.model_dump(mode="json", exclude={"models"})
    models = {group: {"id": model.id} for group, model in bundle.models.items()}
    return bundle.model_copy(update={"id": content_id(_bare(content | {"models": models}))})


def dump_any(model: AnyModel) -> bytes:
    """A model or a bundle as JSON."""
    return orjson.dumps(model.model_dump(mode="json"))


def load_any(data: bytes | memoryview | str | dict[str, Any]) -> AnyModel:
    """The model or bundle in `data`; RequestError when it is unreadable, of another version, or altered."""
    content = read_content(data)
    if "models" not in content:
        check_id(content, content)
        return validated(Model, content)
    models = content["models"]
    if not isinstance(models, dict) or not all(isinstance(model, dict) and "id" in model for model in models.values()):
        raise RequestError(
            ErrorCode.BAD_MODEL, "The bundle's models are not objects by group; send it as /v1/fit returned it."
        )
    if len(models) > MAX_GROUPS:
        raise RequestError(
            ErrorCode.BAD_MODEL,
            f"The bundle has {len(models):,} models; {MAX_GROUPS:,} is the most.",
            found=len(models),
            wanted=MAX_GROUPS,
        )
    check_id(content, _bare(content))
    for group, model in models.items():
        check_id(model, model, of=f"The model of the group {group[:100]!r}")
    return validated(Bundle, content)
