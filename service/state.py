"""What all requests of one process share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial

from service.admission import Admission
from service.api_keys import ApiKeys
from service.backlog import Backlog
from service.budget import Budget
from service.deadlines import Deadlines, Watch
from service.gate import Gate, KeyMetrics
from service.metrics import PHASES, Metrics
from service.models import ModelStore
from service.quick.path import QuickPath
from service.settings import Settings
from service.threads import ThreadTeam
from service.tls import Certificates

__all__ = ["State"]


@dataclass
class State:
    """Made when the app is made; `ready` turns true once every kernel is compiled and the models are read."""

    settings: Settings
    metrics: Metrics
    team: ThreadTeam
    bulk_team: ThreadTeam
    """Its helpers stand back for whoever wants a core; small requests would wait behind bulk work for one of them."""
    admission: Admission
    gate: Gate
    watch: Watch
    budget: Budget
    backlog: Backlog
    certificates: Certificates
    models: ModelStore = field(default_factory=lambda: ModelStore({}))
    ready: bool = False
    failure: str | None = None
    phase: str = "starting"
    """What is done until it is ready; one of metrics.PHASES."""
    ended: threading.Event = field(default_factory=threading.Event)
    _quick: QuickPath | None = None

    @classmethod
    def of(cls, settings: Settings) -> State:
        metrics = Metrics()
        n = settings.n_threads
        admission = Admission(
            settings.max_requests,
            n,
            metrics,
            max_bulk_requests=settings.max_bulk_requests,
            max_queued_requests=settings.max_queued_requests,
            queue_seconds=settings.queue_seconds,
            small_queue_seconds=settings.small_queue_seconds,
            bulk_nice=settings.bulk_nice,
        )
        keys = ApiKeys(settings.api_keys, settings.api_keys_file)
        metrics.registry.register(KeyMetrics(keys))
        gate = Gate(keys, settings.metrics_key)
        budget = Budget(settings.memory_budget_bytes or None, metrics)
        watch = Watch(Deadlines(*(getattr(settings, name) for name in Deadlines._fields)), metrics)
        backlog = Backlog(settings.score_queue_seconds, metrics, gate, small_body_bytes=settings.small_body_bytes)
        teams = ThreadTeam(n), ThreadTeam(n, settings.bulk_nice)
        certificates = Certificates(settings)
        metrics.registry.register(certificates)
        state = cls(settings, metrics, *teams, admission, gate, watch, budget, backlog, certificates)
        metrics.ready.set_function(lambda: state.ready and not gate.draining)
        for phase in PHASES:
            metrics.phase.labels(phase).set_function(partial(state.is_at, phase))
        return state

    @property
    def quick(self) -> QuickPath | None:
        """The quick path for small scores, once the models are there; None where the limits leave no room for it."""
        if self._quick is None and self.ready:
            limits = self.settings.limits
            if QuickPath.is_open(limits, self.settings.small_body_bytes):
                self._quick = QuickPath(self.models, limits)
        return self._quick

    def is_at(self, phase: str) -> bool:
        """Whether this is what the process is at."""
        return phase == ("draining" if self.gate.draining else self.phase)

    def close(self) -> None:
        self.admission.close()
        self.team.close()
        self.bulk_team.close()
