"""Uploads that want more memory than there is, several at a time, under a limit of 1 GB: refused, never killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import httpx

from loadtests.open_load import Answers, run_open_load
from loadtests.reliability.confinement import Confinement, memory_limit
from loadtests.reliability.report import Row
from loadtests.reliability.stage import Stage, source
from loadtests.server import Service
from loadtests.users import ad_platform, upload_file
from loadtests.watch import usage

__all__ = ["run"]

LIMIT_BYTES = 10**9
UPLOADS = 6
SETTLE_SECONDS = 10.0
BACK_RATIO = 1.2
POLITE = (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.REQUEST_ENTITY_TOO_LARGE)
CLOSED = ("ConnectionResetError", "BrokenPipeError")
"""An upload that was refused and sends on is read for 64 MiB, then closed upon."""
MB = 1e6


def run(stage: Stage, *, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    n_rows, n_customers, seconds = (2_000_000, 1_000_000, 5.0) if quick else (10_000_000, 5_000_000, 40.0)
    file = upload_file(n_rows, n_customers)
    with memory_limit(LIMIT_BYTES) as group:
        if group is None:
            return [Row("memory/kills", "uploads under 1 GB", "not measured: no control group", "0 kills", None)], {}
        with stage.service("memory", before=group.before) as service:
            command = [sys.executable, "-m", "loadtests.upload", service.url, str(file)]
            _finish([_start(command)])  # threads, buffers and arenas that stay are there before it is measured
            idle = usage(service.pid).anonymous_bytes
            uploads = [_start([*command, "--seconds", str(seconds)]) for _ in range(UPLOADS)]
            answers = run_open_load(service.url, [source(service.url, ad_platform(), [(seconds, 50.0)])])
            figures = _figures(service, group, idle, uploads, answers)
    return _rows(figures, n_rows, n_customers), {**figures, "rows": n_rows, "customers": n_customers}


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _finish(uploads: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    return [json.loads(line) for process in uploads for line in process.communicate(timeout=300)[0].splitlines()]


def _figures(
    service: Service, group: Confinement, idle: int, uploads: list[subprocess.Popen[str]], answers: Answers
) -> dict[str, Any]:
    done = _finish(uploads)
    start = time.monotonic()
    while (after := _memory(service)) > BACK_RATIO * idle and time.monotonic() - start < SETTLE_SECONDS:
        time.sleep(0.1)  # between two looks
    return {
        "uploads": Counter(str(one["status"]) for one in done),
        "details": Counter(one["detail"][:300] for one in done if one["status"] != httpx.codes.OK).most_common(5),
        "closed_while_sending": sum(one["detail"].startswith(CLOSED) for one in done),
        "impolite": sum(one["status"] not in POLITE and not one["detail"].startswith(CLOSED) for one in done),
        "peak_bytes": group.peak_bytes(),
        "oom_kills": group.oom_kills(),
        "idle_bytes": idle,
        "after_bytes": after,
        "scores": int((answers.status == httpx.codes.OK).sum()),
        "scores_sent": len(answers.due),
        "score_errors": answers.errors,
    }


def _memory(service: Service) -> int:
    """What is the process's own, in bytes; 0 once it was killed."""
    try:
        return usage(service.pid).anonymous_bytes
    except OSError:
        return 0


def _rows(found: dict[str, Any], n_rows: int, n_customers: int) -> list[Row]:
    what = f"{UPLOADS} uploads at a time of {n_rows:,} rows, {n_customers:,} customers, under 1 GB"
    fates = ", ".join(f"{n} × {status}" for status, n in sorted(found["uploads"].items()))
    ratio = found["after_bytes"] / found["idle_bytes"]
    return [
        Row(
            "memory/kills", f"{what}: processes killed, replies cut", f"{found['oom_kills']}, {found['impolite']}",
            "0, 0", not found["oom_kills"] and not found["impolite"],
            f"Replies: {fates}; {found['closed_while_sending']} were closed upon as they still sent, 64 MiB after "
            f"they were refused; the most that the control group ever held, page cache included, "
            f"{found['peak_bytes'] / MB:,.0f} MB.",
        ),
        Row(
            "memory/scores", "the same: small scores beside them, answered",
            f"{found['scores']:,} of {found['scores_sent']:,}", "all", found["scores"] == found["scores_sent"],
        ),
        Row(
            "memory/back", "the same: memory in the end against before",
            f"{found['after_bytes'] / MB:,.0f} MB : {found['idle_bytes'] / MB:,.0f} MB", f"≤ {BACK_RATIO} ×",
            0 < ratio <= BACK_RATIO,
        ),
    ]  # fmt: skip
