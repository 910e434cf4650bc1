"""More small scores than can be answered in time: some are answered, others told so; then all is as before."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from tests.wire.server import ARROW, Server, running, stream_of
from tests.wire.shop import PEOPLE
from tests.wire.test_operations import samples_of

LIMIT = "score_queue_seconds"
CONNECTIONS = 32
MOST_ROUNDS = 500


@pytest.fixture(scope="module")
def hasty(models: Path) -> Iterator[Server]:
    """A service to which any wait is too long."""
    with running(models=models, threads=1, score_queue_seconds=1e-9) as service:
        yield service


def test_refusals_are_problems_and_their_connections_go_on(hasty: Server) -> None:
    body = stream_of(PEOPLE)
    links = [http.client.HTTPConnection("127.0.0.1", hasty.port, timeout=60) for _ in range(CONNECTIONS)]
    n_refused = 0
    for number in range(MOST_ROUNDS):
        for i, link in enumerate(links):
            headers = {"Content-Type": ARROW, "X-Request-ID": f"of-{number}-{i}"}
            link.request("POST", "/v1/score?model=people", body, headers)
        for i, link in enumerate(links):
            reply = link.getresponse()
            content = reply.read()
            assert reply.headers["x-request-id"] == f"of-{number}-{i}"
            if reply.status == 200:
                continue
            n_refused += 1
            assert (reply.status, reply.headers["retry-after"], reply.will_close) == (503, "1", False)
            assert reply.headers["content-type"] == "application/problem+json"
            problem = orjson.loads(content)
            assert (problem["code"], problem["limit"], problem["request_id"]) == ("busy", LIMIT, f"of-{number}-{i}")
        if n_refused >= CONNECTIONS:
            break
    assert n_refused >= CONNECTIONS
    answers = set()
    for link in links:  # one at a time, nobody waits
        link.request("POST", "/v1/score?model=people", body, {"Content-Type": ARROW})
        reply = link.getresponse()
        assert reply.status == 200
        answers.add(reply.read())
        link.close()
    assert len(answers) == 1

    def counted() -> bool:
        with httpx.Client(base_url=hasty.url) as client:
            return samples_of(client)["segserve_rejections_total", LIMIT] == n_refused

    hasty.wait_until(counted, 30)
    told = [entry for entry in hasty.log if entry["event"] == "requests refused"]
    assert sum(entry["requests"] for entry in told) == n_refused
    assert {entry["limit"] for entry in told} == {LIMIT}
