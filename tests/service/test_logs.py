"""Logs: every line is one JSON object, whatever is in it."""

import asyncio
import datetime as dt
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from service.logs import JsonFormatter, configure, log, request_line


def _line(message: str, *arguments: object, **extra: Any) -> dict[str, Any]:
    record = logging.LogRecord("segserve", logging.INFO, __file__, 1, message, arguments, None)
    record.__dict__.update(extra)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_a_line_has_time_level_logger_and_event() -> None:
    line = _line("served %d rows", 5, created=1_700_000_000.25, msecs=250.0)
    assert line == {"time": "2023-11-14T22:13:20.250Z", "level": "info", "logger": "segserve", "event": "served 5 rows"}
    assert dt.datetime.fromisoformat(line["time"]).tzinfo is not None


def test_fields_stand_beside_them() -> None:
    line = _line("request", fields={"request_id": "r-1", "rows_in": 5, "stages": {"decode": 0.5}})
    assert (line["request_id"], line["rows_in"], line["stages"]) == ("r-1", 5, {"decode": 0.5})


@pytest.mark.parametrize(
    "value",
    [
        '"quotes"',
        "two\nlines",
        "客户",
        "\0",
        "\ud800",
        {1: "a"},
        {(1, 2): "a"},
        2**80,
        float("nan"),
        object(),
        np.int64(3),
        b"x",
    ],
    ids=lambda value: type(value).__name__ if type(value) is object else repr(value),
)
def test_anything_can_be_logged(value: object) -> None:
    assert "value" in _line("event", fields={"value": value})
    assert "event" in _line("%s", value)


def test_a_failure_comes_with_its_traceback() -> None:
    try:
        raise ArithmeticError("mine")
    except ArithmeticError:
        line = _line("failed", exc_info=sys.exc_info())
    assert line["traceback"].splitlines()[-1] == "ArithmeticError: mine"


@pytest.fixture
def _restored() -> Iterator[None]:
    """Logging is the process's: leaves it as it was."""
    names = (None, "segserve", "uvicorn", "uvicorn.access")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize(("level", "lines"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_lines_go_to_standard_error_from_their_level_on(
    level: str, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(level)
    log.debug("one")
    log.info("two")
    log.warning("three")
    logging.getLogger("uvicorn.access").info("not ours")
    out, err = capsys.readouterr()
    assert out == ""
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["one", "two", "three"][3 - lines :]


@pytest.mark.usefixtures("_restored")
def test_uvicorn_gets_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    config = configure("info")
    assert config["loggers"]["uvicorn"] == config["loggers"]["segserve"]
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("elsewhere").warning("heard too")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["logger"], line["event"]) for line in lines] == [
        ("uvicorn.error", "started"),
        ("elsewhere", "heard too"),
    ]


SECONDS = {"decode": 0.25, "total": 1.5000004}


def _request(request_id: str, **facts: Any) -> None:
    line = request_line("score", "ok", 200, tuple(facts), tuple(SECONDS))
    line.write(request_id, 5, 6, facts.values(), SECONDS.values())


@pytest.mark.usefixtures("_restored")
def test_a_request_is_one_line_with_all_that_is_told_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    async def two() -> None:
        _request('r-"1\\', rows_in=3, customers_out=2)
        _request("r-2", code="busy", detail='a "word"\n100 %', rows_in=None)
        log.warning("later")

    configure("info")
    asyncio.run(two())
    first, second, third = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert dt.datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {
        "level": "info",
        "logger": "segserve",
        "event": "request",
        "request_id": 'r-"1\\',
        "endpoint": "score",
        "outcome": "ok",
        "status": 200,
        "received_bytes": 5,
        "sent_bytes": 6,
        "rows_in": 3,
        "customers_out": 2,
        "decode_seconds": 0.25,
        "total_seconds": 1.5,
    }
    assert (second["code"], second["detail"], second["rows_in"]) == ("busy", 'a "word"\n100 %', None)
    assert third["event"] == "later"  # lines that wait go first


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("ended_by", ["time", "shutdown"])
def test_lines_that_wait_are_written(ended_by: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def one() -> None:
        _request("r-1")
        if ended_by == "time":
            async with asyncio.timeout(60):
                while not (found := capsys.readouterr().err):
                    await asyncio.sleep(0.001)  # between two looks
            assert json.loads(found)["request_id"] == "r-1"

    configure("info")
    asyncio.run(one())
    if ended_by == "shutdown":
        logging.shutdown()
        assert json.loads(capsys.readouterr().err)["request_id"] == "r-1"


@pytest.mark.usefixtures("_restored")
def test_requests_are_told_from_info_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning")
    _request("r-1")  # without an event loop: it is not even put down
    logging.getLogger("segserve").handlers[0].flush()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_restored")
def test_a_log_that_nobody_reads_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    end, start = os.pipe()
    with os.fdopen(start, "w") as stream, os.fdopen(end, "rb") as reader:
        monkeypatch.setattr(sys, "stderr", stream)
        configure("info")
        for number in range(3_000):
            log.info("line", extra={"fields": {"number": number, "text": "x" * 2_000}})  # 6 MB; the limit is 4
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["event"] != "log lines dropped":
            logging.getLogger("segserve").handlers[0].flush()
            seen.append(json.loads(reader.readline()))
    *lines, last = seen
    assert [line["number"] for line in lines] == list(range(len(lines)))
    assert len(lines) + last["lines"] == 3_000
    assert (last["level"], last["logger"]) == ("warning", "segserve")
