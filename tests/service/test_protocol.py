"""A connection without a network: the same requests answered below ASGI and through it, and what is left of each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from proto.media import Media
from proto.options import ScoreOptions
from service.backlog import Backlog
from service.endpoints import Endpoint
from service.ledger import Ledger
from service.protocol import Protocol
from service.quick.direct import Direct
from service.settings import Settings
from service.state import State
from tests.service.quick.test_direct import BODY, LINES, QUERY, request_of
from tests.service.quick.test_path import run, store

FIXED = [(b"date", b"today")]


class _Link(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


class _Talk:
    """A connection, and the replies it has given."""

    def __init__(self, state: State, direct: Direct | None, **settings: Any) -> None:
        endpoint = Endpoint(ScoreOptions, state)
        config = uvicorn.Config(endpoint, log_config=None, access_log=False, **settings)
        config.load()
        self.server = ServerState()
        self.server.default_headers = list(FIXED)
        lent = {"watch": state.watch, "direct": direct}
        self.link, self.protocol = _Link(), Protocol(config, self.server, lent)
        self.protocol.connection_made(self.link)

    def at_once(self, data: bytes) -> bytes:
        """What is written before the event loop goes on."""
        self.link.written = b""
        self.protocol.data_received(data)
        return self.link.written

    async def say(self, data: bytes) -> bytes:
        """The whole of what is written."""
        self.at_once(data)
        return await self.rest()

    async def rest(self) -> bytes:
        """What was written, once the application has answered."""
        while (cycle := self.protocol.cycle) is not None and not cycle.response_complete:
            await asyncio.sleep(0)  # a turn of the loop
        return self.link.written


def direct_of(state: State) -> Direct:
    return Direct(state, Ledger("score", state.metrics, logs=False))


@pytest.fixture
def state() -> Iterator[State]:
    state = State.of(Settings(threads=1))
    state.models, state.ready = store(), True
    yield state
    state.close()


def told(reply: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Status line, headers, body; times and ids by their form alone."""
    head, _, body = reply.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
    stages = [part.partition(b"=")[0] for part in dict(headers).pop(b"server-timing", b"").split(b", ")]
    kept = {b"server-timing": b" ".join(stages), b"x-request-id": b"id"}
    return status, [(name, kept.get(name, value)) for name, value in headers], body


def test_both_ways_give_the_same_reply(state: State) -> None:
    async def talk() -> None:
        quick, general = _Talk(state, direct_of(state)), _Talk(state, None)
        expected = run(ScoreOptions, QUERY.decode(), Media.JSON, BODY, store())
        for i in range(5):
            data = request_of(*LINES, b"X-Request-ID: %d" % i)
            at_once = quick.at_once(data)
            assert bool(at_once) is (i > 0)  # the head is new at first; the form is known by then
            reply = at_once or await quick.rest()
            assert b"x-request-id: %d\r\n" % i in reply
            assert told(reply) == told(await general.say(data))
            assert told(reply)[2] == expected
        assert quick.server.total_requests == general.server.total_requests == 5

    asyncio.run(talk())


@pytest.mark.parametrize("line", [b"Connection: close", b"Expect: 100-continue", b"Upgrade: h2c"])
def test_a_head_that_asks_for_more_goes_the_long_way(state: State, line: bytes) -> None:
    async def talk() -> None:
        direct = direct_of(state)
        for _ in range(4):
            one = _Talk(state, direct)
            assert one.at_once(request_of(*LINES, line)) == b""
            assert b"HTTP/1.1 200 OK\r\n" in await one.rest()

    asyncio.run(talk())


def test_another_method_or_address_or_a_proxys_root_path_is_not_learnt(state: State) -> None:
    async def talk() -> None:
        data = request_of(*LINES)
        direct = direct_of(state)
        talks = [
            (_Talk(state, direct), data.replace(b"POST", b"PUT")),
            (_Talk(state, direct), data.replace(b"/v1/score", b"/v1/score%20")),
            (_Talk(state, direct), data.replace(b"/v1/score", b"/v1/scores")),
            (_Talk(state, direct), data.replace(b"HTTP/1.1", b"HTTP/1.0")),
            (_Talk(state, direct, root_path="/here"), data),
        ]
        for one, sent in talks:
            for _ in range(4):
                assert one.at_once(sent) == b""
                one.link.closed = False
                await one.rest()

    asyncio.run(talk())


