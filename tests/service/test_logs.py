"""Logs: every line is one JSON object, whatever is in it."""

import datetime as dt
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from service.logs import JsonFormatter, configure, log


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
