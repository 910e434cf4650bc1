"""One client process's share of the cases."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from loadtests.fuzz.cases import case
from loadtests.fuzz.client import Connection, Verdict
from loadtests.fuzz.seeds import Seeds

__all__ = ["Sent", "Share", "send_share"]

MAX_FAULTS = 20


class Share(NamedTuple):
    """Every `step`-th case of a format from `first` on."""

    port: int
    models: dict[str, Any]
    corpus: list[bytes]
    seed: int
    form: str
    first: int
    step: int
    bodies: int


class Sent(NamedTuple):
    """What became of a share."""

    statuses: Counter[tuple[int, str]]
    seconds: list[float]
    body_bytes: int
    faults: list[tuple[int, Verdict]]


def send_share(share: Share) -> Sent:
    """Sends a share, in a process of its own; stops after too many faults."""
    seeds, connection = Seeds.of(share.models), Connection(share.port)
    sent = Sent(Counter(), [], 0, [])
    size = 0
    for number in range(share.first, share.bodies, share.step):
        mutated = case(share.seed, number, share.form, seeds, share.corpus)
        verdict = connection.send(mutated)
        sent.statuses[verdict.status, verdict.code] += 1
        sent.seconds.append(verdict.seconds)
        size += len(mutated.body)
        if verdict.fault:
            sent.faults.append((number, verdict))
            if len(sent.faults) >= MAX_FAULTS:
                break
    connection.close()
    return sent._replace(body_bytes=size)
