"""Traces: off by default, and asked for in vain only with a reason."""

from __future__ import annotations

import importlib.util

import pytest

from service.settings import Settings
from service.telemetry import complaint, options


def test_nothing_is_traced_by_default() -> None:
    told = options(Settings())
    assert not any(told[name] for name in ("tracing", "metrics", "logs", "auto_configure"))
    assert complaint(Settings()) is None


def test_probes_are_not_traced() -> None:
    told = options(Settings(telemetry=True))
    assert told["tracing"]
    assert [told["exclude"]({"path": path}) for path in ("/healthz", "/metrics", "/v1/score")] == [True, True, False]


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(telemetry=True)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in (complaint(settings) or "")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert complaint(settings) is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "segserve[telemetry]" in (complaint(settings) or "")
