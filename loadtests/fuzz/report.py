"""From the figures of a run to its verdict and its file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from loadtests.bench.machine import run_facts
from loadtests.bench.sizes import FULL

__all__ = ["save", "verdict_of"]

GROWTH_BYTES = 96 << 20
"""What the service may remember by design: forms of quick scores (64 MiB), their layouts (16 MiB), options, routes."""


def verdict_of(figures: dict[str, Any]) -> list[str]:
    """What was promised and did not hold."""
    broken = []
    if figures["killed_at_bytes"]:
        broken.append(f"memory passed the limit: {figures['killed_at_bytes']:,} bytes")
    if not figures["alive"]:
        broken.append("the service died")
    faults = sum(len(found["faults"]) for found in figures["formats"].values())
    if faults:
        broken.append(f"{faults} answers are wrong or missing")
    if figures["log_errors"]:
        broken.append(f"{len(figures['log_errors'])} errors in the log")
    if figures["alive"] and figures["end_bytes"] > figures["start_bytes"] + GROWTH_BYTES:
        broken.append(f"memory went from {figures['start_bytes']:,} to {figures['end_bytes']:,} bytes")
    return broken


def save(path: Path, args: argparse.Namespace, figures: dict[str, Any], broken: list[str]) -> None:
    """Writes the run for the table of reliability."""
    document = {
        "name": "Hostile input",
        "command": f"make fuzz N={args.bodies}",
        "figures": figures,
        "verdict": "pass" if not broken else "fail: " + "; ".join(broken),
        "run": run_facts(FULL),
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
