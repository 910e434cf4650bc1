"""Every metric of the service, and the timer that splits a request into stages.

Labels are fixed up front: endpoints, stages, outcomes and error codes; never anything a caller can choose.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from proto.errors import ErrorCode

__all__ = ["ENDPOINTS", "OUTCOMES", "STAGES", "Metrics", "StageTimer"]

ENDPOINTS = ("segment", "fit", "score")
STAGES = ("receive", "queue", "decode", "aggregate", "compute", "encode", "send", "total")
OUTCOMES = ("ok", "refused", "rejected", "failed", "disconnected")

_SECONDS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
)


class StageTimer:
    """Seconds per stage of one request; a stage may be entered many times."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def elapsed(self) -> float:
        return time.perf_counter() - self._start

    def header(self) -> bytes:
        """The `Server-Timing` value so far, in milliseconds."""
        stages = {**self.seconds, "total": self.elapsed()}
        return ", ".join(f"{name};dur={seconds * 1e3:.3f}" for name, seconds in stages.items()).encode()


class Metrics:
    """The registry and every metric in it, with all label values present from the start."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        r = self.registry
        self.requests = Counter(
            "segserve_requests_total",
            "Requests by outcome: ok, refused (4xx), rejected (503), failed (5xx or aborted), disconnected.",
            ["endpoint", "outcome"],
            registry=r,
        )
        self.errors = Counter("segserve_errors_total", "Problem replies by error code.", ["code"], registry=r)
        self.stage_seconds = Histogram(
            "segserve_stage_seconds",
            "Seconds of a request by stage.",
            ["endpoint", "stage"],
            buckets=_SECONDS,
            registry=r,
        )
        self.rows = Counter("segserve_rows_total", "Rows read.", ["endpoint"], registry=r)
        self.customers = Counter("segserve_customers_total", "Customers returned or fitted.", ["endpoint"], registry=r)
        self.received = Counter("segserve_received_bytes_total", "Body bytes received.", ["endpoint"], registry=r)
        self.sent = Counter("segserve_sent_bytes_total", "Body bytes sent.", ["endpoint"], registry=r)
        self.in_flight = Gauge("segserve_requests_in_flight", "Requests being answered.", registry=r)
        self.slots_in_use = Gauge("segserve_compute_slots_in_use", "Compute slots taken.", registry=r)
        self.slots = Gauge("segserve_compute_slots", "Compute slots there are.", registry=r)
        self.ready = Gauge("segserve_ready", "1 once every kernel is compiled.", registry=r)
        self.kernels = Gauge("segserve_kernel_signatures", "Compiled kernel signatures.", registry=r)
        self.warm_up_seconds = Gauge("segserve_warm_up_seconds", "Seconds it took to compile or load them.", registry=r)
        self.models = Gauge("segserve_models", "Models this replica was started with.", registry=r)
        for endpoint in ENDPOINTS:
            for counter in (self.rows, self.customers, self.received, self.sent):
                counter.labels(endpoint)
            for outcome in OUTCOMES:
                self.requests.labels(endpoint, outcome)
            for stage in STAGES:
                self.stage_seconds.labels(endpoint, stage)
        for code in ErrorCode:
            self.errors.labels(str(code))

    def observe(self, endpoint: str, timer: StageTimer) -> None:
        """Puts one request's stages into the histogram."""
        for stage, seconds in timer.seconds.items():
            self.stage_seconds.labels(endpoint, stage).observe(seconds)
        self.stage_seconds.labels(endpoint, "total").observe(timer.elapsed())

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return bytes(generate_latest(self.registry))
