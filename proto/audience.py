"""What `POST /v1/audience` is asked: the options of a score, and who of the scored customers is worth the money."""

from __future__ import annotations

import decimal
import re
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from proto.errors import ErrorCode, RequestError
from proto.option_values import ValueKind, checked_by, split_names
from proto.options import ScoreOptions

__all__ = ["MICROS", "AudienceOptions", "Top", "top_of"]

MICROS = 1_000_000
"""Costs and budgets are counted in millionths, so that ten times 0.1 is 1."""
LARGEST_SUM = 1e12
_NUMBER = re.compile(r"\d{1,12}(\.\d{0,12})?|\.\d{1,12}", re.ASCII)


class Top(NamedTuple):
    """The best so many customers, or the best share of all; one of the two."""

    n: int | None
    share: decimal.Decimal | None


def top_of(text: str) -> Top:
    """`10000` is a count, `10%` and `0.1` are shares; ValueError for anything else."""
    bare = text.strip().removesuffix("%")
    if _NUMBER.fullmatch(bare):
        number = decimal.Decimal(bare)
        if bare == text.strip() and bare.isdigit():
            if number >= 1:
                return Top(int(number), None)
        else:
            share = number / 100 if bare != text.strip() else number
            if 0 < share <= 1:
                return Top(None, share)
    raise ValueError("write a count such as 10000, or a share such as 10% or 0.1")


def _some(value: Any) -> Any:
    names = split_names(value)
    if not names or "" in names:
        raise ValueError("a list with commas between its parts is wanted, and one of them is empty")
    return names


def _micros(amount: float) -> int:
    return round(decimal.Decimal(repr(amount)) * MICROS)


Money = Annotated[float, Field(ge=0, le=LARGEST_SUM, allow_inf_nan=False)]
Listed = Annotated[list[str], BeforeValidator(_some)]


class AudienceOptions(ScoreOptions):
    """Options of `POST /v1/audience`: those of score, and these."""

    name: ClassVar[str] = "audience"

    budget: Money | None = Field(
        default=None,
        description="What may be spent in all; the audience ends before the first customer who would pass it. Needs "
        "cost_per_contact.",
    )
    cost_per_contact: str | None = Field(
        default=None,
        min_length=1,
        description="What one contact costs: a number, or a column with a number per customer.",
        json_schema_extra={"format": "number or column"},
    )
    top: Annotated[str, checked_by(top_of)] | None = Field(
        default=None,
        description="Only the best customers by value score, of all that are scored: a count (10000) or a share (10%, "
        "0.1).",
        json_schema_extra={"format": "count or share"},
    )
    min_percentile: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        default=None, description="Only customers with at least this value_percentile."
    )
    segments: Listed | None = Field(
        default=None,
        description="Only these segments of the model, by id or code.",
        json_schema_extra={"format": "id or code,…"},
    )
    classes: Listed | None = Field(
        default=None,
        description="Only customers whose own rfm_class is one of these codes.",
        json_schema_extra={"format": "code,…"},
    )
    tiers: Listed | None = Field(
        default=None,
        description="Only customers with one of these classes of the scheme tiers, which the model must have; asks for "
        "schemes=tiers too.",
        json_schema_extra={"format": "code,…"},
    )
    exclude: Listed | None = Field(
        default=None, description="Customer ids to leave out.", json_schema_extra={"format": "id,…"}
    )
    consent: str | None = Field(
        default=None,
        min_length=1,
        description="Column that says who may be contacted: true, or 1. No value is a no.",
        json_schema_extra={"format": "column"},
    )
    opt_out: str | None = Field(
        default=None,
        min_length=1,
        description="Column that says who asked to be left alone: true, or any number but 0. No value is none.",
        json_schema_extra={"format": "column"},
    )
    holdout: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Share of those that remain to hold back as a control group, by a hash of id and campaign.",
    )
    campaign: str | None = Field(
        default=None, min_length=1, max_length=200, description="Name of the campaign; another name holds back others."
    )
    with_holdout: bool = Field(
        default=False,
        description="Return those held back too, behind the audience: held_out is true, rank and costs are null.",
    )
    max: int | None = Field(default=None, ge=1, description="At most so many customers.")
    min_size: int | None = Field(
        default=None, ge=1, description="With fewer customers than this the answer is empty, with the reason."
    )

    @model_validator(mode="before")
    @classmethod
    def _tiers_are_of_their_scheme(cls, data: Any) -> Any:
        """Adds the scheme, to names as they were sent or to schemes with their parameters."""
        if not isinstance(data, dict) or not data.get("tiers"):
            return data
        schemes = data.get("schemes", {})
        named = split_names(schemes)
        if "tiers" in named or (isinstance(named, list) and not named):  # none at all is told by its own field
            return data
        return {**data, "schemes": f"{schemes},tiers" if isinstance(schemes, str) else {**schemes, "tiers": {}}}

    @model_validator(mode="after")
    def _audience_fits_together(self) -> AudienceOptions:
        needs = (("budget", "cost_per_contact"), ("holdout", "campaign"), ("campaign", "holdout"))
        for option, other in needs:
            if getattr(self, option) is not None and getattr(self, other) is None:
                raise RequestError(
                    ErrorCode.CONFLICTING_OPTIONS,
                    f"{option}={getattr(self, option)} means nothing without {other}=; give both, or neither.",
                    option=option,
                    wanted=other,
                )
        if self.with_holdout and self.holdout is None:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                "with_holdout=true means nothing without holdout= and campaign=: nobody is held back.",
                option="with_holdout",
                wanted="holdout",
            )
        if self.cost_micros is not None and self.cost_micros > LARGEST_SUM * MICROS:
            raise RequestError(
                ErrorCode.BAD_OPTION,
                f"cost_per_contact={self.cost_per_contact} is more than {LARGEST_SUM:,.0f}; count in a larger unit.",
                option="cost_per_contact",
            )
        return self

    @property
    def cost_micros(self) -> int | None:
        """What a contact costs in millionths, where it costs the same for all."""
        if self.cost_per_contact is None or not _NUMBER.fullmatch(self.cost_per_contact):
            return None
        return round(decimal.Decimal(self.cost_per_contact) * MICROS)

    @property
    def budget_micros(self) -> int | None:
        return None if self.budget is None else _micros(self.budget)

    def named_columns(self) -> dict[str, tuple[str, ValueKind]]:
        """What a contact costs, and who may be contacted, where a column says so."""
        named: dict[str, tuple[str, ValueKind]] = {}
        if self.cost_per_contact is not None and self.cost_micros is None:
            named["cost_per_contact"] = (self.cost_per_contact, "number")
        for option, column in (("consent", self.consent), ("opt_out", self.opt_out)):
            if column is not None:
                named[option] = (column, "flag")
        return named
