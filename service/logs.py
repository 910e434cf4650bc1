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
from collections.abc import Iterable
from typing import Any

import orjson

from service.outlet import Outlet

__all__ = ["JsonFormatter", "LineHandler", "configure", "log", "request_line"]

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


def _json(entry: Any) -> str:
    try:
        return orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half of a character pair, or a number above 64 bits: rare, but no reason to lose the line
        return json.dumps(entry, default=str, skipkeys=True)


_Arguments = tuple[float, str, int, int, Iterable[Any], Iterable[float]]


class LineHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes each record at once, and the lines of requests a few milliseconds' worth at a time.

    A system call for each line would cost a small request a tenth of its time. Any other record, a flush and the end of
    logging write first what waits, so lines keep their order and none is lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self._outlet = Outlet(self.stream, _dropped_line)
        self._waiting: deque[tuple[RequestLine, _Arguments]] = deque()

    def put(self, line: RequestLine, arguments: _Arguments) -> None:
        """Formats and writes the line soon: many in a row take half the time. From the event loop only."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(WAIT_SECONDS, self.flush)
        self._waiting.append((line, arguments))

    def emit(self, record: logging.LogRecord) -> None:
        self.flush()
        with contextlib.suppress(OSError, ValueError):  # nobody listens any more
            self._outlet.write(self.format(record) + "\n")

    def flush(self) -> None:
        with self.lock or contextlib.nullcontext(), contextlib.suppress(OSError, ValueError):
            lines = []
            while self._waiting:
                line, arguments = self._waiting.popleft()
                lines.append(line.text(*arguments))
            if lines:
                self._outlet.write("\n".join(lines) + "\n")
            elif self._outlet.waits:
                self._outlet.push()

    def close(self) -> None:
        """Gives a slow reader a moment for the last lines."""
        with self.lock or contextlib.nullcontext(), contextlib.suppress(OSError, ValueError):
            self._outlet.push(LAST_SECONDS)
        super().close()


def _dropped_line(n: int) -> str:
    record = logging.LogRecord(log.name, logging.WARNING, __file__, 0, "log lines dropped", (), None)
    record.__dict__["fields"] = {"lines": n}
    return JsonFormatter().format(record) + "\n"


WAIT_SECONDS, LAST_SECONDS = 0.005, 1.0


class RequestLine:
    """The line of all requests that end alike, with room for what varies.

    `facts` names what else is told. One format costs a quarter of a dict, a rounding for each stage, and a dump.
    """

    def __init__(
        self, endpoint: str, outcome: str, status: int, facts: tuple[str, ...], stages: tuple[str, ...]
    ) -> None:
        fixed = {"level": "info", "logger": log.name, "event": "request"}
        told = {"endpoint": endpoint, "outcome": outcome, "status": status}
        self._form = (
            f'{{"time":"%s.%03dZ",{_json(fixed)[1:-1]},"request_id":%s,{_json(told)[1:-1]},'
            '"received_bytes":%d,"sent_bytes":%d'
            + "".join(f',"{name}":%s' for name in facts)
            + "".join(f',"{stage}_seconds":%de-6' for stage in stages)
            + "}"
        )

    def write(
        self, request_id: str, received_bytes: int, sent_bytes: int, facts: Iterable[Any], seconds: Iterable[float]
    ) -> None:
        """Logs one request; the seconds of each stage are told to the microsecond."""
        if log.isEnabledFor(logging.INFO):
            arguments = time.time(), request_id, received_bytes, sent_bytes, facts, seconds
            for handler in log.handlers:
                if isinstance(handler, LineHandler):
                    handler.put(self, arguments)

    def text(
        self,
        now: float,
        request_id: str,
        received_bytes: int,
        sent_bytes: int,
        facts: Iterable[Any],
        seconds: Iterable[float],
    ) -> str:
        """The line of a request that ended at `now`."""
        return self._form % (
            _second(int(now)),
            now % 1 * 1000,
            orjson.dumps(request_id).decode(),
            received_bytes,
            sent_bytes,
            *[fact if type(fact) is int else _json(fact) for fact in facts],
            *[spent * 1e6 for spent in seconds],
        )


@functools.lru_cache(maxsize=256)
def request_line(
    endpoint: str, outcome: str, status: int, facts: tuple[str, ...], stages: tuple[str, ...]
) -> RequestLine:
    """The line of requests that end so; there are few kinds."""
    return RequestLine(endpoint, outcome, status, facts, stages)


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
