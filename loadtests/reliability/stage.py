"""What every measure needs: a service with models to score by, requests to send it, and how to say what was found."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from loadtests.datasets import FOLDER
from loadtests.open_load import Answers, Phases, Source, http_request
from loadtests.server import CLIENT, Service
from loadtests.users import Request, fit_models
from service.settings import Settings

__all__ = ["Stage", "known", "latencies", "metrics", "milliseconds", "percentile", "source"]


class Stage:
    """A folder with fitted models, and services started with it."""

    def __init__(self, folder: Path) -> None:
        self.models = folder

    @classmethod
    @contextlib.contextmanager
    def set_up(cls) -> Iterator[Stage]:
        """Fits the models, with a service that is then stopped."""
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            stage = cls(Path(folder))
            with stage.service("fit") as service:
                fit_models(service.url, stage.models)
            yield stage

    @contextlib.contextmanager
    def service(
        self,
        name: str,
        *,
        environment: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        **settings: str,
    ) -> Iterator[Service]:
        """A service that is ready, its log in .demo/reliability-NAME.log; it is ended with the block."""
        service = self.start(name, environment=environment, before=before, **settings)
        try:
            service.wait_ready()
            yield service
        finally:
            service.stop()

    def start(self, name: str, **more: Any) -> Service:
        """A service that was just started."""
        log = FOLDER / f"reliability-{name}.log"
        return Service(log, **{"MODELS": str(self.models), **more})


def known(**settings: str) -> dict[str, str]:
    """Those of the settings that this version of the service has."""
    return {name: value for name, value in settings.items() if name.lower() in Settings.model_fields}


def source(url: str, request: Request, phases: Phases, *, checked: bool = True) -> Source:
    """The request at these rates; every reply must equal the first one where it is checked."""
    reply = None
    if checked:
        headers = {"content-type": request.content_type}
        found = CLIENT.post(f"{url}{request.path}", content=request.body, headers=headers)
        found.raise_for_status()
        reply = found.content
    sent = http_request(url, request.path, request.content_type, request.body)
    return Source(request.name, sent, phases, reply)


def latencies(answers: Answers, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Seconds from due to done of the chosen requests that were answered 200."""
    good = chosen & (answers.status == httpx.codes.OK)
    return answers.done[good] - answers.due[good]


def percentile(values: NDArray[np.float64], q: float) -> float:
    """NaN where there are none."""
    return float(np.percentile(values, q)) if len(values) else float("nan")


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.3g} ms" if seconds < 1 else f"{seconds:,.3g} s"


def metrics(url: str) -> dict[str, float]:
    """Every sample of /metrics, keyed as it is written."""
    text = CLIENT.get(f"{url}/metrics").text
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}