def test_requests_in_a_row_are_answered_in_their_order(state: State) -> None:
    async def talk() -> None:
        one = _Talk(state, direct_of(state))
        for _ in range(4):
            await one.say(request_of(*LINES))
        first, second = (request_of(*LINES, b"X-Request-ID: %b" % name) for name in (b"first", b"second"))
        assert one.at_once(first + second[:40]) == b""  # the parser has both
        one.protocol.data_received(second[40:])
        await one.rest()
        while one.link.written.count(b"HTTP/1.1 200 OK") < 2:
            await asyncio.sleep(0)  # a turn of the loop
        assert one.link.written.index(b"first") < one.link.written.index(b"second")
        assert b"third" in one.at_once(request_of(*LINES, b"X-Request-ID: third"))

    asyncio.run(talk())


def test_while_a_request_is_answered_the_next_one_waits(state: State) -> None:
    async def talk() -> None:
        one = _Talk(state, direct_of(state))
        for _ in range(4):
            await one.say(request_of(*LINES))
        assert one.at_once(b"GET " + request_of(*LINES)[5:]) == b""
        assert one.at_once(request_of(*LINES)) == b""
        await one.rest()
        one.protocol.flow.pause_writing()  # a reader that is behind
        assert one.at_once(request_of(*LINES)) == b""
        one.protocol.flow.resume_writing()
        assert b"HTTP/1.1 200 OK" in await one.rest()

    asyncio.run(talk())


def test_an_idle_connection_is_closed_after_its_last_answer(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk() -> None:
        one = _Talk(state, direct_of(state), timeout_keep_alive=10)
        for _ in range(4):
            await one.say(request_of(*LINES))
        protocol, loop = one.protocol, asyncio.get_running_loop()
        left: list[float] = []
        monkeypatch.setattr(protocol, "_await_next", left.append)
        now = loop.time()
        monkeypatch.setattr(protocol, "loop", SimpleNamespace(time=lambda: now))
        assert one.at_once(request_of(*LINES))
        now += 4
        protocol.timeout_keep_alive_handler()
        assert left == [pytest.approx(6)]
        assert not one.link.closed
        now += 6
        protocol.timeout_keep_alive_handler()
        assert one.link.closed

    asyncio.run(talk())


def test_a_direct_answer_leaves_no_deadline_open(state: State) -> None:
    async def talk() -> None:
        direct = direct_of(state)
        for _ in range(3):
            await _Talk(state, direct).say(request_of(*LINES))
        one = _Talk(state, direct)  # whose first request it is
        assert one.at_once(request_of(*LINES))
        now = state.watch.clock() + 1e6
        assert one.protocol.missed_deadline(now, state.watch.deadlines) is None

    asyncio.run(talk())


@pytest.mark.parametrize("cuts", [(), (0,), (7,), (0, 7)], ids=["at once", "head first", "in two", "in three"])
def test_a_score_that_is_refused_at_its_head_leaves_the_connection_in_order(
    state: State, cuts: tuple[int, ...]
) -> None:
    class Late(Backlog):
        """Any wait is too long, once."""

        late = True

        def read(self) -> bool:
            return self.late

    async def talk() -> None:
        backlog = Late(0.02, state.metrics, state.gate, small_body_bytes=state.settings.small_body_bytes)
        one = _Talk(state, None)
        one.protocol._backlog = backlog
        data = request_of(*LINES)
        start = len(data) - len(BODY)
        places = [0, *(start + cut for cut in cuts), len(data)]
        parts = [data[a:b] for a, b in itertools.pairwise(places)]
        assert one.at_once(parts[0]).startswith(b"HTTP/1.1 503 ")
        backlog.late = False
        for part in parts[1:]:
            assert one.at_once(part) == b""
        expected = run(ScoreOptions, QUERY.decode(), Media.JSON, BODY, store())
        assert told(await one.say(data))[2] == expected
        backlog.late = True
        assert one.at_once(parts[0]).startswith(b"HTTP/1.1 503 ")
        backlog.late = False
        # The rest of it comes with the next request.
        assert told(await one.say(b"".join(parts[1:]) + data))[2] == expected

    asyncio.run(talk())
