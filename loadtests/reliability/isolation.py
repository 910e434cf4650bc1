"""Small scores beside bulk: their p99 alone, and while uploads of ten million rows run."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from loadtests.open_load import Answers, run_open_load
from loadtests.reliability.report import Row
from loadtests.reliability.stage import Stage, latencies, milliseconds, percentile, source
from loadtests.server import Service
from loadtests.users import ad_platform, upload_file
from loadtests.watch import usage

__all__ = ["run"]

RATE = 200.0
TIMES = 5.0
BURNERS = "while True: pass"


def run(stage: Stage, *, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    n_rows, seconds = (1_000_000, 3.0) if quick else (10_000_000, 20.0)
    file = upload_file(n_rows, n_rows // 10)
    with stage.service("isolation") as service:
        _uploads(service, file, 1, 0.0)  # memory of the first upload is new to the process
        figures = {
            "idle": _measure(service, seconds, []),
            "burners": _with(service, seconds, [[sys.executable, "-c", BURNERS]] * 2),
            "one_upload": _with(service, seconds, [_uploader(service, file, seconds + 2)]),
            "two_uploads": _with(service, seconds, [_uploader(service, file, seconds + 2)] * 2),
        }
        figures["idle_again"] = _measure(service, seconds, [])
        with _ahead() as permitted:
            if permitted:
                figures["idle_ahead"] = _measure(service, seconds, [])
        if permitted:
            figures["two_uploads_ahead"] = _with(service, seconds, [_uploader(service, file, seconds + 2)] * 2, _ahead)
    figures["upload_rows"] = n_rows
    return _rows(figures, n_rows), figures


def _uploader(service: Service, file: Path, seconds: float) -> list[str]:
    return [sys.executable, "-m", "loadtests.upload", service.url, str(file), "--seconds", str(seconds)]


def _uploads(service: Service, file: Path, n: int, seconds: float) -> None:
    for process in [subprocess.Popen(_uploader(service, file, seconds), stdout=subprocess.DEVNULL) for _ in range(n)]:
        process.wait()


@contextlib.contextmanager
def _ahead() -> Iterator[bool]:
    """The generator goes before all others, as one on a machine of its own would; whether that is permitted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _with(
    service: Service,
    seconds: float,
    commands: list[list[str]],
    place: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
) -> dict[str, Any]:
    """Measured while these run, by a generator in its place; all of them are ended."""
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    try:
        with place():
            return _measure(service, seconds, processes)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _measure(service: Service, seconds: float, beside: list[subprocess.Popen[str]]) -> dict[str, Any]:
    """Latencies at a fixed rate; what runs beside it, and what it says."""
    before = usage(service.pid)
    lead = 2.0 if beside else 0.0  # until the uploaders have started
    answers = run_open_load(service.url, [source(service.url, ad_platform(), [(lead + seconds, RATE)])])
    after = usage(service.pid)
    found = _summary(answers, lead) | {
        "service_cores": (after.cpu_seconds - before.cpu_seconds) / (after.seconds - before.seconds)
    }
    uploads = [done for process in beside for done in _finished(process)]
    if uploads:
        found["uploads"] = uploads
    return found


def _finished(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """What an uploader said of the uploads it completed; nothing of a process that says nothing."""
    if process.args[1] == "-c":  # type: ignore[index]
        process.kill()
    text, _ = process.communicate(timeout=120)
    return [json.loads(line) for line in text.splitlines()]


def _summary(answers: Answers, lead: float) -> dict[str, Any]:
    chosen = answers.due >= lead
    seconds = latencies(answers, chosen)
    return {
        "requests": int(chosen.sum()),
        "not_200": int((answers.status[chosen] != httpx.codes.OK).sum()),
        "errors": answers.errors,
        "p50_seconds": percentile(seconds, 50),
        "p99_seconds": percentile(seconds, 99),
        "p999_seconds": percentile(seconds, 99.9),
        "max_seconds": float(np.max(seconds)),
        "generator_lag_p99_seconds": percentile((answers.sent - answers.due)[chosen], 99),
    }


def _rows(figures: dict[str, Any], n_rows: int) -> list[Row]:
    idle, busy, burners, one = (figures[name] for name in ("idle", "two_uploads", "burners", "one_upload"))
    ratio = busy["p99_seconds"] / idle["p99_seconds"]
    uploads = busy["uploads"]
    good = [done for done in uploads if done["status"] == httpx.codes.OK]
    took = [done["seconds"] for done in good]
    note = (
        f"{RATE:g} scores/s of 100 customers. p50 {milliseconds(idle['p50_seconds'])} alone, "
        f"{milliseconds(busy['p50_seconds'])} beside two uploads; p99 beside one upload "
        f"{milliseconds(one['p99_seconds'])}, beside two processes that only burn the two cores "
        f"{milliseconds(burners['p99_seconds'])}. Beside two uploads the service used {busy['service_cores']:.2f} "
        f"cores, and the generator sent {milliseconds(busy['generator_lag_p99_seconds'])} late at the 99th percentile."
    )
    if "two_uploads_ahead" in figures:
        alone, beside = (figures[name]["p99_seconds"] for name in ("idle_ahead", "two_uploads_ahead"))
        note += (
            " With the generator ahead of all others on its core, as if on a machine of its own: "
            f"{milliseconds(beside)} : {milliseconds(alone)} = {beside / alone:.1f} ×."
        )
    wrong = idle["not_200"] + busy["not_200"] + one["not_200"] + burners["not_200"]
    return [
        Row(
            "isolation/p99", f"small scores beside two uploads of {n_rows:,} rows: p99 against alone",
            f"{milliseconds(busy['p99_seconds'])} : {milliseconds(idle['p99_seconds'])} = {ratio:.1f} ×",
            f"≤ {TIMES:g} ×", ratio <= TIMES, note,
        ),
        Row(
            "isolation/errors", "small scores beside uploads: not answered, or wrongly", f"{wrong:,}", "0", wrong == 0
        ),
        Row(
            "isolation/uploads", f"uploads of {n_rows:,} rows, two at a time, beside small scores",
            f"{len(good)} of {len(uploads)} complete, {np.median(took):.1f} s each" if took else "none complete",
            "all complete", len(good) == len(uploads) > 0,
        ),
    ]  # fmt: skip
