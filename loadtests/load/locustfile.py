"""Locust as an open model: every request is sent when it is due, in a greenlet of its own, and is timed from then.

Locust's own users are a closed model: each waits for its answer before it sends again, so a service that stalls is
asked less. Here one user is the dispatcher of all arrivals; its pool opens another connection where none is free.
Locust keeps the statistics, tells failures apart and checks the thresholds. `python -m loadtests.load` writes the plan
and starts it.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gevent
from locust import FastHttpUser, constant, events, task
from locust.contrib.fasthttp import FastHttpSession

from loadtests.load.scenarios import Threshold

PLAN: dict[str, Any] = json.loads(Path(os.environ["SEGLOAD_PLAN"]).read_text("utf-8"))
SEED = 7


class Kind(NamedTuple):
    """One kind of request, ready to be sent."""

    name: str
    path: str
    headers: dict[str, str]
    body: bytes
    rate: float


KINDS = [
    Kind(one["name"], one["path"], {"Content-Type": one["content_type"]}, Path(one["body"]).read_bytes(), one["rate"])
    for one in PLAN["requests"]
]


class FromDue:
    """Locust's event for a finished request, counting from when it was due instead of from when it was sent."""

    def __init__(self, event: Any) -> None:
        self._event = event

    def fire(self, **facts: Any) -> None:
        facts["response_time"] += (facts["start_time"] - facts["context"]["due"]) * 1e3
        self._event.fire(**facts)


def arrivals(kind: Kind, seconds: float) -> Iterator[float]:
    """Poisson: seconds since the start."""
    gaps = random.Random(f"{SEED} {kind.name}")
    at = gaps.expovariate(kind.rate)
    while at < seconds:
        yield at
        at += gaps.expovariate(kind.rate)


class Dispatcher(FastHttpUser):
    """All arrivals of the plan."""

    wait_time = constant(0)
    concurrency = 512

    @task
    def send_all(self) -> None:
        event = FromDue(self.environment.events.request)
        session = FastHttpSession(self.host, event, self, concurrency=self.concurrency)
        due = sorted((at, number) for number, kind in enumerate(KINDS) for at in arrivals(kind, PLAN["seconds"]))
        start = time.time()
        under_way = []
        for at, number in due:
            gevent.sleep(max(0.0, start + at - time.time()))
            under_way.append(gevent.spawn(self.send, session, KINDS[number], start + at))
        gevent.joinall(under_way, timeout=30)
        self.environment.runner.quit()

    @staticmethod
    def send(session: FastHttpSession, kind: Kind, due: float) -> None:
        session.post(kind.path, data=kind.body, headers=kind.headers, name=kind.name, context={"due": due})


@events.quitting.add_listener
def check(environment: Any, **_: Any) -> None:
    """What was found goes to the one who started this; exit code 1 where a threshold was missed."""
    found = {}
    for kind in KINDS:
        entry = environment.stats.get(kind.name, "POST")
        p50, p99 = (entry.get_response_time_percentile(part) for part in (0.5, 0.99))
        wanted = Threshold(*PLAN["thresholds"][kind.name])
        kept = entry.num_failures == 0 and 0 < p50 <= wanted.p50_ms and p99 <= wanted.p99_ms
        found[kind.name] = {"n": entry.num_requests, "failed": entry.num_failures, "p50_ms": p50, "p99_ms": p99}
        if not kept:
            environment.process_exit_code = 1
    Path(PLAN["found"]).write_text(json.dumps(found), "utf-8")
