"""results.json keeps every row with the run it is from; RESULTS.md is written from it and from SHORTFALLS.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loadtests.bench.rows import OURS, Row

__all__ = ["PARTS_ORDER", "cells", "load_results", "merge", "save", "to_markdown"]

SHORTFALLS = Path(__file__).parents[1] / "SHORTFALLS.md"
PARTS_ORDER = (
    "aggregate",
    "schemes",
    "fit",
    "score",
    "job",
    "http",
    "audience",
    "upload",
    "requests",
    "memory",
    "scale",
)
HEADINGS = ("measured", "data", "medians", "ratio", "target", "")

Results = dict[str, Any]


def load_results(path: Path) -> Results:
    return json.loads(path.read_text("utf-8")) if path.exists() else {"runs": {}, "rows": []}


def merge(results: Results, rows: list[Row], facts: dict[str, Any]) -> Results:
    """The results with these rows in place of those of the same key; runs that have no row left are forgotten."""
    new = {row.key: {**row.as_dict(), "run": facts["date"]} for row in rows}
    kept = [new.pop(row["key"], row) for row in results["rows"]]
    merged = sorted([*kept, *new.values()], key=lambda row: PARTS_ORDER.index(row["key"].partition("/")[0]))
    runs = {**results["runs"], facts["date"]: facts}
    used = {row["run"] for row in merged}
    return {"runs": {date: run for date, run in sorted(runs.items()) if date in used}, "rows": merged}


def save(results: Results, folder: Path, stem: str) -> None:
    """Writes both files."""
    text = json.dumps(results, ensure_ascii=False, indent=1)
    (folder / f"{stem}.json").write_text(text + "\n", "utf-8")
    reasons = shortfalls(SHORTFALLS.read_text("utf-8"))
    (folder / f"{stem.upper()}.md").write_text(to_markdown(results, reasons), "utf-8")


def number(value: float, unit: str) -> str:
    """A value in a unit that reads well."""
    if unit == "s":
        for limit, factor, name in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
            if value < limit:
                return f"{_three_digits(value * factor)} {name}"
    return f"{_three_digits(value)} {unit}".strip()


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One row of the table, as text: what, data, medians (ours first), ratio, target, verdict."""
    medians = ", ".join(
        f"{name} {number(value, row['unit'])}"
        for name, value in sorted(row["values"].items(), key=lambda item: item[0] != OURS)
    )
    if row["missing"]:
        medians += f" (not installed: {', '.join(row['missing'])})"
    ratio = "–" if row["ratio"] is None else f"{_ratio(row['ratio'])} ({row['ratio_of']})"
    target = "–" if row["target"] is None else f"{row['direction']} {row['target']:g}"
    verdict = {True: "pass", False: "**short**", None: "–"}[row["passed"]]
    return row["what"], row["data"], medians, ratio, target, verdict


def _ratio(ratio: float) -> str:
    """A ratio near its target keeps the digits that decide."""
    return f"{ratio:.4f}" if 0.9 < ratio < 1.1 else _three_digits(ratio)


def shortfalls(text: str) -> dict[str, str]:
    """What SHORTFALLS.md says, by the key or the part that its headings name."""
    sections = text.split("\n## ")[1:]
    return {heading.strip(): body.strip() for heading, _, body in (section.partition("\n") for section in sections)}


def to_markdown(results: Results, reasons: dict[str, str]) -> str:
    """The table, a note per row that has one, the reasons of those that fall short, and a footnote per run."""
    rows = results["rows"]
    marks = {date: chr(ord("a") + i) for i, date in enumerate(results["runs"])}
    passed = sum(row["passed"] is True for row in rows)
    judged = sum(row["passed"] is not None for row in rows)
    text = (
        f"Written by `make bench` from `results.json`; {passed} of {judged} targets are met. Medians of interleaved, "
        "warmed rounds; results were checked equal before they were timed. The ratio is told with what it divides; "
        "rows that fall short stay."
    )
    lines = [
        "# Results of the bench",
        "",
        text,
        "",
        "| " + " | ".join((*HEADINGS, "run")) + " |",
        "|" + "---|" * (len(HEADINGS) + 1),
    ]
    lines += ["| " + " | ".join((*cells(row), marks[row["run"]])) + " |" for row in rows]
    notes = [f"- {row['what']}: {row['note']}." for row in rows if row["note"]]
    if notes:
        lines += ["", "Notes", "", *dict.fromkeys(notes)]
    short = [row for row in rows if row["passed"] is False]
    if short:
        lines += ["", "Rows that fall short", ""]
        told = {row["what"]: _reason(row["key"], reasons) for row in short}
        lines += [f"- {what}: {reason or 'not looked into.'}" for what, reason in told.items()]
    lines += ["", "Runs", ""]
    lines += [f"- ({marks[date]}) {_footnote(run)}" for date, run in results["runs"].items()]
    return "\n".join(lines) + "\n"


def _reason(key: str, reasons: dict[str, str]) -> str:
    """What is said of the row itself, else of its part."""
    return (reasons.get(key) or reasons.get(key.partition("/")[0], "")).replace("\n", "\n  ")


def _footnote(run: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    sizes = "" if run["sizes"] == "full" else f" **Sizes: {run['sizes']}, not those of the targets.**"
    return (
        f"{run['date']}, commit {run['commit']}, {run['cpu']}, {run['cores']} cores, {run['memory_gb']} GB, "
        f"{run['system']}, Python {run['python']}; load before the start {run['load_before']}.{sizes} {packages}. "
        f"Every contestant may use all {run['cores']} cores, with its own threads (polars' pool, DuckDB's `threads`, "
        "pyarrow's pool, OpenMP for scikit-learn and faiss; pandas has none); client and service share them. DuckDB "
        "reads its own in-memory table and need not keep the order; polars runs in memory and streaming; UUIDs are "
        "DuckDB's UUID, dictionaries its ENUM, polars' and pandas' categoricals; scikit-learn gets C-ordered float64, "
        f"Lloyd and Elkan. Data: seed {run['seed']}, numpy's PCG64, `loadtests/bench/data.py` and "
        "`loadtests/generate.py`."
    )
