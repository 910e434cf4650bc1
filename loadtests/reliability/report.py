"""One file of findings per measure; RELIABILITY.md is written from all of them and from SHORTFALLS.md.

A measure calls `save(name, rows, figures)`; rows are sentences with a verdict, figures are the numbers behind them. A
measure that runs again takes the place of its last run and leaves the others alone.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from loadtests.bench.machine import machine_facts
from loadtests.datasets import FOLDER

__all__ = ["MEASURES", "Row", "load_findings", "save", "to_markdown"]

HERE = Path(__file__).parent
RESULTS = HERE / "results"
QUICK_RESULTS = FOLDER / "reliability"
MEASURES = ("hostile", "schemathesis", "overload", "isolation", "slow", "cuts", "stopping", "outages", "memory", "soak")
VERSIONS_OF = ("uvicorn", "uvloop", "httptools", "starlette", "fastapi", "pyarrow", "numpy", "numba", "orjson")
VERDICTS = {True: "pass", False: "**short**", None: "–"}

Findings = dict[str, Any]


class Row(NamedTuple):
    """One line of the table; `passed` is None where nothing was promised."""

    key: str
    """measure/row, the heading of its reason in SHORTFALLS.md."""
    what: str
    found: str
    wanted: str
    passed: bool | None
    note: str = ""


def save(name: str, rows: list[Row], figures: dict[str, Any], *, quick: bool = False) -> Path:
    """Writes the measure's findings and RELIABILITY.md, a quick run's into .demo/reliability; returns the folder."""
    folder = QUICK_RESULTS if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    versions = {package: metadata.version(package) for package in VERSIONS_OF}
    run = {**machine_facts(), "quick": quick, "versions": versions}
    findings = {"measure": name, "run": run, "rows": [row._asdict() for row in rows], "figures": figures}
    text = json.dumps(findings, ensure_ascii=False, indent=1)
    (folder / f"{name}.json").write_text(text + "\n", "utf-8")
    out = folder if quick else HERE.parent
    reasons = shortfalls((HERE / "SHORTFALLS.md").read_text("utf-8"))
    (out / "RELIABILITY.md").write_text(to_markdown(load_findings(folder), reasons), "utf-8")
    return folder


def load_findings(folder: Path) -> list[Findings]:
    """What the measures found, in their order."""
    files = (folder / f"{name}.json" for name in MEASURES)
    return [json.loads(file.read_text("utf-8")) for file in files if file.exists()]


def shortfalls(text: str) -> dict[str, str]:
    """What SHORTFALLS.md says, by the key or the measure that its headings name."""
    sections = text.split("\n## ")[1:]
    return {heading.strip(): body.strip() for heading, _, body in (section.partition("\n") for section in sections)}


def to_markdown(measures: list[Findings], reasons: dict[str, str]) -> str:
    """The table, a note per row that has one, the reasons of rows that fall short, and a footnote per run."""
    rows = [(row, chr(ord("a") + place)) for place, found in enumerate(measures) for row in found["rows"]]
    passed = sum(row["passed"] is True for row, _ in rows)
    judged = sum(row["passed"] is not None for row, _ in rows)
    lines = [
        "# Reliability",
        "",
        f"Written by `make reliability` from `loadtests/reliability/results/`; {passed} of {judged} "
        "promises are kept. Clients, load generator and service share the machine's cores. Latencies count "
        "from when a request was due, not from when it could be sent. Rows that fall short stay.",
        "",
        "| measured | found | wanted | | run |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['what']} | {row['found']} | {row['wanted'] or '–'} | {VERDICTS[row['passed']]} | {mark} |"
        for row, mark in rows
    ]
    notes = [f"- {row['what']}: {row['note']}" for row, _ in rows if row["note"]]
    if notes:
        lines += ["", "Notes", "", *notes]
    short = [row for row, _ in rows if row["passed"] is False]
    if short:
        lines += ["", "Rows that fall short", ""]
        lines += [f"- {row['what']}: {_reason(row['key'], reasons)}" for row in short]
    lines += ["", "Runs", ""]
    lines += [f"- ({chr(ord('a') + place)}) {_footnote(found)}" for place, found in enumerate(measures)]
    return "\n".join(lines) + "\n"


def _reason(key: str, reasons: dict[str, str]) -> str:
    """What is said of the row itself, else of its measure."""
    found = reasons.get(key) or reasons.get(key.partition("/")[0]) or "not looked into."
    return found.replace("\n", "\n  ")


def _footnote(found: Findings) -> str:
    run = found["run"]
    packages = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    quick = " **Quick: shorter than what the promises are about.**" if run["quick"] else ""
    return (
        f"{found['measure']}: {run['date']}, commit {run['commit']}, {run['cpu']}, {run['cores']} cores, "
        f"{run['memory_gb']} GB, {run['system']}, Python {run['python']}; load before the start {run['load_before']}."
        f"{quick} {packages}."
    )
