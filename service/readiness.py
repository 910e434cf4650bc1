"""From started to ready: models read, kernels compiled, a rehearsal held; in a thread, so that /healthz answers."""

from __future__ import annotations

import threading
import time

from kernels.warmup import warm_up
from service.kernel_cache import compiled_anew, forgive_full_disk
from service.logs import log
from service.memory import keep_for_good
from service.models import ModelStore, ModelStoreError
from service.rehearsal import rehearse
from service.state import State

__all__ = ["get_ready", "start_getting_ready"]

RETRY_SECONDS, MAX_RETRY_SECONDS = 0.5, 30.0


def start_getting_ready(state: State) -> threading.Thread:
    """Begins `get_ready`. The thread is a daemon: compiling cannot be interrupted, and an end need not wait for it."""
    thread = threading.Thread(target=get_ready, args=[state], name="readiness", daemon=True)
    thread.start()
    return thread


def get_ready(state: State) -> None:
    """Sets `state.ready`; until then `state.failure` where something is wrong.

    Models that cannot be read, or that are broken, are tried again until they can: a bucket may come back, a model may
    be mended. Kernels that cannot be compiled stay so.
    """
    start = time.perf_counter()
    try:
        # Models first: a broken one is told at once, not after a minute of compiling.
        state.phase = "reading_models"
        models = _read_models(state, RETRY_SECONDS)
        state.phase = "compiling"
        errors = forgive_full_disk()
        signatures = warm_up()
        if errors:
            fields = {"reason": str(errors[0]), "kernels": len(errors)}
            log.warning("compiled kernels not kept", extra={"fields": fields})
        retry_seconds = RETRY_SECONDS
        while models is None:
            state.phase = "reading_models"
            if state.ended.wait(retry_seconds):
                return
            retry_seconds = min(2 * retry_seconds, MAX_RETRY_SECONDS)
            models = _read_models(state, retry_seconds)
        state.phase = "rehearsing"
        rehearse(models, state.team)
        keep_for_good()
        state.budget.settle()
    except Exception as error:
        state.phase = "failed"
        state.failure = f"{type(error).__name__}: {error}."
        log.exception("not ready", extra={"fields": {"reason": state.failure}})
        return
    seconds = time.perf_counter() - start
    state.models = models
    state.metrics.kernels.set(signatures)
    state.metrics.kernels_compiled.set(compiled_anew())
    state.metrics.warm_up_seconds.set(seconds)
    state.metrics.models.set(len(models))
    state.phase = "ready"
    state.ready = True
    fields = {
        "kernel_signatures": signatures,
        "models": [name for name, _ in models],
        "threads": state.team.n_threads,
        "warm_up_seconds": round(seconds, 3),
    }
    log.info("ready", extra={"fields": fields})


def _read_models(state: State, retry_seconds: float) -> ModelStore | None:
    """The models, or None with the reason told."""
    try:
        models = ModelStore.read(state.settings.models)
    except ModelStoreError as error:
        if state.failure != str(error):
            state.failure = str(error)
            fields = {"reason": state.failure, "retry_seconds": retry_seconds}
            log.error("not ready", extra={"fields": fields})
        return None
    state.failure = None
    return models
