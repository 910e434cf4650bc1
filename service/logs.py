"""Logs as JSON lines on standard error: one object per event, with a request id where there is a request."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import logging.config
import time
from collections import deque
from typing import Any

import orjson

__all__ = ["JsonFormatter", "LineHandler", "configure", "log", "log_request"]

log = logging.getLogger("segserve")


class JsonFormatter(logging.Formatter):
    """`{"time", "level", "logger", "event", …}`; fields come in with `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _time(record.created, int(record.msecs)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return _json(entry)


def _time(seconds: float, milliseconds: int) -> str:
    return f"{_second(int(seconds))}.{milliseconds:03d}Z"


@functools.lru_cache(maxsize=2)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _json(entry: dict[str, Any]) -> str:
    try:
        return orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half of a character pair, or a number above 64 bits: rare, but no reason to lose the line
        return json.dumps(entry, default=str, skipkeys=True)


class LineHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes each record at once, and lines of requests together with all others of the event loop's turn.

    A system call for each line would cost a small request a tenth of its time. A line waits until the loop has run
    what was ready, never longer; any other record, a flush and the end of logging write what waits first.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[str] = deque()

    def put(self, line: str) -> None:
        """Writes the line at the end of this turn. From the event loop only."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(line)

    def emit(self, record: logging.LogRecord) -> None:
        self.flush()
        super().emit(record)

    def flush(self) -> None:
        with self.lock or contextlib.nullcontext():
            lines = []
            while self._waiting:
                lines.append(self._waiting.popleft())
            if lines:
                with contextlib.suppress(OSError, ValueError):  # nobody listens any more
                    self.stream.write("\n".join(lines) + "\n")
        super().flush()


def log_request(
    request_id: str,
    endpoint: str,
    outcome: str,
    status: int,
    received_bytes: int,
    sent_bytes: int,
    facts: dict[str, Any],
    seconds: dict[str, float],
) -> None:
    """One line for one request; `seconds` by stage, to the microsecond."""
    if not log.isEnabledFor(logging.INFO):
        return
    now = time.time()
    form = _request_form(endpoint, outcome, status, bool(facts), tuple(seconds))
    line = form % (
        _second(int(now)),
        now % 1 * 1000,
        _json({"request_id": request_id})[1:-1],
        received_bytes,
        sent_bytes,
        _json(facts)[1:-1],
        *[spent * 1e6 for spent in seconds.values()],
    )
    for handler in log.handlers:
        if isinstance(handler, LineHandler):
            handler.put(line)


@functools.lru_cache(maxsize=256)
def _request_form(endpoint: str, outcome: str, status: int, has_facts: bool, stages: tuple[str, ...]) -> str:
    """The line with room for what varies: one format costs a quarter of a dict, a rounding each and a dump."""
    fixed = {"level": "info", "logger": log.name, "event": "request"}
    told = {"endpoint": endpoint, "outcome": outcome, "status": status}
    timed = "".join(f',"{stage}_seconds":%de-6' for stage in stages)
    return (
        f'{{"time":"%s.%03dZ",{_json(fixed)[1:-1]},%s,{_json(told)[1:-1]},"received_bytes":%d,"sent_bytes":%d'
        f"{',' if has_facts else ''}%s{timed}}}"
    )


def configure(level: str) -> dict[str, Any]:
    """Sets the process's logging up, and returns the same for uvicorn, so that its lines look like ours."""
    config: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "service.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "service.logs.LineHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "segserve": {"handlers": ["stderr"], "level": level.upper(), "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": level.upper(), "propagate": False},
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
    }
    logging.config.dictConfig(config)
    return config
