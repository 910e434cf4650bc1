"""The gate: what headers let in, what is said to the others, and what is counted."""

from __future__ import annotations

import hashlib

import pytest
from prometheus_client import CollectorRegistry

from proto.errors import ErrorCode, RequestError
from service.api_keys import ApiKeys
from service.gate import Gate, KeyMetrics
from service.refusals import refusal_headers


def line(name: str, key: str, rest: str = "") -> str:
    return f"{name}:{hashlib.sha256(key.encode()).hexdigest()}{rest}"


def refused(gate: Gate, headers: dict[bytes, bytes]) -> RequestError:
    with pytest.raises(RequestError) as caught:
        gate.enter(headers)
    return caught.value


def test_without_keys_everybody_is_let_in() -> None:
    gate = Gate(ApiKeys())
    assert gate.enter({}) is None
    assert gate.enter({b"authorization": b"Bearer x"}) is None
    gate.enter_metrics({})


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer sesame"},
        {b"authorization": b"bearer  sesame "},
        {b"x-api-key": b"sesame"},
        {b"authorization": b"Basic dTpw", b"x-api-key": b"sesame"},
    ],
)
def test_a_key_comes_in_either_header(headers: dict[bytes, bytes]) -> None:
    assert Gate(ApiKeys(line("shop", "sesame"))).enter(headers) == "shop"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b"Bearer"},
        {b"authorization": b"Bearer wrong"},
        {b"authorization": b"Basic sesame"},
        {b"authorization": b"sesame"},
        {b"x-api-key": b"Sesame"},
        {b"x-api-key": b""},
        {b"authorization": b"Bearer wrong", b"x-api-key": b"sesame"},
    ],
)
def test_others_are_told_how(headers: dict[bytes, bytes]) -> None:
    error = refused(Gate(ApiKeys(line("shop", "sesame"))), headers)
    assert (error.code, error.status) == (ErrorCode.UNAUTHORIZED, 401)
    assert dict(refusal_headers(error)) == {b"www-authenticate": b'Bearer realm="segserve"'}
    assert "X-API-Key" in error.detail
    assert "wrong" not in error.detail


def test_a_rate_holds_for_its_key_alone() -> None:
    gate = Gate(ApiKeys(line("slow", "s", ":0.01:2") + " " + line("free", "f")))
    for _ in range(2):
        assert gate.enter({b"x-api-key": b"s"}) == "slow"
    error = refused(gate, {b"x-api-key": b"s"})
    assert (error.code, error.status) == (ErrorCode.RATE_LIMITED, 429)
    (name, seconds), *more = refusal_headers(error)
    assert (name, more) == (b"retry-after", [])
    assert 1 <= int(seconds) <= 100
    assert error.facts["retry_after_seconds"] == int(seconds)
    assert gate.enter({b"x-api-key": b"f"}) == "free"
    assert gate.keys.accepted == {"slow": 2, "free": 1}
    assert gate.keys.limited == {"slow": 1, "free": 0}


def test_once_closed_nobody_is_let_in_and_the_connection_ends() -> None:
    gate = Gate(ApiKeys())
    gate.draining = True
    assert gate.enter({}) is None
    gate.closed = True
    error = refused(gate, {})
    assert (error.code, error.status) == (ErrorCode.SHUTTING_DOWN, 503)
    assert dict(refusal_headers(error)) == {b"retry-after": b"1", b"connection": b"close"}


def test_metrics_may_be_for_one_key() -> None:
    gate = Gate(ApiKeys(line("shop", "s") + " " + line("prometheus", "p", ":0.01:1")), "prometheus")
    for _ in range(3):  # its rate is for requests
        gate.enter_metrics({b"authorization": b"Bearer p"})
    for headers in ({}, {b"x-api-key": b"s"}):
        with pytest.raises(RequestError) as caught:
            gate.enter_metrics(headers)
        assert caught.value.code is ErrorCode.UNAUTHORIZED


def test_keys_are_counted_by_name() -> None:
    gate = Gate(ApiKeys(line("shop", "s") + " " + line("crm", "c")))
    registry = CollectorRegistry()
    registry.register(KeyMetrics(gate.keys))
    gate.enter({b"x-api-key": b"s"})
    with pytest.raises(RequestError):
        gate.enter({b"x-api-key": b"?"})

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("segserve_key_requests_total", key="shop", result="accepted") == 1
    assert value("segserve_key_requests_total", key="crm", result="accepted") == 0
    assert value("segserve_key_requests_total", key="shop", result="limited") == 0
    assert value("segserve_keys") == 2
    assert value("segserve_keys_reload_failed") == 0
