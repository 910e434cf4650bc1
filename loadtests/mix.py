"""The users together: an ad platform's scores, a CRM's look-ups, an analyst's segmentations, a data team's uploads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from loadtests.open_load import Answers, Phases, Source, run_open_load
from loadtests.users import Request, ad_platform, analyst, crm, upload_file

__all__ = ["KINDS", "UPLOAD_CUSTOMERS", "UPLOAD_ROWS", "Mixed", "run_mix"]

KINDS: tuple[tuple[Request, float], ...] = ((ad_platform(), 100.0), (crm(), 20.0), (analyst(), 2.0))
"""What arrives a second, at scale 1."""
UPLOAD_ROWS, UPLOAD_CUSTOMERS, UPLOAD_SECONDS = 1_000_000, 100_000, 10.0
"""An upload of so many rows every so many seconds, at scale 1."""

ToSource = Callable[[str, Request, Phases], Source]


class Mixed(NamedTuple):
    """What became of the requests, and of the uploads."""

    answers: Answers
    uploads: list[dict[str, Any]]


def run_mix(
    url: str, scale: float, seconds: float, to_source: ToSource, at: Sequence[tuple[float, Callable[[], None]]] = ()
) -> Mixed:
    """The mix at this scale for so many seconds."""
    file = upload_file(UPLOAD_ROWS, UPLOAD_CUSTOMERS)
    every = UPLOAD_SECONDS / scale
    command = [sys.executable, "-m", "loadtests.upload", url, str(file), "--every", str(every)]
    with subprocess.Popen([*command, "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True) as uploader:
        sources = [to_source(url, request, [(seconds, scale * rate)]) for request, rate in KINDS]
        answers = run_open_load(url, sources, at=at)
        told, _ = uploader.communicate(timeout=300)
    return Mixed(answers, [json.loads(line) for line in told.splitlines()])
