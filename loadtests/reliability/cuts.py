"""A connection that breaks at every stage of a request: nothing stays taken, and the next answer is right."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from loadtests.open_load import http_request
from loadtests.reliability.report import Row
from loadtests.reliability.stage import Stage, metrics
from loadtests.server import CLIENT, Service
from loadtests.users import Request, ad_platform, analyst
from loadtests.watch import usage

__all__ = ["STAGES", "cut", "run"]

TIMES = 20
SETTLE_SECONDS = 10.0
HELD = (
    "segserve_requests_in_flight", "segserve_compute_slots_in_use", "segserve_bulk_places_in_use",
    "segserve_bulk_queue_length", "segserve_drains_in_flight", "segserve_memory_reserved_bytes",
)  # fmt: skip
"""Gauges that are 0 when nothing is going on; those that the service has are looked at."""
STAGES = ("in the headers", "after the headers", "in the body", "after the body", "as the reply starts", "in the reply")


class Case(NamedTuple):
    """A request in bytes, where its body starts, and how long its reply is."""

    name: str
    sent: bytes
    body_at: int
    reply_bytes: int


def run(stage: Stage, *, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    times = 2 if quick else TIMES
    rows, figures = [], {}
    with stage.service("cuts") as service:
        requests = (ad_platform(), analyst(200_000, 50_000))
        right = [_answer(service, request) for request in requests]
        cases = [
            case for request, reply in zip(requests, right, strict=True) for case in _cases(service, request, reply)
        ]
        for _ in range(2):  # connections and buffers that stay are there before files are counted
            _all_stages(service, cases, 1)
        files = _files(service, 0)
        for name in STAGES:
            figures[name] = _one_stage(service, cases, name, times)
        same = [_answer(service, request) == reply for request, reply in zip(requests, right, strict=True)]
        failures = service.log.read_text("utf-8", "replace").count('"level":"error"')
        figures["files"] = [files, _files(service, files)]
        figures["errors_logged"] = failures
    kinds = ", ".join(case.name for case in cases)
    for name in STAGES:
        held = figures[name]["held"]
        rows.append(
            Row(
                f"cuts/{STAGES.index(name)}", f"connection cut {name}, {figures[name]['cuts']} times",
                f"still held after it: {held}" if held else f"nothing held {figures[name]['seconds']:.2f} s after it",
                "nothing held", not held,
            )
        )  # fmt: skip
    told = f"{sum(same)} of {len(same)} right, {files} → {figures['files'][1]} files open, {failures} errors logged"
    kept = all(same) and figures["files"][1] <= files and not failures
    note = f"Requests: {kinds}; half of the cuts are a FIN, half an RST."
    rows.append(Row("cuts/after", "after all cuts: answers, open files", told, "right, no more, 0", kept, note))
    return rows, figures


def _files(service: Service, at_most: int) -> int:
    """Open files of the service; connections that were just closed get a moment to go."""
    start = time.monotonic()
    while (files := usage(service.pid).files) > at_most and time.monotonic() - start < 1.0:
        time.sleep(0.02)  # between two looks
    return files


def _answer(service: Service, request: Request) -> bytes:
    headers = {"content-type": request.content_type, "connection": "close"}
    reply = CLIENT.post(f"{service.url}{request.path}", content=request.body, headers=headers)
    reply.raise_for_status()
    return reply.content


def _cases(service: Service, request: Request, reply: bytes) -> Iterator[Case]:
    whole = http_request(service.url, request.path, request.content_type, request.body)
    yield Case(f"{request.name}, {len(request.body):,} bytes", whole, len(whole) - len(request.body), len(reply))
    head = whole[: -len(request.body)].replace(b"content-length: %d" % len(request.body), b"transfer-encoding: chunked")
    chunked = head + b"%x\r\n" % len(request.body) + request.body + b"\r\n0\r\n\r\n"
    yield Case(f"{request.name} in chunks", chunked, len(head), len(reply))


def _all_stages(service: Service, cases: list[Case], times: int) -> None:
    for name in STAGES:
        _one_stage(service, cases, name, times)


def _one_stage(service: Service, cases: list[Case], stage: str, times: int) -> dict[str, Any]:
    """Cuts each case so often; what is still held in the end, and how long it took to let go."""
    for case in cases:
        for turn in range(times):
            cut(service.url, case, stage, reset=bool(turn % 2))
    start = time.monotonic()
    held = _held(service)
    while held and time.monotonic() - start < SETTLE_SECONDS:
        time.sleep(0.02)  # between two looks
        held = _held(service)
    return {"cuts": times * len(cases), "held": held, "seconds": time.monotonic() - start}


def _held(service: Service) -> dict[str, float]:
    found = metrics(service.url)
    return {name: found[name] for name in HELD if found.get(name)}


def cut(url: str, case: Case, stage: str, *, reset: bool) -> None:
    """Sends as much of the case as belongs to the stage, reads as much, and breaks the connection."""
    ends = {"in the headers": case.body_at // 2, "after the headers": case.body_at}
    end = ends.get(stage, (case.body_at + len(case.sent)) // 2 if stage == "in the body" else len(case.sent))
    to_read = {"as the reply starts": 1, "in the reply": case.reply_bytes // 2}.get(stage, 0)
    host, _, port = url.removeprefix("http://").partition(":")
    with contextlib.closing(socket.create_connection((host, int(port)), timeout=30)) as connection:
        connection.sendall(case.sent[:end])
        _read(connection.recv, to_read)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _read(receive: Callable[[int], bytes], n: int) -> None:
    while n > 0 and (data := receive(min(n, 65_536))):
        n -= len(data)
