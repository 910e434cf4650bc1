"""The backlog of small scores: who is refused and when, what is taken for a whole request, what is counted and told."""

from __future__ import annotations

import asyncio
import logging

import httptools
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api_keys import ApiKeys
from service.backlog import MANY, PATIENCE_SECONDS, REFUSAL_SECONDS, Backlog, refusable
from service.gate import Gate
from service.metrics import Metrics
from tests.service.clock import Clock

LONGEST = 0.0205


def request(*lines: str, body: bytes = b"1234", target: str = "/v1/score?model=shop", version: str = "1.1") -> bytes:
    lines = lines or (f"Content-Length: {len(body)}",)
    return "\r\n".join([f"POST {target} HTTP/{version}", "Host: x", *lines, "", ""]).encode() + body


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def backlog(clock: Clock, metrics: Metrics) -> Backlog:
    return Backlog(LONGEST, metrics, Gate(ApiKeys(None, None)), clock)


async def one_round(backlog: Backlog, clock: Clock, n: int, seconds_each: float) -> list[bool]:
    """What n requests of a round are told, each of which takes so long to be read and answered at once."""
    late = []
    for _ in range(n):
        late.append(backlog.read())
        if late[-1]:
            assert backlog.refusal(request()) is not None
        else:
            clock.now += seconds_each
    await asyncio.sleep(0)  # the loop goes on
    return late


def test_who_would_wait_too_long_is_refused_once_rounds_stay_long(backlog: Backlog, clock: Clock) -> None:
    async def run() -> None:
        for _ in range(2):
            assert not any(await one_round(backlog, clock, 30, 0.001))  # 30 ms: 60 before the third begins
        assert await one_round(backlog, clock, 30, 0.001) == [False] * 21 + [True] * 9
        clock.now += 0.001
        assert not any(await one_round(backlog, clock, 20, 0.001))
        assert not any(await one_round(backlog, clock, 40, 0.001))  # and is not behind any more

    assert 0.03 < PATIENCE_SECONDS < 0.06
    asyncio.run(run())


def test_a_loop_that_was_held_up_once_refuses_nobody(backlog: Backlog, clock: Clock) -> None:
    async def run() -> None:
        for _ in range(5):
            assert not any(await one_round(backlog, clock, 2, 3.0))
            assert not any(await one_round(backlog, clock, 30, 0.0001))

    asyncio.run(run())


def test_requests_that_are_answered_after_a_round_count_with_the_time_they_take(backlog: Backlog, clock: Clock) -> None:
    async def run() -> None:
        late = False
        for _ in range(100):
            taken = 0
            for _ in range(10 * MANY):
                if late := backlog.read():
                    assert backlog.refusal(request()) is not None
                    break
                backlog.wait()
                taken += 1
            asyncio.get_running_loop().call_soon(lambda n=taken: setattr(clock, "now", clock.now + n * 0.002))
            await asyncio.sleep(0)
        assert late
        assert 10 <= taken <= 12  # 20 ms of 2 ms each

    asyncio.run(run())


def test_a_refusal_is_a_whole_problem_under_the_callers_request_id(backlog: Backlog) -> None:
    refused = backlog.refusal(request("content-length: 4", 'X-Request-ID:  a"b ', "connection: keep-alive"))
    assert refused is not None
    reply, left = refused
    assert left == 0
    head, _, body = reply.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 503 Service Unavailable"
    assert {b"retry-after: 1", b'x-request-id: a"b', b"content-length: %d" % len(body)} <= set(lines)
    problem = orjson.loads(body)
    assert (problem["code"], problem["status"], problem["request_id"]) == ("busy", 503, 'a"b')
    assert (problem["limit"], problem["wanted"]) == ("score_queue_seconds", LONGEST)
    other = backlog.refusal(request())
    assert other is not None
    assert orjson.loads(other[0].partition(b"\r\n\r\n")[2])["request_id"].isalnum()


def test_nobody_is_refused_so_once_the_end_has_begun(metrics: Metrics, clock: Clock) -> None:
    gate = Gate(ApiKeys(None, None))
    gate.draining = True  # each reply says that the connection closes
    assert Backlog(LONGEST, metrics, gate, clock).refusal(request()) is None


