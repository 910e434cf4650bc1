"""500 clients that send their headers, send their body, or read their reply at a byte a second, beside others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import httpx
import numpy as np

from loadtests.open_load import Answers, run_open_load
from loadtests.reliability.report import Row
from loadtests.reliability.slow_clients import KINDS, ORDINARY
from loadtests.reliability.stage import Stage, known, latencies, metrics, milliseconds, percentile, source
from loadtests.server import Service
from loadtests.users import ad_platform, analyst

__all__ = ["run"]

CLIENTS = 500
DEADLINE_SECONDS = 8
GRACE_SECONDS = 4.0
"""A deadline on progress is looked at now and then."""
TIMES = 1.5
SCORES, SEGMENTS = 100.0, 5.0
WHAT = {"headers": "send their headers", "body": "send their body", "reply": "read their reply"}


def run(stage: Stage, *, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    clients, deadline = (50, 3) if quick else (CLIENTS, DEADLINE_SECONDS)
    deadlines = known(HEADER_SECONDS=str(deadline), READ_SECONDS=str(deadline), WRITE_SECONDS=str(deadline))
    rows: list[Row] = []
    figures: dict[str, Any] = {"deadline_seconds": deadline, "settings": sorted(deadlines)}
    with stage.service("slow", **deadlines) as service:
        figures["without"] = _summary(_load(service, 2.0 * deadline))
        for kind in KINDS:
            without = figures["without"]
            if kind == "reply":  # their requests are work: compared with as many that read at once
                without = figures[ORDINARY] = _beside(service, ORDINARY, clients, deadline)
            figures[kind] = _beside(service, kind, clients, deadline)
            rows += _rows(kind, clients, deadline, without, figures[kind])
        figures["deadlines_missed"] = {
            name: value for name, value in metrics(service.url).items() if "deadlines_missed_total" in name
        }
    return rows, figures


def _load(service: Service, seconds: float) -> Answers:
    kinds = ((ad_platform(), SCORES), (analyst(), SEGMENTS))
    return run_open_load(service.url, [source(service.url, request, [(seconds, rate)]) for request, rate in kinds])


def _beside(service: Service, kind: str, clients: int, deadline: int) -> dict[str, Any]:
    """Ordinary load while the slow ones are there, and how those ended."""
    patience = 4 * deadline + 20.0
    command = [sys.executable, "-m", "loadtests.reliability.slow_clients"]
    with subprocess.Popen(
        [*command, service.url, kind, str(clients), str(patience)], stdout=subprocess.PIPE, text=True
    ) as process:
        answers = _load(service, 2.0 * deadline)
        told, _ = process.communicate(timeout=2 * patience)
    ends = json.loads(told)
    seconds = [end["seconds"] for end in ends if end["by_server"]]
    return {
        **_summary(answers),
        "clients": len(ends),
        "ended": len(seconds),
        "ended_p50_seconds": float(np.median(seconds)) if seconds else None,
        "ended_max_seconds": max(seconds, default=None),
        "told": Counter(end["told"] for end in ends).most_common(6),
    }


def _summary(answers: Answers) -> dict[str, Any]:
    good = answers.status == httpx.codes.OK
    found = {"sent": len(good), "not_answered": int((~good).sum()), "errors": answers.errors}
    for number, name in enumerate(("scores", "segments")):
        seconds = latencies(answers, answers.source == number)
        found[f"{name}_p50_seconds"] = percentile(seconds, 50)
        found[f"{name}_p99_seconds"] = percentile(seconds, 99)
    return found


def _rows(kind: str, clients: int, deadline: int, without: dict[str, Any], found: dict[str, Any]) -> list[Row]:
    what = f"{clients} clients that {WHAT[kind]} a byte a second"
    ratio = found["scores_p99_seconds"] / without["scores_p99_seconds"]
    longest = found["ended_max_seconds"]
    all_ended = found["ended"] == found["clients"] and longest <= deadline + GRACE_SECONDS
    told = ", ".join(f"{n} × {text}" for text, n in found["told"])
    p99s = f"{milliseconds(found['scores_p99_seconds'])} : {milliseconds(without['scores_p99_seconds'])}"
    return [
        Row(
            f"slow/{kind}-others", f"{what}: small scores beside them, p99 against without",
            f"{p99s} = {ratio:.1f} ×; {found['not_answered']} not answered",
            f"≤ {TIMES:g} ×; 0", ratio <= TIMES and not found["not_answered"],
            f"Medians {milliseconds(found['scores_p50_seconds'])} : {milliseconds(without['scores_p50_seconds'])}; "
            f"segmentations {milliseconds(found['segments_p50_seconds'])} : "
            f"{milliseconds(without['segments_p50_seconds'])}.",
        ),
        Row(
            f"slow/{kind}-ended", f"{what}: ended by the service, at most",
            f"{found['ended']} of {found['clients']}" + (f", {longest:.1f} s" if longest else ""),
            f"all, {deadline} s (+ {GRACE_SECONDS:g})", all_ended, f"They were told: {told}.",
        ),
    ]  # fmt: skip
