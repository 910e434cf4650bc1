"""The groups of `--partition-by` at a glance: how many customers and segments each has, and where its money is."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from proto.bundle import Bundle
from proto.summary import Counts, GroupSummary, PartitionSummary, SegmentSummary, Summary
from service.cli.figures import percent

__all__ = ["group_table", "summary_of_bundle"]

SHOWN = 40
WHY = {"no_purchase": "nobody has a purchase", "unseen": "new to the model"}


def group_table(partition: PartitionSummary) -> Table:
    """One row per group, as they came; beyond 40 groups the rest as one row."""
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), border_style="dim")
    for head in (
        f" {partition.partition_by}",
        "Customers",
        "Segments",
        "Best segment",
        "Of its customers",
        "Of revenue",
    ):
        table.add_column(head, justify="left" if head in (f" {partition.partition_by}", "Best segment") else "right")
    for one in partition.groups[:SHOWN]:
        table.add_row(Text(f" {one.group}"), f"{one.customers:,}", str(one.k), *_best(one))
    rest = partition.groups[SHOWN:]
    if rest:
        table.add_row(f" {len(rest):,} more", f"{sum(one.customers for one in rest):,}", "", "", "", "")
    if partition.customers_without_group:
        table.add_row(Text(" none", style="dim"), f"{partition.customers_without_group:,}", "0", "", "", "")
    return table


def _best(one: GroupSummary) -> tuple[str, str, str]:
    if one.without_model is not None:
        return WHY[one.without_model], "", ""
    best = one.segments[0]
    revenue = "" if best.revenue_share is None else percent(best.revenue_share)
    return best.en, percent(best.share), revenue


def summary_of_bundle(bundle: Bundle) -> Summary:
    """What a bundle says about the customers it was fitted on, in the shape of a reply's summary."""
    wanted = set(SegmentSummary.model_fields)
    groups = [
        GroupSummary(
            group=group,
            model_id=model.id,
            customers=model.fitted_on.customers,
            customers_without_purchase=0,
            k=len(model.segments),
            without_model=None,
            segments=[SegmentSummary.model_validate(s.model_dump(include=wanted)) for s in model.segments],
            warnings=model.fitted_on.warnings,
        )
        for group, model in bundle.models.items()
    ]
    groups += [
        GroupSummary(
            group=group,
            model_id=None,
            customers=customers,
            customers_without_purchase=customers,
            k=0,
            without_model="no_purchase",
            segments=[],
        )
        for group, customers in bundle.not_fitted.items()
    ]
    return Summary(
        model_id=bundle.id,
        as_of=bundle.as_of,
        history_days=bundle.shared.fitted_on.history_days,
        counts=Counts(rows_in=bundle.rows, rows_used=bundle.rows, customers_out=bundle.customers),
        segments=[],
        warnings=bundle.warnings,
        partition=PartitionSummary(
            partition_by=bundle.partition_by, unit=bundle.unit, groups=groups, customers_without_group=0
        ),
    )
