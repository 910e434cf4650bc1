"""Logs as JSON lines on standard error: one object per event, with a request id where there is a request."""

from __future__ import annotations

import json
import logging
import logging.config
import time
from typing import Any

import orjson

__all__ = ["JsonFormatter", "configure", "log"]

log = logging.getLogger("segserve")


class JsonFormatter(logging.Formatter):
    """`{"time", "level", "logger", "event", …}`; fields come in with `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(entry, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # half of a character pair, or a number above 64 bits: rare, but no reason to lose the line
            return json.dumps(entry, default=str, skipkeys=True)


def configure(level: str) -> dict[str, Any]:
    """Sets the process's logging up, and returns the same for uvicorn, so that its lines look like ours."""
    config: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "service.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "segserve": {"handlers": ["stderr"], "level": level.upper(), "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": level.upper(), "propagate": False},
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
    }
    logging.config.dictConfig(config)
    return config
