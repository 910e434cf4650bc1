"""What a reply says about the whole: counts, segments, drift, warnings (`segserve.summary`)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from proto.model import Judgement, KSearch, Notice, is_none

__all__ = ["Counts", "Drift", "SegmentSummary", "Summary"]


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
    warnings: list[Notice] = []
