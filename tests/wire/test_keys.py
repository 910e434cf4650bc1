"""Keys over a real socket: who is let in, what the others hear, and a file that changes while the service runs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from service.api_keys import new_key
from service.cli.app import app
from tests.wire.server import ARROW, Server, running, stream_of, table_of
from tests.wire.shop import SHOP, post, refused, transactions

SHOP_KEY, SHOP_LINE = new_key("shop")
SLOW_KEY, SLOW_LINE = new_key("slow", 0.01)
SCRAPE_KEY, SCRAPE_LINE = new_key("prometheus")


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_text(f"# who may call\n{SHOP_LINE}\n{SLOW_LINE}\n{SCRAPE_LINE}\n")
    return path


@pytest.fixture(scope="module")
def guarded(file: Path) -> Iterator[Server]:
    # A public address: with keys the service starts there.
    with running(host="0.0.0.0", api_keys_file=file, metrics_key="prometheus", threads=1) as service:
        yield service


@pytest.fixture(scope="module")
def guest(guarded: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=guarded.url, timeout=60) as http:
        yield http


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    text = client.get("/metrics", headers=bearer(SCRAPE_KEY)).text
    (value,) = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if (sample.name, sample.labels) == (name, labels)
    ]
    return value


def test_a_key_lets_in_by_either_header(guarded: Server, guest: httpx.Client) -> None:
    before = metric(guest, "segserve_key_requests_total", key="shop", result="accepted")
    for name, headers in (("k-1", bearer(SHOP_KEY)), ("k-2", {"X-API-Key": SHOP_KEY})):
        reply = post(guest, "segment", SHOP, k=3, headers={"X-Request-ID": name, **headers})
        assert table_of(reply).num_rows > 0
        guarded.wait_until(lambda name=name: any(e.get("request_id") == name for e in list(guarded.log)), 10)  # type: ignore[misc]
        (line,) = [entry for entry in list(guarded.log) if entry.get("request_id") == name]
        assert line["key"] == "shop"
    assert metric(guest, "segserve_key_requests_total", key="shop", result="accepted") == before + 2


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"X-API-Key": "wrong"}, {"Authorization": "Basic dTpw"}])
@pytest.mark.parametrize("chunked", [False, True])
def test_without_a_key_nothing_is_computed(guest: httpx.Client, headers: dict[str, str], chunked: bool) -> None:
    for kind in ("segment", "fit", "score", "audience"):
        reply = post(guest, kind, transactions(), headers=headers, chunked=chunked)
        problem = refused(reply, 401, "unauthorized")
        assert reply.headers["www-authenticate"] == 'Bearer realm="segserve"'
        assert reply.headers["x-request-id"] == problem["request_id"]
        assert "Authorization: Bearer" in problem["detail"]


def test_models_need_a_key_too(guest: httpx.Client) -> None:
    for path in ("/v1/models", "/v1/models/none"):
        reply = guest.get(path)
        refused(reply, 401, "unauthorized")
        assert reply.headers["www-authenticate"].startswith("Bearer")
    assert guest.get("/v1/models", headers=bearer(SHOP_KEY)).status_code == 200
    refused(guest.get("/v1/models/none", headers=bearer(SHOP_KEY)), 404, "unknown_model")


def test_what_an_orchestrator_asks_is_open_and_metrics_are_for_one_key(guest: httpx.Client) -> None:
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json", "/v1/schemes"):
        assert guest.get(path).status_code == 200
    for headers in ({}, bearer("wrong"), bearer(SHOP_KEY)):
        refused(guest.get("/metrics", headers=headers), 401, "unauthorized")
    assert guest.get("/metrics", headers=bearer(SCRAPE_KEY)).status_code == 200


def test_a_key_over_its_rate_waits_and_others_do_not(guarded: Server, guest: httpx.Client) -> None:
    assert post(guest, "fit", SHOP, k=2, headers=bearer(SLOW_KEY)).status_code == 200
    before = metric(guest, "segserve_key_requests_total", key="slow", result="limited")
    for ask in (
        lambda: post(guest, "fit", SHOP, k=2, headers=bearer(SLOW_KEY)),
        lambda: guest.get("/v1/models", headers=bearer(SLOW_KEY)),
    ):
        reply = ask()
        problem = refused(reply, 429, "rate_limited")
        assert 1 <= int(reply.headers["retry-after"]) <= 100
        assert problem["retry_after_seconds"] == int(reply.headers["retry-after"])
    assert post(guest, "fit", SHOP, k=2, headers=bearer(SHOP_KEY)).status_code == 200
    assert metric(guest, "segserve_key_requests_total", key="slow", result="limited") == before + 2


def test_who_waits_for_100_continue_is_refused_before_the_body(guarded: Server) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=30) as link:
        head = "POST /v1/fit HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n"
        link.sendall(f"{head}Content-Type: {ARROW}\r\n\r\n".encode())
        with link.makefile("rb") as reply:
            assert reply.readline() == b"HTTP/1.1 401 Unauthorized\r\n"


def test_a_changed_file_counts_without_a_restart(guarded: Server, guest: httpx.Client, file: Path) -> None:
    kept = file.read_text()
    key, line = new_key("late")

    def status(key: str) -> int:
        return guest.get("/v1/models", headers=bearer(key)).status_code

    assert status(key) == 401
    fresh = file.with_suffix(".new")
    fresh.write_text(kept.replace(SHOP_LINE, "") + line)
    os.replace(fresh, file)
    wait_until(guarded, lambda: status(key) == 200)
    assert status(SHOP_KEY) == 401
    file.write_text("no key at all")
    wait_until(guarded, lambda: metric(guest, "segserve_keys_reload_failed") == 1)
    assert status(key) == 200
    fresh.write_text(kept)
    os.replace(fresh, file)
    wait_until(guarded, lambda: status(SHOP_KEY) == 200)
    assert metric(guest, "segserve_keys_reload_failed") == 0
    assert status(key) == 401
    events = [entry["event"] for entry in list(guarded.log)]
    assert events.count("keys reloaded") == 2
    assert "keys not reloaded" in events


def wait_until(service: Server, condition: object) -> None:
    assert callable(condition)
    service.wait_until(condition, 30)


def test_no_key_is_ever_logged(guarded: Server) -> None:
    said = str(guarded.log)
    for key, line in ((SHOP_KEY, SHOP_LINE), (SLOW_KEY, SLOW_LINE)):
        assert key not in said
        assert line.split(":")[1] not in said


# The command line


def test_the_command_line_sends_its_key(guarded: Server, tmp_path: Path) -> None:
    pq.write_table(SHOP, tmp_path / "sales.parquet")
    words = ["fit", str(tmp_path / "sales.parquet"), "--k", "3", "--url", guarded.url, "-o", str(tmp_path / "m.json")]
    run = CliRunner(env={"COLUMNS": "120", "SEGSERVE_API_KEY": None})
    without = run.invoke(app, words)
    assert without.exit_code == 2
    assert "SEGSERVE_API_KEY" in without.stderr
    assert run.invoke(app, [*words, "--api-key", SHOP_KEY]).exit_code == 0
    assert run.invoke(app, words, env={"SEGSERVE_API_KEY": SHOP_KEY}).exit_code == 0
    shown = run.invoke(app, ["model", "show", "none", "--url", guarded.url, "--api-key", SHOP_KEY])
    assert "unknown_model" in shown.stderr


# Public addresses


@pytest.mark.parametrize("words", [["service"], ["service.cli", "serve"]], ids=["module", "command line"])
def test_a_public_address_without_keys_does_not_start(words: list[str]) -> None:
    root = Path(__file__).resolve().parents[2]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEGSERVE_")}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=root,
        env={**environment, "SEGSERVE_HOST": "0.0.0.0", "SEGSERVE_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "SEGSERVE_ALLOW_ANONYMOUS" in done.stderr
    assert "Traceback" not in done.stderr


def test_unless_it_is_told_so() -> None:
    with running(ready=False, host="0.0.0.0", allow_anonymous="true") as service:
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0


def test_small_scores_take_the_quick_way_with_a_key_too(guarded: Server, guest: httpx.Client) -> None:
    model = post(guest, "fit", SHOP, k=3, headers=bearer(SHOP_KEY)).content
    body = stream_of(SHOP.slice(0, 20), metadata={b"segserve.model": model})
    replies = {
        post(guest, "score", body, as_of="2026-01-01", headers={"X-Request-ID": f"q-{i}", **bearer(SHOP_KEY)}).content
        for i in range(3)
    }
    assert len(replies) == 1
    guarded.wait_until(lambda: any(e.get("request_id") == "q-2" for e in list(guarded.log)), 10)
    assert all(e["key"] == "shop" for e in list(guarded.log) if str(e.get("request_id", "")).startswith("q-"))
    refused(post(guest, "score", body, as_of="2026-01-01"), 401, "unauthorized")
