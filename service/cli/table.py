"""The segment table: who the customers are, and where the money is, at a glance.

A bar per segment shows its share of revenue, a mark on it the segment's share of customers: a bar that reaches past
the mark is a segment that brings more than its size.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proto.bundle import AnyModel, Bundle
from proto.classes import RFM, Lang
from proto.summary import SegmentSummary, Summary
from service.cli.figures import bar, column, count, percent, score
from service.cli.groups import group_table, summary_of_bundle
from service.cli.notes import notes
from service.cli.schemes import scheme_tables

__all__ = ["headline", "labels", "print_report", "segment_table", "shorten", "summary_of"]

HEADS = {"recency_days": "Recency", "frequency": "Frequency", "monetary": "Monetary", "tenure_days": "Tenure"}
NARROW_HEADS = HEADS | {"frequency": "Freq.", "monetary": "Money"}
NARROW = 96
"""Below so many cells the words get shorter."""
MIN_BAR, MAX_BAR = 6, 40
COMFORT = 7
"""Names lose their explanation before the bar gets less than this on top of its least width."""
MIN_NAME = 12
HALF = 0.4
"""The headline is about the fewest customers that bring this share of revenue."""
EVERYONE = "All customers"


def print_report(console: Console, summary: Summary, *, lang: Lang = "en", title: str | None = None) -> None:
    """Headline, table and what else the caller should know of `summary`."""
    above = Group(Text(headline(summary), style="bold"), Text(_subtitle(summary, title), style="dim"))
    console.print()
    console.print(Padding(above, (0, 1), expand=False))
    console.print()
    if summary.partition is not None:
        console.print(group_table(summary.partition))
    if summary.segments:
        console.print(segment_table(summary, lang=lang, width=console.width))
    schemes = scheme_tables(summary, lang, [shorten(name) for name in labels(summary.segments, lang)])
    if schemes:
        console.print(Padding(Group(*schemes), (0, 1), expand=False))
    below = notes(summary)
    if below:
        console.print(Padding(Group(*below), (0, 1), expand=False))
        console.print()


def headline(summary: Summary) -> str:
    """`8 % of customers bring 45 % of revenue`: the fewest segments that bring a good part of it."""
    if summary.partition is not None:
        here = count(summary.counts.customers_out, "customer")
        return f"{here} in {count(len(summary.partition.groups), 'group')} by {summary.partition.partition_by}"
    held = [(s.revenue_share, s.share) for s in summary.segments if s.revenue_share is not None and s.share > 0]
    held.sort(key=lambda pair: pair[0] / pair[1], reverse=True)
    revenue = customers = 0.0
    for brings, are in held:
        revenue += brings
        customers += are
        if revenue >= HALF:
            break
    if revenue - customers < 0.05:
        here = count(summary.counts.customers_out, "customer")
        return f"{here} in {count(len(summary.segments), 'segment')}" if summary.segments else here
    return f"{percent(customers, 0)} of customers bring {percent(revenue, 0)} of revenue"


def _subtitle(summary: Summary, title: str | None) -> str:
    parts = [title] if title else []
    parts += [count(summary.counts.customers_out, "customer"), count(summary.counts.rows_in, "row")]
    if summary.history_days is not None:
        parts.append(f"{summary.history_days:,.0f} days")
    if summary.as_of is not None:
        parts.append(f"as of {summary.as_of}")
    return " · ".join(parts)


def labels(segments: Sequence[SegmentSummary], lang: Lang) -> list[str]:
    """One label per segment in `lang`, numbered where several would read alike."""
    names = [s.code if lang == "code" else s.en if lang == "en" else s.zh for s in segments]
    alike = Counter(names)
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if alike[name] == 1 else f"{name} {seen[name]}")
    return unique


def shorten(label: str) -> str:
    """The label without its explanation: `General, to develop: new or occasional 2` → `General, to develop 2`."""
    match = re.fullmatch(r"(.*?)( \d+)?", label)
    name, nth = (match[1], match[2] or "") if match else (label, "")
    name = re.sub(r" \(.*\)$", "", name)
    before, _, after = name.partition(":")
    if after and "," not in before:
        name = f"{before}:{after.split(',')[0]}"
    elif after:
        name = before
    return name + nth


def _columns(segments: Sequence[SegmentSummary]) -> list[str]:
    """The means to show: recency, frequency and monetary first, then the other features as they come."""
    there = list(dict.fromkeys(name for segment in segments for name in segment.means))
    return [name for name in RFM if name in there] + [name for name in there if name not in RFM]


def segment_table(summary: Summary, *, lang: Lang = "en", width: int = 100) -> Table:
    """One row per segment, most valuable first, and a row of totals; `width` cells at most where that is possible."""
    segments = summary.segments
    narrow = width < NARROW
    gap = 1 if narrow else 2
    names = labels(segments, lang)
    figures = _figures(segments, narrow)
    revenue = any(segment.revenue_share is not None for segment in segments)
    values = [score(segment.value_score) for segment in segments]

    wide = [max(map(cell_len, cells)) for cells in figures]
    value_wide = max(5, *(value.cell_len for value in values))
    money_wide = 7 + MIN_BAR if revenue else 0
    spare = width - 2 - sum(wide) - value_wide - money_wide - gap * (len(wide) + 1 + revenue)
    if spare - max(map(cell_len, names)) < COMFORT:
        names = [shorten(name) for name in names]
    name_wide = min(max(spare, MIN_NAME), max(map(cell_len, (*names, EVERYONE))))
    bar_wide = min(MAX_BAR, MIN_BAR + max(0, spare - name_wide))

    table = Table(box=box.SIMPLE, padding=(0, gap - 1, 0, 0), show_edge=False, pad_edge=False, show_footer=True)
    table.border_style = "dim"
    table.add_column(" Class", f" {EVERYONE}", width=name_wide + 1)
    for cells, cell_wide in zip(figures, wide, strict=True):
        table.add_column(cells[0], cells[-1], justify="right", width=cell_wide, no_wrap=True)
    if revenue:
        table.add_column("Revenue", width=7 + bar_wide, no_wrap=True)
    table.add_column("Value", justify="right", width=value_wide, no_wrap=True)

    top = max(share for s in segments for share in (s.share, s.revenue_share or 0.0)) or 1.0
    for i, (segment, name, value) in enumerate(zip(segments, names, values, strict=True)):
        style = "bold" if segment.revenue_share is not None and segment.revenue_share > segment.share else ""
        row: list[RenderableType] = [Padding(Text(name, style=style), (0, 0, 0, 1))]
        row += [Text(cells[i + 1]) for cells in figures]
        if revenue:
            share = Text(percent(segment.revenue_share).rjust(6) + " ", style=style)
            row.append(share.append_text(bar(segment.revenue_share or 0.0, segment.share, top, bar_wide)))
        table.add_row(*row, value)
    return table


def _figures(segments: Sequence[SegmentSummary], narrow: bool) -> list[list[str]]:
    """Column by column: head, a cell per segment, the total."""
    size = sum(segment.size for segment in segments)
    share = sum(segment.share for segment in segments)
    out = [
        ["Size" if narrow else "Customers", *(f"{s.size:,}" for s in segments), f"{size:,}"],
        ["Share", *(percent(s.share) for s in segments), percent(share, 0)],
    ]
    heads = NARROW_HEADS if narrow else HEADS
    for name in _columns(segments):
        means = [segment.means.get(name) for segment in segments]
        held = [(mean, s.size) for mean, s in zip(means, segments, strict=True) if mean is not None]
        weight = sum(n for _, n in held)
        overall = sum(mean * n for mean, n in held) / weight if weight else None
        unit = " d" if name.endswith("_days") else ""
        out.append([heads.get(name, name), *column([*means, overall], unit)])
    return out


def summary_of(model: AnyModel) -> Summary:
    """What a model says about the customers it was fitted on, in the shape of a reply's summary."""
    if isinstance(model, Bundle):
        return summary_of_bundle(model)
    fitted = model.fitted_on
    wanted = set(SegmentSummary.model_fields)
    return Summary.model_validate(
        {
            "model_id": model.id,
            "as_of": fitted.as_of,
            "history_days": fitted.history_days,
            "counts": {"rows_in": fitted.rows, "rows_used": fitted.rows, "customers_out": fitted.customers},
            "segments": [segment.model_dump(include=wanted) for segment in model.segments],
            "warnings": [notice.model_dump() for notice in fitted.warnings],
        }
    )
