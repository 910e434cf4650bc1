"""An endpoint, called as bare ASGI: what it does when its quick path fails or its client leaves."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import orjson
import pytest

from proto.errors import ErrorCode, RequestError
from proto.framing import Frame
from proto.media import Media
from proto.options import FitOptions, ScoreOptions
from service.endpoints import Endpoint
from service.metrics import StageTimer
from service.models import ModelStore
from service.quick.path import QuickPath
from service.settings import Settings
from service.state import State
from tests.service.quick.test_path import customers, run, store

BODY = orjson.dumps({"columns": customers(5).to_pydict()})
GONE = {"type": "http.disconnect"}


@pytest.fixture
def state() -> Iterator[State]:
    state = State.of(Settings(threads=1, max_requests=1))
    state.models, state.ready = store(), True
    yield state
    state.close()


def _ask(endpoint: Endpoint, *script: dict[str, Any], body: bytes = BODY) -> tuple[int, bytes]:
    """(status, body) of one request for the model `people`; the script is what the server has to say."""
    messages = list(script) or [{"type": "http.request", "body": body}]
    sent: list[dict[str, Any]] = []
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(endpoint({"query_string": b"model=people", "headers": headers}, receive, send))
    return (sent[0]["status"], b"".join(message.get("body", b"") for message in sent)) if sent else (0, b"")


def test_one_body_gets_one_answer_again_and_again(state: State) -> None:
    endpoint = Endpoint(ScoreOptions, state)
    expected = run(ScoreOptions, "model=people", Media.JSON, BODY, store())
    for _ in range(4):
        assert _ask(endpoint) == (200, expected)
        assert state.admission.in_flight == 0
    tally = state.metrics.tallies.of["score"]
    assert tally.outcomes["ok"] == 4
    assert tally.rows == tally.customers == 20


def test_where_the_quick_path_fails_the_general_one_answers(
    state: State, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError("mine")

    endpoint = Endpoint(ScoreOptions, state)
    expected = _ask(endpoint)
    monkeypatch.setattr(QuickPath, "answer", fail)
    with caplog.at_level(logging.ERROR, "segserve"):
        assert _ask(endpoint) == expected
    assert "ArithmeticError: mine" in caplog.text
    assert state.metrics.tallies.of["score"].outcomes["ok"] == 2


def test_a_client_that_leaves_is_told_of_once(state: State) -> None:
    endpoint = Endpoint(ScoreOptions, state)
    assert _ask(endpoint, {"type": "http.request", "body": BODY[:9], "more_body": True}, GONE) == (0, b"")
    outcomes = state.metrics.tallies.of["score"].outcomes
    assert (outcomes["disconnected"], sum(outcomes.values())) == (1, 1)
    assert state.admission.in_flight == 0


def test_without_a_place_the_general_path_refuses(state: State) -> None:
    endpoint = Endpoint(ScoreOptions, state)
    for _ in range(3):
        assert _ask(endpoint)[0] == 200
    with state.admission.place():
        status, body = _ask(endpoint)
    assert (status, json.loads(body)["code"]) == (503, "busy")


def test_only_scores_have_a_quick_path_once_models_are_there(state: State) -> None:
    state.ready = False
    endpoint = Endpoint(ScoreOptions, state)
    assert _ask(endpoint)[0] == 503
    state.ready = True
    assert _ask(endpoint)[0] == 200
    state.models = ModelStore({})
    assert _ask(Endpoint(FitOptions, state))[0] == 422  # model= is no option of a fit


class _Body:
    """A body that goes on, or stops coming, so many turns of the event loop after a worker has found it wrong."""

    def __init__(self, found: asyncio.Event, turns: int | None) -> None:
        self._found, self._turns = found, turns

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"wrong"
        await self._found.wait()
        if self._turns is None:
            await asyncio.Event().wait()  # for ever
        for _ in range(self._turns or 0):
            await asyncio.sleep(0)
        yield b"more"


class _Wrong:
    """Work that cannot use what it is given."""

    is_cancelled = False

    def feed(self, chunk: bytes) -> list[Frame]:
        return [Frame("batch", chunk, len(chunk))]

    def end(self) -> list[Frame]:
        return []

    def take(self, pieces: Sequence[Frame]) -> None:
        raise RequestError(ErrorCode.MALFORMED_BODY, "It is wrong.")

    def cancel(self) -> None:
        self.is_cancelled = True


class _Place:
    async def take(self) -> None: ...


@pytest.mark.parametrize("turns", [None, *range(6)])
def test_what_a_worker_finds_wrong_is_what_is_told(state: State, turns: int | None) -> None:
    """Whatever the client does meanwhile, and in whatever order the event loop sees it."""

    async def upload() -> None:
        found, work = asyncio.Event(), _Wrong()

        async def in_a_worker(piece: Callable[[], None]) -> None:
            try:
                piece()
            finally:
                found.set()

        arguments: Any = (_Body(found, turns), work, StageTimer(), in_a_worker, _Place())
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(RequestError, match="It is wrong"):
            await Endpoint(FitOptions, state)._upload(*arguments)
        assert work.is_cancelled
        assert task.cancelling() == 0
        await asyncio.sleep(0)  # nothing is left that would cancel what comes next

    asyncio.run(upload())
