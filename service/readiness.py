"""From started to ready: models read, kernels compiled, a rehearsal held; in a thread, so that /healthz answers."""

from __future__ import annotations

import threading
import time

from kernels.warmup import warm_up
from service.logs import log
from service.models import ModelStore, ModelStoreError
from service.rehearsal import rehearse
from service.state import State

__all__ = ["get_ready", "start_getting_ready"]


def start_getting_ready(state: State) -> threading.Thread:
    """Begins `get_ready`. The thread is a daemon: compiling cannot be interrupted, and an end need not wait for it."""
    thread = threading.Thread(target=get_ready, args=[state], name="readiness", daemon=True)
    thread.start()
    return thread


def get_ready(state: State) -> None:
    """Sets `state.ready`, or `state.failure` with the reason."""
    start = time.perf_counter()
    try:
        # Models first: a broken one is told at once, not after a minute of compiling.
        state.models = ModelStore.read(state.settings.models)
        signatures = warm_up()
        rehearse(state.models, state.team)
    except ModelStoreError as error:
        state.failure = str(error)
        log.error("not ready", extra={"fields": {"reason": state.failure}})
        return
    except Exception as error:
        state.failure = f"{type(error).__name__}: {error}"
        log.exception("not ready", extra={"fields": {"reason": state.failure}})
        return
    seconds = time.perf_counter() - start
    state.metrics.kernels.set(signatures)
    state.metrics.warm_up_seconds.set(seconds)
    state.metrics.models.set(len(state.models))
    state.metrics.ready.set(1)
    state.ready = True
    fields = {
        "kernel_signatures": signatures,
        "models": [name for name, _ in state.models],
        "threads": state.team.n_threads,
        "warm_up_seconds": round(seconds, 3),
    }
    log.info("ready", extra={"fields": fields})
