"""Traces over a real socket: spans of every endpoint arrive at a collector, and the answers stay the same."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.wire.server import Server, running
from tests.wire.shop import SHOP, post, refused

PARENT = "0af7651916cd43dd8448eb211c80319c"


class Collector(http.server.ThreadingHTTPServer):
    """Takes what is exported to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spans: list[Span] = []
        self.services: set[str] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {entry.key: entry.value.string_value for entry in resource.resource.attributes}
            self.server.services.add(told["service.name"])
            for scope in resource.scope_spans:
                self.server.spans.extend(scope.spans)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quietly."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    server = Collector()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[Server]:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_address[1]}",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    with running(variables=variables, telemetry="true", threads=1) as service:
        yield service


def test_every_endpoint_is_traced(traced: Server, collector: Collector, client: httpx.Client) -> None:
    def of(route: str) -> list[Span]:
        return [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER and span.name.endswith(route)]

    with httpx.Client(base_url=traced.url, timeout=60) as http:
        headers = {"traceparent": f"00-{PARENT}-b7ad6b7169203331-01"}
        reply = post(http, "segment", SHOP, k=3, headers=headers)
        assert reply.content == post(client, "segment", SHOP, k=3).content
        refused(post(http, "fit", SHOP, k=0), 422, "bad_option")
        refused(post(http, "score", SHOP, chunked=True), 422, "missing_model")
        assert http.get("/v1/models").status_code == 200
        assert http.get("/v1/segment").status_code == 405
        paths = ("/v1/segment", "/v1/fit", "/v1/score", "/v1/models")
        traced.wait_until(lambda: all(map(of, paths)), 30)
    span = of("POST /v1/segment")[0]
    assert span.trace_id.hex() == PARENT
    assert {entry.key: entry.value.int_value for entry in span.attributes}["http.response.status_code"] == 200
    assert span.status.code != Status.STATUS_CODE_ERROR
    assert span.end_time_unix_nano > span.start_time_unix_nano
    assert collector.services == {"segserve"}
    assert not [span for span in collector.spans if "readyz" in span.name or "metrics" in span.name]


def test_a_traced_service_ends_as_others_do(traced: Server, collector: Collector) -> None:
    with httpx.Client(base_url=traced.url) as http:
        assert http.get("/v1/models/none").status_code == 404
    assert traced.stop() == 0
    assert [span for span in collector.spans if span.name == "GET /v1/models/{name}"]  # the last ones are sent too
