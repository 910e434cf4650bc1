"""What stands below the segment table: what was left out, drift, movements, warnings, how to read it."""

from __future__ import annotations

from rich.text import Text

from proto.summary import AudienceSummary, Drift, Summary

__all__ = ["notes"]

LEFT_OUT = (
    ("rows_filtered", "rows that --where leaves out"),
    ("rows_not_finite", "rows whose amount is not a finite number"),
    ("rows_after_as_of", "rows later than as_of"),
    ("rows_before_window", "rows before the window"),
    ("customers_outside_window", "customers with no row inside the window"),
)
TOLD = (
    ("customers_without_purchase", "customers have refunds only: returned, in no segment"),
    ("customers_with_negative_monetary", "customers with negative monetary value enter the segments as 0"),
    ("refund_rows", "refund rows"),
    ("zero_amount_rows", "rows with an amount of zero, counted as purchases"),
)


def notes(summary: Summary) -> list[Text]:
    """The lines below the table; the reading aid only where there are segments to read."""
    lines: list[Text] = []
    if summary.segments:
        lines += [Text(), Text(_legend(summary), style="dim")]
    counted = _left_out(summary) + _told(summary)
    if counted:
        lines.append(Text())
        lines += [_bullet(line) for line in counted]
    if summary.audience is not None:
        lines += [Text(), *_audience(summary.audience)]
    if summary.drift is not None or summary.drift_skipped or summary.crosstab:
        lines.append(Text())
    if summary.drift is not None:
        lines.append(_drift(summary.drift))
    elif summary.drift_skipped:
        lines.append(Text(f"Drift: {summary.drift_skipped}.", style="dim"))
    if summary.crosstab:
        lines.append(_moved(summary.crosstab))
    if summary.warnings:
        lines.append(Text())
        lines += [_warning(notice.message) for notice in summary.warnings]
    return lines


def _legend(summary: Summary) -> str:
    shown = {name for segment in summary.segments for name in segment.means}
    means = "Means per customer"
    if "recency_days" in shown:
        means += "; recency: days since the last purchase"
    revenue = any(segment.revenue_share is not None for segment in summary.segments)
    bars = " Bar: share of revenue, │ share of customers." if revenue else ""
    return f"{means}. Value: 0 is the average customer.{bars}"


def _audience(audience: AudienceSummary) -> list[Text]:
    cost = "" if audience.cost is None else f" for {audience.cost:,.2f}"
    if audience.cost is not None and audience.budget is not None:
        cost += f" of {audience.budget:,.2f}"
    lines = [Text(f"Audience: {audience.reached:,} of {audience.customers:,} customers{cost}.", style="bold")]
    gone = audience.removed | {
        "held out": audience.held_out,
        "max": audience.beyond_max,
        "budget": audience.over_budget,
    }
    lines += [_bullet(f"{n:,} left out by {rule}") for rule, n in gone.items() if n]
    return [*lines, Text(audience.reason)] if audience.reason else lines


def _left_out(summary: Summary) -> list[str]:
    counts = summary.counts
    lines = [f"{n:,} rows without {column}" for column, n in counts.rows_with_nulls.items() if n]
    lines += [f"{n:,} {words}" for field, words in LEFT_OUT if (n := getattr(counts, field))]
    return [f"left out: {line}" for line in lines]


def _told(summary: Summary) -> list[str]:
    return [f"{n:,} {words}" for field, words in TOLD if (n := getattr(summary.counts, field))]


def _bullet(line: str) -> Text:
    return Text.assemble(("· ", "dim"), line)


def _drift(drift: Drift) -> Text:
    """Population stability: 0 is the same as when fitted, above the threshold the customers have changed."""
    text = Text.assemble(("Drift", "bold"), " since the fit (PSI): ")
    figures = {**drift.features, "segments": drift.segments}
    for i, (name, value) in enumerate(figures.items()):
        text.append(", " if i else "")
        text.append(f"{name} {value:.2f}", style="bold yellow" if name in drift.drifted else "")
    verdict = f"; above {drift.threshold:g}: fit again" if drift.drifted else f"; all below {drift.threshold:g}"
    return text.append(verdict, style="yellow" if drift.drifted else "dim")


def _moved(crosstab: list[list[int]]) -> Text:
    everyone = sum(map(sum, crosstab))
    stayed = sum(row[i] for i, row in enumerate(crosstab) if i < len(row))
    share = f" ({100 * stayed / everyone:.1f} %)" if everyone else ""
    told = f" against the earlier model: {stayed:,} of {everyone:,} customers{share} kept their segment"
    return Text.assemble(("Movement", "bold"), told)


def _warning(message: str) -> Text:
    return Text.assemble(("! ", "bold yellow"), (message, "yellow"))
