"""Every metric of the service, and the timer that splits a request into stages.

Labels are fixed up front: endpoints, stages, outcomes and error codes; never anything a caller can choose.
"""

from __future__ import annotations

import functools
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from proto.errors import ErrorCode, RequestError
from service.tallies import Tallies

__all__ = ["DEADLINES", "ENDPOINTS", "LANES", "OUTCOMES", "PHASES", "REJECTIONS", "STAGES", "Metrics", "StageTimer"]

ENDPOINTS = ("segment", "fit", "score", "audience")
STAGES = ("receive", "queue", "decode", "aggregate", "compute", "encode", "send", "total")
PHASES = ("starting", "reading_models", "compiling", "rehearsing", "ready", "failed", "draining")
LAG_BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
OUTCOMES = ("ok", "refused", "rejected", "failed", "disconnected")
LANES = ("small", "bulk")
REJECTIONS = (
    *("max_requests", "max_queued_requests", "queue_seconds", "small_queue_seconds", "score_queue_seconds"),
    *("memory_budget_bytes", "not_ready", "shutting_down", "disk_full"),
)
DEADLINES = ("header", "read", "request", "write")


class _Stage:
    """A block that is timed; a class, since a generator costs five times as much."""

    __slots__ = ("_name", "_start", "_timer")

    def __init__(self, timer: StageTimer, name: str) -> None:
        self._timer, self._name = timer, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._timer.add(self._name, time.perf_counter() - self._start)


class StageTimer:
    """Seconds per stage of one request; a stage may be entered many times."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    def stage(self, name: str) -> _Stage:
        """Times the block it is entered for."""
        return _Stage(self, name)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def elapsed(self) -> float:
        return time.perf_counter() - self._start

    def header(self) -> bytes:
        """The `Server-Timing` value so far, in milliseconds."""
        return _form(tuple(self.seconds)) % (*[spent * 1e3 for spent in self.seconds.values()], self.elapsed() * 1e3)


@functools.lru_cache(maxsize=256)
def _form(stages: tuple[str, ...]) -> bytes:
    """`stage;dur=%.3f, …`: formatting all numbers in one go takes a third of the time."""
    return b", ".join(b"%b;dur=%%.3f" % stage.encode() for stage in (*stages, "total"))


class Metrics:
    """The registry and every metric in it, with all label values present from the start."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        r = self.registry
        self.tallies = Tallies(ENDPOINTS, OUTCOMES, STAGES)
        r.register(self.tallies)
        self.errors = Counter("segserve_errors_total", "Problem replies by error code.", ["code"], registry=r)
        self.in_flight = Gauge("segserve_requests_in_flight", "Requests being answered.", registry=r)
        self.slots_in_use = Gauge("segserve_compute_slots_in_use", "Compute slots taken.", registry=r)
        self.slots = Gauge("segserve_compute_slots", "Compute slots there are.", registry=r)
        self.lane_slots = Gauge("segserve_lane_slots_in_use", "Compute slots taken, by lane.", ["lane"], registry=r)
        self.lane_queue = Gauge("segserve_lane_queue_length", "Pieces that wait for a slot.", ["lane"], registry=r)
        self.bulk_places = Gauge(
            "segserve_bulk_places_in_use",
            "Bulk requests worked on; not those with slow readers.",
            registry=r,
        )
        self.bulk_queue = Gauge("segserve_bulk_queue_length", "Bulk requests that wait for a place.", registry=r)
        self.connections = Gauge("segserve_connections", "Open connections.", registry=r)
        self.memory_budget = Gauge("segserve_memory_budget_bytes", "Bytes all requests may reserve.", registry=r)
        self.memory_reserved = Gauge("segserve_memory_reserved_bytes", "Bytes requests have reserved.", registry=r)
        self.drains = Gauge("segserve_drains_in_flight", "Refused bodies being read to their end.", registry=r)
        self.rejections = Counter(
            "segserve_rejections_total", "503 replies by reason: the setting that was met.", ["reason"], registry=r
        )
        self.deadlines = Counter("segserve_deadlines_missed_total", "Deadlines missed.", ["deadline"], registry=r)
        self.ready = Gauge("segserve_ready", "1 while /readyz says so: kernels compiled, end not begun.", registry=r)
        self.phase = Gauge("segserve_phase", "1 for what the process is at.", ["phase"], registry=r)
        self.kernels = Gauge("segserve_kernel_signatures", "Compiled kernel signatures.", registry=r)
        self.kernels_compiled = Gauge(
            "segserve_kernel_signatures_compiled",
            "Kernel signatures that were in no cache and had to be compiled at the start.",
            registry=r,
        )
        self.warm_up_seconds = Gauge("segserve_warm_up_seconds", "Seconds it took to compile or load them.", registry=r)
        self.models = Gauge("segserve_models", "Models this replica was started with.", registry=r)
        self.loop_lag = Histogram(
            "segserve_event_loop_lag_seconds",
            "How late the event loop is for what it has to do at a given time.",
            registry=r,
            buckets=LAG_BUCKET_SECONDS,
        )
        for code in ErrorCode:
            self.errors.labels(str(code))
        for reason in REJECTIONS:
            self.rejections.labels(reason)
        for phase in PHASES:
            self.phase.labels(phase)
        for deadline in DEADLINES:
            self.deadlines.labels(deadline)

    def count_error(self, error: RequestError) -> None:
        """Counts a problem reply, and the reason of one that says to come again."""
        self.errors.labels(str(error.code)).inc()
        if error.code is ErrorCode.BUSY:
            self.rejections.labels(error.facts["limit"]).inc()
        elif error.status == 503:
            self.rejections.labels(str(error.code)).inc()

    def count_busy(self, endpoint: str, limit: str, n: int) -> None:
        """Counts requests of an endpoint that were refused because of this limit before they were looked at."""
        self.errors.labels(str(ErrorCode.BUSY)).inc(n)
        self.rejections.labels(limit).inc(n)
        self.tallies.of[endpoint].outcomes["rejected"] += n

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return bytes(generate_latest(self.registry))