def test_a_request_that_took_long_is_forgotten(backlog: Backlog, clock: Clock) -> None:
    """Else the service would refuse for ever, as nobody would be let in to show that it is fast again."""

    async def a_round(seconds_each: float) -> int:
        taken = 0
        for _ in range(40):
            if not backlog.read():
                backlog.wait()
                taken += 1
        asyncio.get_running_loop().call_soon(lambda: setattr(clock, "now", clock.now + taken * seconds_each))
        await asyncio.sleep(0)
        return taken

    async def run() -> None:
        for _ in range(5):
            await a_round(10.0)
        assert await a_round(0.0001) == 1
        for _ in range(200):
            taken = await a_round(0.0001)
        assert taken == 40

    asyncio.run(run())


def test_refusing_takes_a_third_of_the_time_at_most(backlog: Backlog, clock: Clock) -> None:
    async def run() -> None:
        for _ in range(100):
            late = await one_round(backlog, clock, 10_000, 0.001)
        seconds, refusing = (len(late) - sum(late)) * 0.001, sum(late) * REFUSAL_SECONDS
        assert refusing > LONGEST
        assert seconds == pytest.approx(2 * refusing, rel=0.05)

    asyncio.run(run())


def test_refusals_are_counted_and_told_in_one_line(
    backlog: Backlog, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        backlog.read()
        for _ in range(3):
            backlog.refusal(request())
        await asyncio.sleep(0)

    asyncio.run(run())
    with caplog.at_level(logging.WARNING):
        backlog.tell()
        backlog.tell()
    (record,) = caplog.records
    assert record.__dict__["fields"]["requests"] == 3
    samples = {(s.name, *s.labels.values()): s.value for m in metrics.registry.collect() for s in m.samples}
    assert samples["segserve_rejections_total", "score_queue_seconds"] == 3
    assert samples["segserve_errors_total", "busy"] == 3
    assert samples["segserve_requests_total", "score", "rejected"] == 3


ODD = {
    "another endpoint": request(target="/v1/segment?k=3"),
    "another name": request(target="/v1/scores"),
    "more than one": request() + request(),
    "not all of it": request()[:-1],
    "only a head": request(body=b"").replace(b"Length: 0", b"Length: 9"),
    "no length": request("X-Odd: 1", body=b""),
    "two lengths": request("Content-Length: 4", "content-length: 4"),
    "chunks": request("Content-Length: 4", "Transfer-Encoding: chunked"),
    "waits for 100": request("Content-Length: 4", "Expect: 100-continue"),
    "closes": request("Content-Length: 4", "Connection: close"),
    "HTTP/1.0": request(version="1.0"),
    "no number": request("Content-Length: +4"),
    "no HTTP": b"POST /v1/score what\r\nContent-Length: 0\r\n\r\n",
    "no end": b"POST /v1/score HTTP/1.1\r\nContent-Length: 0\r\n",
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_whatever_is_not_one_plain_request_is_left_to_the_parser(data: bytes) -> None:
    assert refusable(data) is None


@pytest.mark.parametrize("n_sent", range(5))
def test_a_small_score_is_refused_before_its_body_is_there(n_sent: int) -> None:
    data = request()
    begun = data[: len(data) - 4 + n_sent]
    assert refusable(begun, 4) == (data[:-4], 4 - n_sent)
    assert (refusable(begun, 3) is None) is (n_sent < 4)  # a larger body is no small score's
    assert refusable(data[: -4 - 1], 4) is None  # nor is a head refused that is not all there


class Told:
    """What the parser says of bytes."""

    def __init__(self) -> None:
        self.complete = 0

    def on_message_complete(self) -> None:
        self.complete += 1


@given(
    st.lists(
        st.sampled_from(
            ["Content-Length: 4", "content-length:4", "Content-Length: 5", "Content-Length : 4", "X-A: b", "x:\ty"]
        )
        | st.text("Content-Lgh:rasfEdiu 4\r\n\0\t", max_size=20),
        max_size=4,
    ),
    st.sampled_from([b"", b"1234", b"12345"]),
)
def test_what_is_refused_is_to_the_parser_one_whole_request_or_none(lines: list[str], body: bytes) -> None:
    data = "\r\n".join(["POST /v1/score HTTP/1.1", *lines, "", ""]).encode() + body
    if refusable(data) is not None:
        told = Told()
        try:
            httptools.HttpRequestParser(told).feed_data(data)
        except httptools.HttpParserError:
            return  # to be told 400 at another time
        assert told.complete == 1
