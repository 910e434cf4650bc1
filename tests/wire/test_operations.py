"""What runs the service sees: readiness, metrics, logs, models, and an end that drops no request."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.wire.server import ARROW, Server, running, stream_of, table_of
from tests.wire.shop import PEOPLE, SHOP, post, refused, transactions

STAGES = {"receive", "queue", "decode", "aggregate", "compute", "encode", "send", "total"}


def samples_of(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """Every sample by name and label values (in order of the labels' names), read by Prometheus' own parser."""
    reply = client.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def log_line(server: Server, request_id: str) -> dict[str, Any]:
    """The one line of the log with this request's id."""
    server.wait_until(lambda: any(e.get("request_id") == request_id for e in list(server.log)), 10)
    (line,) = [entry for entry in list(server.log) if entry.get("request_id") == request_id]
    return line


# Metrics


def test_metrics_have_every_series_from_the_start(stocked: Server) -> None:
    with httpx.Client(base_url=stocked.url) as client:
        samples = samples_of(client)
        types = {family.name: family.type for family in text_string_to_metric_families(client.get("/metrics").text)}
    for endpoint in ("segment", "fit", "score"):
        for outcome in ("ok", "refused", "rejected", "failed", "disconnected"):
            assert ("segserve_requests_total", endpoint, outcome) in samples
        for stage in STAGES:
            assert ("segserve_stage_seconds_count", endpoint, stage) in samples
            assert ("segserve_stage_seconds_bucket", endpoint, "+Inf", stage) in samples
    assert samples[("segserve_ready",)] == 1
    assert samples[("segserve_models",)] == 2
    assert samples[("segserve_kernel_signatures",)] > 10
    assert samples[("segserve_warm_up_seconds",)] > 0
    assert samples[("process_resident_memory_bytes",)] > 0
    assert types["segserve_stage_seconds"] == "histogram"
    assert types["segserve_requests"] == "counter"
    assert types["segserve_requests_in_flight"] == "gauge"


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_a_request_moves_the_metrics(client: httpx.Client, chunked: bool) -> None:
    before = samples_of(client)
    body = stream_of(SHOP)
    reply = post(client, "segment", body, k=4, chunked=chunked)
    after = samples_of(client)

    def moved(*key: str) -> float:
        return after[key] - before[key]

    assert moved("segserve_requests_total", "segment", "ok") == 1
    assert moved("segserve_rows_total", "segment") == SHOP.num_rows
    assert moved("segserve_customers_total", "segment") == table_of(reply).num_rows
    assert moved("segserve_received_bytes_total", "segment") == len(body)
    assert moved("segserve_sent_bytes_total", "segment") == len(reply.content)
    for stage in STAGES - ({"receive", "send"} if chunked else {"send"}):
        assert moved("segserve_stage_seconds_count", "segment", stage) == 1, stage
        assert moved("segserve_stage_seconds_sum", "segment", stage) > 0, stage
    assert moved("segserve_stage_seconds_bucket", "segment", "+Inf", "total") == 1
    assert after[("segserve_requests_in_flight",)] == 0
    assert moved("segserve_rows_total", "score") == 0


def test_refusals_are_counted_by_code(client: httpx.Client) -> None:
    before = samples_of(client)
    refused(post(client, "fit", transactions(), k=0), 422, "bad_option")
    refused(post(client, "fit", b"no arrow", chunked=True), 400, "malformed_body")
    after = samples_of(client)
    for code in ("bad_option", "malformed_body"):
        assert after[("segserve_errors_total", code)] == before[("segserve_errors_total", code)] + 1
    key = ("segserve_requests_total", "fit", "refused")
    assert after[key] == before[key] + 2


def test_requests_in_flight_show_while_they_are_sent(client: httpx.Client) -> None:
    body = stream_of(SHOP)
    seen = []

    def slowly() -> Any:
        yield body[:2000]
        with httpx.Client(base_url=client.base_url) as other:
            deadline = time.monotonic() + 30
            while not seen and time.monotonic() < deadline:
                if samples_of(other)[("segserve_requests_in_flight",)] == 1:
                    seen.append(1)
        yield body[2000:]

    reply = client.post("/v1/segment?k=3", content=slowly(), headers={"Content-Type": ARROW})
    assert reply.status_code == 200
    assert seen
    assert samples_of(client)[("segserve_requests_in_flight",)] == 0


# Request ids and logs


def test_one_log_line_per_request(server: Server, client: httpx.Client) -> None:
    body = stream_of(SHOP)
    reply = post(client, "segment", body, k=4, headers={"X-Request-ID": "spring-mailing-7"})
    assert reply.headers["x-request-id"] == "spring-mailing-7"
    line = log_line(server, "spring-mailing-7")
    assert (line["event"], line["level"], line["endpoint"]) == ("request", "info", "segment")
    assert (line["outcome"], line["status"]) == ("ok", 200)
    assert (line["rows_in"], line["customers_out"]) == (SHOP.num_rows, table_of(reply).num_rows)
    assert (line["received_bytes"], line["sent_bytes"]) == (len(body), len(reply.content))
    assert line["total_seconds"] >= line["compute_seconds"] > 0
    assert line["time"].endswith("Z")


def test_a_refusal_is_logged_with_its_reason(server: Server, client: httpx.Client) -> None:
    reply = post(client, "score", transactions(), headers={"X-Request-ID": "typo-8"}, as_of="2026-01-01", clusters=3)
    assert refused(reply, 422, "unknown_option")["request_id"] == "typo-8"
    line = log_line(server, "typo-8")
    assert (line["outcome"], line["status"], line["code"]) == ("refused", 422, "unknown_option")
    assert "clusters" in line["detail"]


@pytest.mark.parametrize("given", ["", "x" * 129, "two\twords"])
def test_a_request_id_that_is_none_is_replaced(server: Server, client: httpx.Client, given: str) -> None:
    reply = post(client, "fit", SHOP, k=2, headers={"X-Request-ID": given})
    assert reply.headers["x-request-id"] != given
    assert len(reply.headers["x-request-id"]) == 32
    log_line(server, reply.headers["x-request-id"])


def test_every_log_line_is_json(server: Server) -> None:
    assert not [entry for entry in server.log if entry["event"] == "not json"]
    assert {"listening", "ready"} <= {entry["event"] for entry in server.log}


# Models


def test_models_are_listed_and_given_out(stocked: Server, models: Path) -> None:
    with httpx.Client(base_url=stocked.url) as client:
        listed = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
        assert list(listed) == ["people", "shop"]
        for name in listed:
            stored = orjson.loads((models / f"{name}.json").read_bytes())
            for key in (name, stored["id"]):
                reply = client.get(f"/v1/models/{key}")
                assert reply.headers["content-type"] == "application/json"
                assert reply.json() == stored
            assert listed[name]["id"] == stored["id"]
            assert listed[name]["customers"] == stored["fitted_on"]["customers"]
        assert listed["shop"]["input"] == "transactions"
        assert listed["people"]["features"] == ["visits", "returns"]


def test_a_named_model_scores_as_the_inline_one(stocked: Server, models: Path) -> None:
    with httpx.Client(base_url=stocked.url) as client:
        for name, table, options in (("shop", SHOP, {"as_of": "2026-01-01"}), ("people", PEOPLE, {})):
            model = (models / f"{name}.json").read_bytes()
            by_name = post(client, "score", table, model=name, **options)
            by_id = post(client, "score", table, model=orjson.loads(model)["id"], **options)
            inline = post(client, "score", table, inline=model, **options)
            assert table_of(by_name).num_rows > 0
            assert by_name.content == by_id.content == inline.content


def test_no_models_are_an_empty_list(client: httpx.Client) -> None:
    assert client.get("/v1/models").json() == {"models": []}


def test_a_broken_model_keeps_the_service_from_being_ready(models: Path, tmp_path: Path) -> None:
    edited = (models / "shop.json").read_bytes().replace(b'"zscore"', b'"minmax"', 1)
    (tmp_path / "spring.json").write_bytes(edited)
    with running(ready=False, models=tmp_path) as service, httpx.Client(base_url=service.url) as client:
        service.wait_until(lambda: client.get("/readyz").json()["status"] == "failed", 60)
        reply = client.get("/readyz")
        assert reply.status_code == 503
        assert "spring.json" in reply.json()["reason"]
        assert "edited" in reply.json()["reason"]
        assert client.get("/healthz").status_code == 200
        problem = refused(post(client, "segment", transactions()), 503, "not_ready")
        assert "spring.json" in problem["detail"]
        line = next(entry for entry in service.log if entry["event"] == "not ready")
        assert (line["level"], line["reason"]) == ("error", reply.json()["reason"])
        assert service.stop() == 0


# Start and end


def test_not_ready_until_the_kernels_are_compiled(tmp_path: Path) -> None:
    with (
        running(ready=False, variables={"NUMBA_CACHE_DIR": str(tmp_path)}) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        reply = client.get("/readyz")
        assert (reply.status_code, reply.json()) == (503, {"status": "starting"})
        assert client.get("/healthz").json() == {"status": "alive"}
        reply = post(client, "segment", transactions(), chunked=True)
        problem = refused(reply, 503, "not_ready")
        assert reply.headers["retry-after"] == "1"
        assert "again" in problem["detail"]
        samples = samples_of(client)
        assert samples[("segserve_ready",)] == 0
        assert samples[("segserve_requests_total", "segment", "rejected")] == 1
        assert service.stop() == 0
        assert not any(entry["event"] == "ready" for entry in service.log)  # it did not wait for the compiler


def test_a_bad_setting_is_told_and_nothing_starts() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "service"],
        cwd=root,
        env={"PATH": "", "SEGSERVE_PORT": "http"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "SEGSERVE_PORT=http" in done.stderr
