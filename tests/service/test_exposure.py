"""Which settings the service refuses to start with, and what it says then."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from service.exposure import complaint, is_loopback
from service.settings import Settings

KEY = "shop:" + "0" * 64


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_addresses_of_this_machine_alone(host: str) -> None:
    assert is_loopback(host)
    assert complaint(Settings(host=host)) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.7", "192.168.1.4", "2001:db8::1"])
def test_other_addresses_need_keys_or_a_word(host: str) -> None:
    assert not is_loopback(host)
    said = complaint(Settings(host=host))
    assert said is not None
    assert "SEGSERVE_API_KEYS_FILE" in said
    assert "SEGSERVE_ALLOW_ANONYMOUS" in said
    assert complaint(Settings(host=host, api_keys=KEY)) is None
    assert complaint(Settings(host=host, allow_anonymous=True)) is None
    assert complaint(Settings(host=host, ssl_cert_reqs="required")) is None  # a certificate says who it is
    assert complaint(Settings(host=host, ssl_cert_reqs="optional")) is not None


def test_a_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"here": ["127.0.0.1", "::1"], "both": ["127.0.0.1", "10.0.0.7"]}

    def look_up(host: str, *_: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror
        return [(0, 0, 0, "", (address, 0)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert [is_loopback(host) for host in ("here", "both", "nowhere")] == [True, False, False]


def test_keys_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    assert "SEGSERVE_API_KEYS" in (complaint(Settings(api_keys="shop")) or "")
    assert "none" in (complaint(Settings(api_keys_file=str(tmp_path / "none"))) or "")


def test_the_key_of_the_metrics_is_one_of_them() -> None:
    assert complaint(Settings(api_keys=KEY, metrics_key="shop")) is None
    assert "prometheus" in (complaint(Settings(api_keys=KEY, metrics_key="prometheus")) or "")
    assert "none" in (complaint(Settings(metrics_key="prometheus")) or "")
