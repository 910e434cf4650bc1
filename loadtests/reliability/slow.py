"""500 clients that send their headers, send their body, or read their reply at a byte a second, beside others."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import Counter
from typing import Any, NamedTuple

import httpx
import numpy as np
from numpy.typing import NDArray

from loadtests.open_load import run_open_load
from loadtests.reliability.report import Row
from loadtests.reliability.slow_clients import KINDS, ORDINARY, START_SECONDS
from loadtests.reliability.stage import Stage, known, latencies, metrics, milliseconds, percentile, source
from loadtests.server import Service
from loadtests.users import ad_platform, analyst

__all__ = ["run"]

CLIENTS = 500
ROUNDS = 3
"""Of every kind, in turn without and with the slow ones: the machine is not the same from one minute to the next."""
DEADLINE_SECONDS = 8
GRACE_SECONDS = 4.0
"""A deadline on progress is looked at now and then."""
TIMES = 1.5
ROUNDS_KEY = "scores_p99_seconds_of_rounds"
SCORES, SEGMENTS = 200.0, 5.0
WHAT = {"headers": "send their headers", "body": "send their body", "reply": "read their reply"}


def run(stage: Stage, *, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    clients, deadline, rounds = (50, 3, 1) if quick else (CLIENTS, DEADLINE_SECONDS, ROUNDS)
    deadlines = known(HEADER_SECONDS=str(deadline), READ_SECONDS=str(deadline), WRITE_SECONDS=str(deadline))
    rows: list[Row] = []
    figures: dict[str, Any] = {"deadline_seconds": deadline, "settings": sorted(deadlines)}
    with stage.service("slow", **deadlines) as service:
        for kind in KINDS:
            without, beside = [], []
            for _ in range(rounds):
                # Those who read slowly have had work done: they are compared with as many that read at once.
                without.append(_beside(service, ORDINARY if kind == "reply" else None, clients, deadline))
                beside.append(_beside(service, kind, clients, deadline))
            figures[kind] = {"without": _together(without), "beside": _together(beside)}
            rows += _rows(kind, clients, deadline, figures[kind]["without"], figures[kind]["beside"])
        figures["deadlines_missed"] = {
            name: value for name, value in metrics(service.url).items() if "deadlines_missed_total" in name
        }
    return rows, figures


class _Round(NamedTuple):
    """Latencies while all of the slow ones are there, and how those ended."""

    scores: NDArray[np.float64]
    segments: NDArray[np.float64]
    sent: int
    not_answered: int
    ends: list[dict[str, Any]]


def _beside(service: Service, kind: str | None, clients: int, deadline: int) -> _Round:
    """Ordinary load while slow ones of a kind are there; no others for None."""
    patience = 4 * deadline + 20.0
    command = [sys.executable, "-m", "loadtests.reliability.slow_clients", service.url]
    kinds = ((ad_platform(), SCORES), (analyst(), SEGMENTS))
    sources = [source(service.url, request, [(float(deadline), rate)]) for request, rate in kinds]
    with contextlib.ExitStack() as stack:
        process = None
        if kind is not None:
            more = [kind, str(clients), str(patience)]
            process = stack.enter_context(subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True))
        answers = run_open_load(service.url, sources)
        ends = [] if process is None else json.loads(process.communicate(timeout=2 * patience)[0])
    among = answers.due >= START_SECONDS  # until then they come
    good = answers.status[among] == httpx.codes.OK
    scores, segments = (latencies(answers, among & (answers.source == number)) for number in range(len(sources)))
    return _Round(scores, segments, len(good), int((~good).sum()), ends)


def _together(rounds: list[_Round]) -> dict[str, Any]:
    ends = [end for found in rounds for end in found.ends]
    seconds = [end["seconds"] for end in ends if end["by_server"]]
    scores, segments = (np.concatenate([getattr(found, name) for found in rounds]) for name in ("scores", "segments"))
    return {
        "sent": sum(found.sent for found in rounds),
        "not_answered": sum(found.not_answered for found in rounds),
        "scores_p50_seconds": percentile(scores, 50),
        "scores_p99_seconds": percentile(scores, 99),
        ROUNDS_KEY: [percentile(found.scores, 99) for found in rounds],
        "segments_p50_seconds": percentile(segments, 50),
        "segments_p99_seconds": percentile(segments, 99),
        "clients": len(ends),
        "ended": len(seconds),
        "ended_p50_seconds": float(np.median(seconds)) if seconds else None,
        "ended_max_seconds": max(seconds, default=None),
        "told": Counter(end["told"] for end in ends).most_common(6),
    }


def _rows(kind: str, clients: int, deadline: int, without: dict[str, Any], found: dict[str, Any]) -> list[Row]:
    what = f"{clients} clients that {WHAT[kind]} a byte a second"
    ratio = found["scores_p99_seconds"] / without["scores_p99_seconds"]
    longest = found["ended_max_seconds"]
    all_ended = found["ended"] == found["clients"] and longest <= deadline + GRACE_SECONDS
    told = ", ".join(f"{n} × {text}" for text, n in found["told"])
    rounds = ", ".join(
        f"{milliseconds(mine)} : {milliseconds(other)}"
        for mine, other in zip(found[ROUNDS_KEY], without[ROUNDS_KEY], strict=True)
    )
    p99s = f"{milliseconds(found['scores_p99_seconds'])} : {milliseconds(without['scores_p99_seconds'])}"
    return [
        Row(
            f"slow/{kind}-others", f"{what}: p99 of small scores beside them against without; others not answered",
            f"{p99s} = {ratio:.1f} ×; {found['not_answered']} : {without['not_answered']} not answered",
            f"≤ {TIMES:g} ×; none more", ratio <= TIMES and found["not_answered"] <= without["not_answered"],
            f"{found['sent']:,} requests while all of them were there; p99 of each round {rounds}. "
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
