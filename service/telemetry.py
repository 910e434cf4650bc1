"""OpenTelemetry traces, by FastAPI's own switch; where they go is said by OpenTelemetry's own OTEL_* variables."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from service.settings import Settings

__all__ = ["complaint", "options"]

UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds, and never of interest
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def options(settings: Settings) -> Any:
    """The `telemetry=` of FastAPI: traces where they are switched on; metrics and logs have ways of their own."""
    on = settings.telemetry
    return {"tracing": on, "metrics": False, "logs": False, "auto_configure": on, "exclude": _is_untraced}


def _is_untraced(scope: Mapping[str, Any]) -> bool:
    return scope["path"] in UNTRACED


def complaint(settings: Settings) -> str | None:
    """Why traces cannot be sent although they are switched on; None where they can, or need not."""
    if not settings.telemetry:
        return None
    if not all(map(_is_there, ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"))):
        return "SEGSERVE_TELEMETRY=true needs OpenTelemetry's packages: pip install 'segserve[telemetry]'"
    if not any(map(os.environ.get, ENDPOINTS)):
        return (
            "SEGSERVE_TELEMETRY=true needs to know where traces go: OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"
        )
    return None


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package above it
        return False
