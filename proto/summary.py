"""What a reply says about the whole: counts, segments, drift, warnings (`segserve.summary`)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from proto.model import Judgement, KSearch, Notice, is_none
from proto.option_values import Unit

__all__ = [
    "AudienceSummary",
    "Counts",
    "Drift",
    "GroupSummary",
    "PartitionSummary",
    "RollupSummary",
    "SchemeClassSummary",
    "SchemeSummary",
    "SegmentSummary",
    "Summary",
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Counts(_Part):
    """Where every row and customer went; nothing is left out silently."""

    rows_in: int
    rows_used: int
    rows_with_nulls: dict[str, int] = {}
    rows_not_finite: int = 0
    rows_filtered: int = 0
    rows_after_as_of: int = 0
    rows_before_window: int = 0
    refund_rows: int = 0
    zero_amount_rows: int = 0
    customers_out: int
    customers_without_purchase: int = 0
    customers_outside_window: int = 0
    customers_with_negative_monetary: int = 0


class SegmentSummary(_Part):
    """One segment of this reply; for a scored table, of the customers in this request."""

    id: int
    code: str
    en: str
    zh: str
    size: int
    share: float
    means: dict[str, float | None]
    revenue_share: float | None
    value_score: float | None


class Drift(_Part):
    """Population stability index of this request's customers against the fitted ones."""

    features: dict[str, float]
    segments: float
    threshold: float
    drifted: list[str]


class SchemeClassSummary(_Part):
    """One class of a scheme among the customers of this reply."""

    code: str
    en: str
    zh: str
    action_en: str
    action_zh: str
    customers: int
    share: float


class SchemeSummary(_Part):
    """What a value scheme says of the whole."""

    parameters: dict[str, Any]
    classes: list[SchemeClassSummary] = Field(description="in the scheme's order, unknown last; empty without classes")
    unknown: int = Field(
        description="customers whose class cannot be told: a value is missing, a denominator is not > 0"
    )
    missing_values: dict[str, int] = Field(
        description="rows without a value, by the scheme's columns that have such rows"
    )
    figures: dict[str, Any] = Field(description="of all customers, as the scheme explains them")


class AudienceSummary(_Part):
    """Who was chosen, and where everyone else went.

    customers = Σ removed + held_out + beyond_max + over_budget + reached, except where `reason` says why the answer is
    empty: those who would have been reached are in none of them.
    """

    customers: int
    removed: dict[str, int] = Field(description="by rule, in the order they apply; each customer under the first")
    held_out: int
    beyond_max: int
    over_budget: int
    reached: int
    cost: float | None
    budget: float | None
    expected_revenue: float | None = Field(
        default=None, exclude_if=is_none, description="with schemes=lifecycle, of those reached"
    )
    expected_profit: float | None = Field(
        default=None, exclude_if=is_none, description="the same, where a margin is known"
    )
    segments: dict[str, int] = Field(description="customers reached by segment code")
    reason: str | None = Field(description="why nobody is reached, with min_size")


class GroupSummary(_Part):
    """One group of `partition_by=`: what a summary says of the whole, of its customers alone."""

    group: str
    model_id: str | None = Field(description="null where the group has no model")
    customers: int = Field(description="with unit=row customer and group together")
    customers_without_purchase: int
    k: int = Field(description="how many segments its model has, lowered where it has fewer distinct customers; or 0")
    without_model: Literal["no_purchase", "unseen"] | None = Field(
        description="why all are in segment −1: nobody has a purchase, or the model was fitted without this group"
    )
    segments: list[SegmentSummary]
    drift: Drift | None = None
    drift_skipped: str | None = None
    crosstab: list[list[int]] | None = None
    k_search: KSearch | None = Field(default=None, exclude_if=is_none)
    warnings: list[Notice] = []
    schemes: dict[str, SchemeSummary] | None = Field(default=None, exclude_if=is_none)


class PartitionSummary(_Part):
    """The groups of `partition_by=`, in the order of their first customer."""

    partition_by: str
    unit: Unit
    groups: list[GroupSummary]
    customers_without_group: int = Field(description="no value in that column: segment −1")


class RollupSummary(_Part):
    """What `rollup=` made of members and households."""

    column: str = Field(description="that names the households")
    source: Literal["column", "mapping"] = Field(description="where the households come from")
    households: int
    members: int = Field(description="rows of the reply, before an audience is chosen among them")
    members_without_household: int = Field(description="of these; no segment, no score, in no share")
    members_left_out: int = Field(description="not returned: none of their rows counts")
    rows_without_household: int
    mapped_members: int | None = Field(
        default=None, exclude_if=is_none, description="members that the mapping gives a household"
    )
    mapped_without_rows: int | None = Field(
        default=None, exclude_if=is_none, description="of these, those that have no row"
    )


class Summary(_Part):
    """`segserve.summary`."""

    model_id: str
    as_of: str | None
    history_days: float | None
    counts: Counts
    segments: list[SegmentSummary]
    drift: Drift | None = None
    drift_skipped: str | None = None
    crosstab: list[list[int]] | None = None
    ahp: Judgement | None = Field(default=None, exclude_if=is_none)
    k_search: KSearch | None = Field(default=None, exclude_if=is_none)
    audience: AudienceSummary | None = Field(default=None, exclude_if=is_none)
    partition: PartitionSummary | None = Field(
        default=None,
        exclude_if=is_none,
        description="with partition_by, whose groups have the segments, drift and schemes that else stand here",
    )
    rollup: RollupSummary | None = Field(default=None, exclude_if=is_none)
    warnings: list[Notice] = []
    schemes: dict[str, SchemeSummary] | None = Field(
        default=None,
        exclude_if=is_none,
        description="by name; left out where none is asked for",
    )
