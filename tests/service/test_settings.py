"""Settings: every one is documented, read from its variable and bounded; cores are those the container has."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from proto.limits import Limits
from service.settings import Settings, available_cores, unknown_variables

VALUES: dict[str, tuple[str, Any]] = {
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("9999", 9999),
    "api_keys": ("shop:" + "0" * 64, "shop:" + "0" * 64),
    "api_keys_file": ("/run/keys", "/run/keys"),
    "allow_anonymous": ("true", True),
    "metrics_key": ("prometheus", "prometheus"),
    "ssl_certfile": ("/run/tls.crt", "/run/tls.crt"),
    "ssl_keyfile": ("/run/tls.key", "/run/tls.key"),
    "ssl_keyfile_password": ("sesame", "sesame"),
    "ssl_ca_certs": ("/run/ca.crt", "/run/ca.crt"),
    "ssl_cert_reqs": ("required", "required"),
    "models": ("s3://bucket/models", "s3://bucket/models"),
    "threads": ("3", 3),
    "bulk_nice": ("5", 5),
    "log_level": ("debug", "debug"),
    "access_log": ("false", False),
    "telemetry": ("true", True),
    "max_requests": ("7", 7),
    "max_bulk_requests": ("8", 8),
    "max_queued_requests": ("9", 9),
    "queue_seconds": ("2.5", 2.5),
    "small_queue_seconds": ("0.5", 0.5),
    "score_queue_seconds": ("0.05", 0.05),
    "max_body_bytes": ("1000", 1000),
    "max_message_bytes": ("1001", 1001),
    "max_document_bytes": ("1002", 1002),
    "max_customers": ("1003", 1003),
    "max_pairs": ("1004", 1004),
    "memory_budget_bytes": ("1005", 1005),
    "small_body_bytes": ("0", 0),
    "header_seconds": ("1.5", 1.5),
    "read_seconds": ("2.5", 2.5),
    "write_seconds": ("3.5", 3.5),
    "min_bytes_per_second": ("99", 99),
    "request_seconds": ("4.5", 4.5),
    "drain_seconds": ("2.5", 2.5),
    "shutdown_seconds": ("5", 5),
    "keep_alive_seconds": ("6", 6),
}


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("SEGSERVE_")]:
        monkeypatch.delenv(name)


def test_every_setting_is_documented_and_has_a_default() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert not field.is_required(), name


def test_every_setting_is_tried_here() -> None:
    assert set(VALUES) == set(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_read_from_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, value = VALUES[name]
    assert getattr(Settings(), name) != value
    monkeypatch.setenv(f"SEGSERVE_{name.upper()}", text)
    settings = Settings()
    assert getattr(settings, name) == value
    assert settings.model_fields_set == {name}


def test_other_variables_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("HOST", "example.org")
    assert Settings() == Settings(host="127.0.0.1", port=8765)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "65536"),
        ("port", "-1"),
        ("port", "http"),
        ("threads", "-1"),
        ("threads", "257"),
        ("log_level", "loud"),
        ("access_log", "perhaps"),
        ("max_requests", "0"),
        ("max_body_bytes", "0"),
        ("max_body_bytes", "1GB"),
        ("small_body_bytes", "-1"),
        ("drain_seconds", "-1"),
        ("shutdown_seconds", "-1"),
        ("ssl_cert_reqs", "perhaps"),
        ("keep_alive_seconds", "0"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"SEGSERVE_{name.upper()}", text)
    with pytest.raises(ValidationError, match=name):
        Settings()


def test_settings_are_frozen_and_take_nothing_else() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="colour"):
        Settings(colour="red")  # type: ignore[call-arg]


def test_limits_are_those_of_the_settings() -> None:
    assert Settings().limits == Limits()
    named = {name: value for name, (_, value) in VALUES.items() if name in Limits._fields}
    assert len(named) == 5
    assert Settings(**named).limits == Limits(**named)


def test_threads_default_to_the_cores() -> None:
    assert Settings(threads=3).n_threads == 3
    assert Settings().n_threads == available_cores()


# Cores

CORES = 8


@pytest.fixture
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(CORES)), raising=False)


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _v1(quota: str, period: str = "100000\n") -> dict[str, str]:
    return {"cpu/cpu.cfs_quota_us": quota, "cpu/cpu.cfs_period_us": period}


@pytest.mark.usefixtures("_eight_cores")
@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, CORES),
        ({"cpu.max": "max 100000\n"}, CORES),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, CORES),
        ({"cpu.max": "300000 50000\n"}, 6),
        ({"cpu.max": "\n"}, CORES),
        ({"cpu.max": "many of them\n"}, CORES),
        ({"cpu.max": "100000 0\n"}, CORES),
        ({"cpu.max": "one two\n"}, CORES),
        (_v1("-1\n"), CORES),
        (_v1("250000\n"), 3),
        (_v1("50000\n"), 1),
        (_v1("\n"), CORES),
        (_v1("100000\n", "0\n"), CORES),
        ({"cpu/cpu.cfs_quota_us": "100000\n"}, CORES),
        ({"cpu.max": "100000 100000\n", **_v1("400000\n")}, 1),
    ],
)
def test_cores(files: dict[str, str], cores: int, tmp_path: Path) -> None:
    assert available_cores(_write(tmp_path, files)) == cores


def test_without_affinity_all_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores(tmp_path) == 1
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert available_cores(tmp_path) == 5


def test_a_misspelt_variable_is_told() -> None:
    assert list(unknown_variables(["PATH", "SEGSERVE_PORT", "SEGSERVE_URL", "SEGSERVE_API_KEY"])) == []
    told = list(unknown_variables(["SEGSERVE_PROT", "SEGSERVE_ZZZZZ"]))
    assert told == ["SEGSERVE_PROT is no setting; perhaps SEGSERVE_PORT is meant", "SEGSERVE_ZZZZZ is no setting"]
