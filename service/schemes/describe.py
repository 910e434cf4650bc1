"""The section on schemes in proto/README.md, made from the catalogue: python -m service.schemes.describe."""

from __future__ import annotations

import re
from pathlib import Path

from service.schemes.catalogue import catalogue
from service.schemes.parameters import Parameter
from service.schemes.scheme import UNKNOWN, Scheme

__all__ = ["README", "described"]

README = Path(__file__).resolve().parents[2] / "proto" / "README.md"
_BLOCK = re.compile(r"(<!-- made by service\.schemes\.describe: schemes -->\n).*?(<!-- end of schemes -->)", re.DOTALL)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"


def _table(*rows: tuple[str, ...]) -> str:
    head, *others = rows
    return _row(*head) + _row(*("---" for _ in head)) + "".join(_row(*row) for row in others)


def _needs(scheme: Scheme) -> str:
    """`a`, `b` or `c`, (`d`): in brackets what it can do without."""
    either = [f"`{name}`" for name in scheme.any_of]
    needed = [f"`{column.name}`" for column in scheme.columns if column.is_needed]
    other = [
        f"(`{column.name}`)" for column in scheme.columns if not column.is_needed and column.name not in scheme.any_of
    ]
    parts = [*needed, *([" or ".join(either)] if either else []), *other]
    if scheme.looks_back_days is not None:
        parts.append("an explicit `as_of`")
    return ", ".join(parts) or "–"


def _overview() -> str:
    rows = [
        (
            f"`{scheme.name}` {scheme.title.zh}",
            f"{scheme.question.en} {scheme.question.zh}",
            _needs(scheme),
            "no" if scheme.table is None else "yes",
        )
        for scheme in catalogue().values()
    ]
    return _table(("scheme", "question", "reads beside the base's columns", "customers tables"), *rows)


def _parameter(scheme: Scheme, parameter: Parameter) -> tuple[str, ...]:
    default = "" if parameter.default is None else f"`{parameter.written(parameter.default)}`"
    return f"`{scheme.name}.{parameter.name}`", default, parameter.form, f"{parameter.en} {parameter.zh}"


def _detail(scheme: Scheme) -> str:
    parts = [f"#### {scheme.name}\n\n{scheme.title.en} · {scheme.title.zh}. {scheme.formula}\n"]
    if scheme.classes:
        classes = [(f"`{c.code}`", c.en, c.zh, f"{c.action.en} {c.action.zh}") for c in scheme.classes]
        parts.append(_table(("class", "en", "zh", "what to do"), *classes))
    for figure in (one for one in scheme.figures if one.classes):
        classes = [(f"`{c.code}`", c.en, c.zh, f"{c.action.en} {c.action.zh}") for c in figure.classes]
        parts.append(_table((f"`{scheme.name}_{figure.name}`", "en", "zh", "what to do"), *classes))
    if scheme.parameters:
        rows = [_parameter(scheme, parameter) for parameter in scheme.parameters]
        parts.append(_table(("parameter", "default", "value", "what it does"), *rows))
    columns: list[tuple[str, ...]] = [(f"reads `{c.name}`", c.kind, f"{c.what.en} {c.what.zh}") for c in scheme.columns]
    columns += [(f"gives `{scheme.name}_{f.name}`", f.kind, f"{f.what.en} {f.what.zh}") for f in scheme.figures]
    if columns:
        parts.append(_table(("column", "holds", "what it is"), *columns))
    return "\n".join(parts)


def described(text: str) -> str:
    """`text` with the block between the markers made anew; ValueError when there are none."""
    if _BLOCK.search(text) is None:
        raise ValueError("no markers of service.schemes.describe")
    unknown = f"Every scheme with classes also has `{UNKNOWN.code}` ({UNKNOWN.en}, {UNKNOWN.zh}): {UNKNOWN.action.en}\n"
    body = "\n".join([_overview(), unknown, *map(_detail, catalogue().values())])
    return _BLOCK.sub(lambda match: f"{match[1]}\n{body}\n{match[2]}", text)


if __name__ == "__main__":
    README.write_text(described(README.read_text()))
