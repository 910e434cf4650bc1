"""One client process's share of the cases."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from loadtests.fuzz.cases import case
from loadtests.fuzz.client import Connection, Verdict
from loadtests.fuzz.seeds import Seeds

__all__ = ["Sent", "Share", "format_of", "send_share", "told"]

MAX_FAULTS = 20
# A Parquet body takes the client three times as long to make.
_TURNS = (*("arrow", "json", "csv") * 3, "parquet")


def format_of(number: int, formats: list[str]) -> str:
    """The format of the case of this number: three of each, and one of Parquet, in turn."""
    turns = [form for form in _TURNS if form in formats]
    return turns[number % len(turns)]


class Share(NamedTuple):
    """Every `step`-th case from `first` on."""

    port: int
    models: dict[str, Any]
    corpus: dict[str, list[bytes]]
    seed: int
    formats: list[str]
    first: int
    step: int
    bodies: int
    deadline: float
    """Of the clock of time.time(); later nothing is sent."""


class Sent(NamedTuple):
    """What became of the cases of one format."""

    statuses: Counter[tuple[int, str]]
    seconds: list[float]
    sizes: list[int]
    faults: list[tuple[int, Verdict]]


def send_share(share: Share) -> dict[str, Sent]:
    """Sends a share, in a process of its own; stops after too many faults."""
    seeds, connection = Seeds.of(share.models), Connection(share.port)
    sent = {form: Sent(Counter(), [], [], []) for form in share.formats}
    for number in range(share.first, share.bodies, share.step):
        form = format_of(number, share.formats)
        mutated = case(share.seed, number, form, seeds, share.corpus.get(form, ()))
        verdict = connection.send(mutated)
        of_form = sent[form]
        of_form.statuses[verdict.status, verdict.code] += 1
        of_form.seconds.append(verdict.seconds)
        of_form.sizes.append(len(mutated.body))
        if verdict.fault:
            of_form.faults.append((number, verdict))
            if len(of_form.faults) >= MAX_FAULTS:
                break
        if time.time() > share.deadline:
            break
    connection.close()
    return sent


def told(parts: list[Sent]) -> dict[str, Any]:
    """The figures of one format."""
    statuses: Counter[tuple[int, str]] = sum((part.statuses for part in parts), Counter())
    seconds = np.array([second for part in parts for second in part.seconds] or [0.0])
    by_status: Counter[str] = Counter()
    for (status, _), count in statuses.items():
        by_status[str(status)] += count
    return {
        "bodies": sum(statuses.values()),
        "body_megabytes": round(sum(sum(part.sizes) for part in parts) / 1e6, 1),
        "statuses": dict(sorted(by_status.items())),
        "codes": {code: count for (_, code), count in sorted(statuses.items()) if code},
        "p50_ms": round(float(np.median(seconds)) * 1e3, 2),
        "slowest_seconds": round(float(seconds.max()), 2),
        "faults": [(number, verdict._asdict()) for part in parts for number, verdict in part.faults],
    }
