"""Answers below ASGI: which bytes are taken for a request that is known, and what is settled of the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import orjson
import pytest

from proto.errors import ErrorCode
from proto.media import Media
from proto.options import ScoreOptions
from service.exchange import Tried
from service.ledger import Ledger
from service.quick.direct import Direct
from service.settings import Settings
from service.state import State
from tests.service.quick.test_path import customers, run, store

BODY = orjson.dumps({"columns": customers(5).to_pydict()})
QUERY = b"model=people"
LINES = (b"Host: shop", b"Content-Type: application/json", b"Authorization: Bearer sesame")
FIXED = [(b"date", b"today"), (b"server", b"mine")]


def settings(**more: object) -> Settings:
    return Settings.model_validate({"threads": 1, "max_requests": 1, **more})


def direct_of(settings: Settings) -> tuple[Direct, State]:
    state = State.of(settings)
    state.models, state.ready = store(), True
    return Direct(state, Ledger("score", state.metrics, logs=False)), state


@pytest.fixture
def direct() -> Iterator[Direct]:
    found, state = direct_of(settings())
    yield found
    state.close()


def request_of(*lines: bytes, body: bytes = BODY, length: bytes | None = None) -> bytes:
    declared = b"Content-Length: " + (b"%d" % len(body) if length is None else length)
    return b"\r\n".join([b"POST /v1/score?" + QUERY + b" HTTP/1.1", *lines, declared, b"", body])


def learn(direct: Direct, data: bytes) -> None:
    """Tells it what the parser would read."""
    head = data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    fields = [line.partition(b":") for line in head]
    direct.learn(data, QUERY, [(name.lower(), value.strip()) for name, _, value in fields])


def known(direct: Direct, *lines: bytes) -> None:
    """Lets a head, and the form of `BODY`, be known."""
    learn(direct, request_of(*lines))
    assert direct.answer(request_of(*lines), FIXED) == Tried(None, None)  # the form is new
    assert isinstance(direct.answer(request_of(*lines), FIXED), tuple)


def test_a_known_request_is_answered_as_in_general(direct: Direct) -> None:
    assert direct.answer(request_of(*LINES), FIXED) is None
    known(direct, *LINES)
    found = direct.answer(request_of(*LINES, b"X-Request-ID: mine"), FIXED)
    assert isinstance(found, tuple)
    head, body = found
    assert body == run(ScoreOptions, QUERY.decode(), Media.JSON, BODY, store())
    status, *lines = head.split(b"\r\n")
    told = dict(line.split(b": ", 1) for line in lines if line)
    assert status == b"HTTP/1.1 200 OK"
    assert head.endswith(b"\r\n\r\n")
    timing = told.pop(b"server-timing")
    assert [part.partition(b";")[0] for part in timing.split(b", ")][::5] == [b"receive", b"total"]
    assert told == {
        b"date": b"today",
        b"server": b"mine",
        b"content-type": b"application/json",
        b"content-length": b"%d" % len(body),
        b"x-request-id": b"mine",
    }


@pytest.mark.parametrize(
    "lines",
    [
        (b"content-length-x: 1", *LINES),
        (*LINES, b"Accept: text/csv"),
        (LINES[1], LINES[0], LINES[2]),  # in doubt about what order may mean
        (LINES[0].lower(), *LINES[1:]),
    ],
)
def test_a_head_that_differs_is_another(direct: Direct, lines: tuple[bytes, ...]) -> None:
    known(direct, *LINES)
    assert direct.answer(request_of(*lines), FIXED) is None


@pytest.mark.parametrize(
    "lines",
    [
        (*LINES, b"x-request-id: 7"),
        (b"TRACEPARENT: 00-4bf92f-00", b"TraceState: a=b, c=d", *LINES),
        (LINES[0], b"X-Forwarded-For: 10.0.0.1, 10.0.0.2", *LINES[1:]),
    ],
)
def test_lines_that_vary_leave_a_head_as_it_is(direct: Direct, lines: tuple[bytes, ...]) -> None:
    known(direct, *LINES)
    assert isinstance(direct.answer(request_of(*lines), FIXED), tuple)
    more = orjson.dumps({"columns": customers(50).to_pydict()})
    assert isinstance(direct.answer(request_of(*lines, body=more), FIXED), tuple)


@pytest.mark.parametrize(
    "data",
    [
        request_of(*LINES)[:-1],
        request_of(*LINES) + b"P",  # the next request: the parser takes them one by one
        request_of(*LINES, length=b"+%d" % len(BODY)),
        request_of(*LINES, length=b"%d " % len(BODY)),
        request_of(*LINES, length=b"%d\r\n 0" % len(BODY)),
        request_of(*LINES, length=b"%d\r\n\t0" % len(BODY)),
        request_of(*LINES, length=b"%d\r\ncontent-length: %d" % (len(BODY), len(BODY))),
        request_of(*LINES, length=b"x\r\ncontent-length: %d" % len(BODY)),
        request_of(*LINES, length=b"0" * 8 + b"%d" % len(BODY)),
        request_of(*LINES).replace(b"\r\n", b"\n"),
        request_of(*LINES).replace(b"Content-Length: %d\r\n" % len(BODY), b""),
        request_of(*LINES).replace(b"HTTP/1.1", b"HTTP/1.0"),
        request_of(*LINES, b"x-request-id: \x01"),
        b"\r\n" + request_of(*LINES),
        request_of(*LINES, b"Pad: " + b"x" * 5_000),
        b"",
    ],
)
def test_what_is_not_one_whole_plain_request_is_left_to_the_parser(direct: Direct, data: bytes) -> None:
    known(direct, *LINES)
    assert direct.answer(data, FIXED) is None


@pytest.mark.parametrize(
    "line",
    [b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", b"Expect: 100-continue", b"Upgrade: h2c", b"A: b\n c"],
)
def test_a_head_that_means_more_is_not_remembered(direct: Direct, line: bytes) -> None:
    learn(direct, request_of(*LINES, line))
    for _ in range(3):
        assert direct.answer(request_of(*LINES, line), FIXED) is None


def test_nor_is_one_whose_query_or_format_is_not_plain(direct: Direct) -> None:
    lines = (b"Content-Type: text/csv",)
    learn(direct, request_of(*lines))
    assert direct.answer(request_of(*lines), FIXED) is None


def test_a_body_that_is_not_plain_is_tried_once(direct: Direct) -> None:
    known(direct, *LINES)
    twice = orjson.dumps({"columns": customers(5).to_pydict() | {"customer_id": [1, 1, 2, 3, 4]}})
    assert direct.answer(request_of(*LINES, body=twice), FIXED) == Tried(None, None)


def test_while_the_service_is_full_or_ends_nothing_is_answered_here() -> None:
    direct, state = direct_of(settings())
    known(direct, *LINES)
    with state.admission.place():
        assert direct.answer(request_of(*LINES), FIXED) is None
    state.gate.draining = True
    assert direct.answer(request_of(*LINES), FIXED) is None
    state.close()


def test_keys_and_rates_hold_and_are_counted_once() -> None:
    listed = f"shop:{hashlib.sha256(b'sesame').hexdigest()}:0.001:3"
    direct, state = direct_of(settings(api_keys=listed))
    other = (*LINES[:2], b"Authorization: Bearer wrong")
    for lines in (LINES, other):
        learn(direct, request_of(*lines))
    found = [direct.answer(request_of(*LINES), FIXED) for _ in range(4)]
    assert found[0] == Tried("shop", None)
    assert [type(answer) for answer in found[1:3]] == [tuple, tuple]
    assert isinstance(found[3], Tried)
    assert found[3].refusal is not None
    assert found[3].refusal.code is ErrorCode.RATE_LIMITED
    assert (state.gate.keys.accepted, state.gate.keys.limited) == ({"shop": 3}, {"shop": 1})
    refused = direct.answer(request_of(*other), FIXED)
    assert isinstance(refused, Tried)
    assert refused.refusal is not None
    assert refused.refusal.code is ErrorCode.UNAUTHORIZED
    assert state.metrics.tallies.of["score"].outcomes["ok"] == 2
    state.close()


def test_where_the_quick_path_fails_it_is_told_and_left_to_the_general_one(
    direct: Direct, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError("mine")

    known(direct, *LINES)
    monkeypatch.setattr("service.quick.path.QuickPath.answer", fail)
    assert direct.answer(request_of(*LINES), FIXED) == Tried(None, None)
    assert "ArithmeticError: mine" in caplog.text
