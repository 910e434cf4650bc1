"""Value schemes on the command line: the catalogue, all that a file allows, and what the summary says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proto.classes import Lang
from proto.errors import RequestError
from proto.options import INPUT_COLUMNS, SegmentOptions, parse_options
from proto.roles import assign
from proto.summary import SchemeClassSummary, Summary
from service.cli.figures import percent

__all__ = [
    "ALL",
    "need_as_of",
    "only_columns",
    "possible",
    "print_catalogue",
    "print_left_out",
    "scheme_tables",
    "without_schemes",
]

ALL = "all"
SHOWN_FIGURES = 8


def print_catalogue(console: Console, lang: Lang) -> None:
    """Every scheme: its question, what it reads, its classes and parameters."""
    from service.schemes.catalogue import catalogue

    for scheme in catalogue().values():
        title, question = (
            (scheme.title.zh, scheme.question.zh) if lang == "zh" else (scheme.title.en, scheme.question.en)
        )
        console.print(Text(f"\n{scheme.name}", style="bold").append(f"  {title}", style="not bold"))
        lines = [Text(question), Text(scheme.formula, style="dim")]
        lines += [
            Text(f"{column.name} ({column.kind}{'' if column.is_needed else ', optional'}): ").append(
                column.what.zh if lang == "zh" else column.what.en
            )
            for column in scheme.columns
        ]
        for parameter in scheme.parameters:
            default = "" if parameter.default is None else f"={parameter.written(parameter.default)}"
            words = parameter.zh if lang == "zh" else parameter.en
            lines.append(Text(f"--set {scheme.name}.{parameter.name}{default}  {words}"))
        for one in scheme.classes:
            action = one.action.zh if lang == "zh" else one.action.en
            lines.append(Text(f"{one.label(lang)}: {action}"))
        console.print(Padding(Group(*lines), (0, 0, 0, 2)))


def possible(names: Sequence[str], query: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """(schemes that data with these columns allows, {those it does not allow: what they miss})."""
    from service.schemes.catalogue import catalogue
    from service.schemes.request import asked_by, wishes

    allowed, missing = [], {}
    plain = without_schemes(query)
    for name in catalogue():
        own = {option: value for option, value in query.items() if option.startswith(f"{name}.")}
        try:
            asked = {**only_columns(plain, [name], query.get("columns", "")), **own, "schemes": name}
            options = parse_options(SegmentOptions, asked.items())
            assign(names, options, None, wishes(asked_by(options, None)))
            allowed.append(name)
        except RequestError as error:
            missing[name] = error.detail
    return allowed, missing


def without_schemes(query: dict[str, str]) -> dict[str, str]:
    """The query as it is without schemes, their parameters, and the columns that only they read."""
    plain = {name: value for name, value in query.items() if name != "schemes" and "." not in name}
    return only_columns(plain, [], query.get("columns", ""))


def only_columns(query: dict[str, str], schemes: Sequence[str], columns: str) -> dict[str, str]:
    """The query with `columns=` of those pairs that the base or one of these schemes reads: others are refused."""
    from service.schemes.catalogue import catalogue

    of_schemes = {column.name for scheme in catalogue().values() for column in scheme.columns}
    own = {column.name for name in schemes for column in catalogue()[name].columns} | {*INPUT_COLUMNS}
    pairs = [pair for pair in columns.split(",") if pair]
    kept = [pair for pair in pairs if (name := pair.partition(":")[0].strip()) in own or name not in of_schemes]
    rest = {name: value for name, value in query.items() if name != "columns"}
    return {**rest, "columns": ",".join(kept)} if kept else rest


def need_as_of(schemes: Sequence[str]) -> bool:
    """Whether one of the schemes looks back from as_of, which must then be known before the first row."""
    from service.schemes.catalogue import catalogue

    return any(name in catalogue() and catalogue()[name].looks_back_days is not None for name in schemes)


def print_left_out(console: Console, missing: dict[str, str]) -> None:
    """The schemes that the data does not allow, and why."""
    if not missing:
        return
    lines: list[RenderableType] = [Text("Schemes that this data does not allow:", style="bold")]
    lines += [
        Text(f"{name}: ").append(detail.partition(". The data has")[0].removesuffix(".") + ".", style="dim")
        for name, detail in missing.items()
    ]
    console.print(Padding(Group(*lines), (0, 1)))
    console.print()


def scheme_tables(summary: Summary, lang: Lang, segments: Sequence[str]) -> list[RenderableType]:
    """For each scheme its classes, how many customers each has and what to do, and its figures.

    `segments` are the names of the segments, for the figures that there is one of for each.
    """
    tables: list[RenderableType] = []
    for name, scheme in (summary.schemes or {}).items():
        tables += [Text(), Text(name, style="bold")]
        if scheme.classes:
            tables.append(_classes(scheme.classes, lang))
        elif scheme.unknown:
            tables.append(Text(f"unknown: {scheme.unknown:,} customers", style="dim"))
        figures = [f"{key} {_written(value)}" for key, value in scheme.figures.items() if _is_plain(value)]
        if figures:
            tables.append(Text(" · ".join(figures[:SHOWN_FIGURES]), style="dim"))
        tables += [table for key, value in scheme.figures.items() for table in _listed(key, value, lang, segments)]
        if scheme.missing_values:
            lacking = ", ".join(f"{column} in {rows:,} rows" for column, rows in scheme.missing_values.items())
            tables.append(Text(f"missing: {lacking}", style="dim"))
    return tables


def _listed(name: str, value: Any, lang: Lang, segments: Sequence[str]) -> list[RenderableType]:
    """A figure that is a list: further classes as their table, anything else a row each, the first few."""
    if not (isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value)):
        return []
    if "action_en" in value[0]:
        return [Text(name), _classes([SchemeClassSummary(**entry) for entry in value], lang)]
    if name == "segments":
        value = [{"segment": segment, **entry} for segment, entry in zip(segments, value, strict=True)]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", style="dim")
    for key, part in value[0].items():
        table.add_column(key, justify="left" if isinstance(part, str) else "right")
    for entry in value[:SHOWN_FIGURES]:
        table.add_row(*map(_written, entry.values()))
    more = [Text(f"  and {len(value) - SHOWN_FIGURES} more", style="dim")] if len(value) > SHOWN_FIGURES else []
    return [Text(name), Padding(table, (0, 0, 0, 2)), *more]


def _classes(classes: Sequence[SchemeClassSummary], lang: Lang) -> Table:
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False, show_header=False)
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify)
    for one in classes:
        if one.customers or one is not classes[-1]:
            table.add_row(
                _label(one, lang), f"{one.customers:,}", percent(one.share), Text(_action(one, lang), style="dim")
            )
    return table


def _label(one: SchemeClassSummary, lang: Lang) -> str:
    return one.code if lang == "code" else one.zh if lang == "zh" else one.en


def _action(one: SchemeClassSummary, lang: Lang) -> str:
    return one.action_zh if lang == "zh" else one.action_en


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _written(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return "  ".join(map(_written, value))
    if isinstance(value, bool | str):
        return str(value).lower() if isinstance(value, bool) else value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}" if abs(value) >= 10 else f"{value:.3f}"
