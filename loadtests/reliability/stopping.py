"""SIGTERM and SIGKILL while requests come: nothing accepted is lost or answered wrongly, the next start is soon."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

import httpx
import numpy as np

from loadtests.open_load import WRONG, Answers, Source, run_open_load
from loadtests.reliability.report import Row
from loadtests.reliability.stage import Stage, source
from loadtests.server import Service
from loadtests.users import ad_platform, analyst, crm, upload_file

__all__ = ["run"]

SCORES, LOOK_UPS, SEGMENTS = 150.0, 30.0, 5.0
READY_SECONDS = 5.0


def run(stage: Stage, *, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    seconds, rounds = (1.5, 1) if quick else (3.0, 5)
    terms = [_stopped(stage, signal.SIGTERM, seconds) for _ in range(rounds)]
    kills = [_stopped(stage, signal.SIGKILL, seconds) for _ in range(rounds)]
    return _rows(terms, kills), {"SIGTERM": terms, "SIGKILL": kills}


def _sources(service: Service, seconds: float) -> list[Source]:
    kinds = ((ad_platform(), SCORES), (crm(), LOOK_UPS), (analyst(), SEGMENTS))
    return [source(service.url, request, [(seconds, rate)]) for request, rate in kinds]


def _stopped(stage: Stage, number: signal.Signals, seconds: float) -> dict[str, Any]:
    """The signal comes in the middle of the load and of an upload; what the callers saw, and the next start."""
    service = stage.start(number.name)
    try:
        service.wait_ready()
        file = upload_file(10_000_000, 1_000_000)
        command = [sys.executable, "-m", "loadtests.upload", service.url, str(file)]
        sources = _sources(service, 2 * seconds)
        uploads: list[subprocess.Popen[str]] = []
        sent_at: list[float] = []
        ended: list[float] = []

        def start_upload() -> None:
            uploads.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))

        def send_signal() -> None:
            sent_at.append(time.monotonic())
            service.process.send_signal(number)

        at = [(max(0.0, seconds - 1.5), start_upload), (seconds, send_signal)]
        answers = run_open_load(service.url, sources, at=at, patience_seconds=40)
        code = service.process.wait(60)
        ended.append(time.monotonic())
        told, _ = uploads[0].communicate(timeout=60)
    finally:
        service.stop()
    found = _fates(answers, seconds) | {
        "exit_code": code,
        "seconds_to_end": ended[0] - sent_at[0],
        "upload": json.loads(told),
        "errors_logged": service.log.read_text("utf-8", "replace").count('"level":"error"'),
    }
    if number is signal.SIGKILL:
        with stage.service("restarted") as restarted:
            found["ready_again_seconds"] = restarted.wait_ready()
    return found


def _fates(answers: Answers, seconds: float) -> dict[str, Any]:
    """By whether they were sent before the signal: how many were answered 200, 503, otherwise, wrongly, or not."""
    before = answers.sent < seconds
    fates = {}
    for name, chosen in (("sent_before", before), ("sent_after", ~before)):
        status = answers.status[chosen]
        fates[name] = {
            "n": int(chosen.sum()),
            "ok": int((status == httpx.codes.OK).sum()),
            "busy": int((status == httpx.codes.SERVICE_UNAVAILABLE).sum()),
            "wrong": int((status == WRONG).sum()),
            "broken": int((status == 0).sum()),
        }
    fates["under_way"] = int((before & ((answers.done > seconds) | np.isnan(answers.done))).sum())
    return {**fates, "errors": answers.errors}


def _rows(terms: list[dict[str, Any]], kills: list[dict[str, Any]]) -> list[Row]:
    lost = sum(run["sent_before"]["broken"] for run in terms)
    refused = sum(run["sent_before"]["busy"] for run in terms)
    under_way = sum(run["under_way"] for run in terms)
    uploads = sum(run["upload"]["status"] == httpx.codes.OK for run in terms)
    codes = sorted({run["exit_code"] for run in terms})
    wrong = sum(run[when]["wrong"] for run in (*terms, *kills) for when in ("sent_before", "sent_after"))
    after = {key: sum(run["sent_after"][key] for run in terms) for key in ("n", "ok", "busy", "broken")}
    ready = max(run["ready_again_seconds"] for run in kills)
    truncated = sum(run["upload"]["status"] == httpx.codes.OK and not run["upload"]["customers"] for run in kills)
    broken = sum(run["sent_before"]["broken"] + run["sent_after"]["broken"] for run in kills)
    ends = max(run["seconds_to_end"] for run in terms)
    return [
        Row(
            "stopping/lost", f"SIGTERM under load, {len(terms)} times: requests sent before it that got no answer",
            f"{lost} of {sum(run['sent_before']['n'] for run in terms):,}", "0", lost == 0,
            f"{under_way} were under way at the signal, {refused} of them not yet read and refused with 503. Of "
            f"{after['n']:,} sent after it {after['ok']:,} were answered, {after['busy']:,} refused with 503, "
            f"{after['broken']:,} met a closed door.",
        ),
        Row(
            "stopping/uploads", "SIGTERM under load: the upload that was under way",
            f"{uploads} of {len(terms)} complete", "all", uploads == len(terms),
        ),
        Row(
            "stopping/exit", "SIGTERM under load: exit code, and until when",
            f"{', '.join(map(str, codes))}; {ends:.1f} s at most", "0", codes == [0],
        ),
        Row(
            "stopping/wrong", "SIGTERM and SIGKILL under load: wrong answers, cut replies taken for whole ones",
            f"{wrong + truncated}", "0", wrong + truncated == 0,
            f"SIGKILL, {len(kills)} times: {broken:,} requests ended in an error of the connection.",
        ),
        Row(
            "stopping/restart", "after SIGKILL: started again, until ready, at most", f"{ready:.1f} s",
            f"< {READY_SECONDS:g} s", ready < READY_SECONDS, "The kernels are in the cache.",
        ),
    ]  # fmt: skip
