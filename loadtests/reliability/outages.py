"""What the service leans on fails: models out of reach, a full disk, a log nobody reads, a clock that steps back."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.generate import transactions
from loadtests.open_load import run_open_load
from loadtests.reliability.report import Row
from loadtests.reliability.stage import Stage, source
from loadtests.server import CLIENT, Service
from loadtests.users import Request, ad_platform, analyst

__all__ = ["run"]

PARQUET = "application/vnd.apache.parquet"
DISK_BYTES = 2 << 20
PATIENCE_SECONDS = 40.0
STEP_SECONDS = 3_600
WALL_CLOCK = Path(__file__).with_name("wall_clock.c")


def run(stage: Stage, *, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    seconds = 2.0 if quick else 6.0
    rows: list[Row] = []
    figures: dict[str, Any] = {}
    for name, measure in (
        ("models-at-start", _models_at_start),
        ("models-later", _models_later),
        ("disk-spool", _full_disk_for_parquet),
        ("disk-kernels", _full_disk_for_kernels),
        ("log-pipe", _log_nobody_reads),
        ("clock", _clock_steps_back),
    ):
        row, found = measure(stage, seconds)
        rows.append(row._replace(key=f"outages/{name}"))
        figures[name] = found
    return rows, figures


def _post(service: Service, request: Request, **more: Any) -> httpx.Response:
    headers = {"content-type": request.content_type}
    return CLIENT.post(f"{service.url}{request.path}", content=request.body, headers=headers, timeout=30, **more)


def _wait_for(service: Service, path: str, status: int) -> float | None:
    """Seconds until the path answers so; None where it does not."""
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE_SECONDS:
        with contextlib.suppress(httpx.TransportError):
            if CLIENT.get(f"{service.url}{path}").status_code == status:
                return time.monotonic() - start
        time.sleep(0.05)  # between two looks
    return None


def _models_at_start(stage: Stage, _: float) -> tuple[Row, dict[str, Any]]:
    """A folder that is not there yet: alive, not ready, says why; ready once it is there."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "models"
        service = stage.start("models-at-start", MODELS=str(folder))
        try:
            alive = _wait_for(service, "/healthz", 200)
            while "be listed" not in (said := CLIENT.get(f"{service.url}/readyz").text) and _is_alive(service):
                time.sleep(0.05)  # between two looks
            busy = _post(service, ad_platform()).status_code
            shutil.copytree(stage.models, folder)
            ready = _wait_for(service, "/readyz", 200)
            answered = _post(service, ad_platform()).status_code if ready is not None else 0
        finally:
            code = service.stop()
    found = {"alive": alive, "readyz": said, "score": busy, "ready_seconds": ready, "then": answered, "exit_code": code}
    told = "never ready again" if ready is None else f"ready {ready:.1f} s after it is there"
    kept = alive is not None and busy == 503 and answered == 200
    what = "models out of reach at the start: alive, scores get 503, then ready"
    return Row("", what, f"{busy}; {told}", "503, then ready", kept), found


def _is_alive(service: Service) -> bool:
    return service.process.poll() is None


def _models_later(stage: Stage, seconds: float) -> tuple[Row, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "models"
        shutil.copytree(stage.models, folder)
        with stage.service("models-later", MODELS=str(folder)) as service:
            gone = [(seconds / 2, lambda: shutil.rmtree(folder))]
            answers = run_open_load(service.url, [source(service.url, ad_platform(), [(seconds, 100.0)])], at=gone)
            ready = CLIENT.get(f"{service.url}/readyz").status_code
    good = int((answers.status == 200).sum())
    row = Row(
        "", "models out of reach later: scores answered right, readiness", f"{good} of {len(answers.due)}; {ready}",
        "all, 200", good == len(answers.due) and ready == 200,
    )  # fmt: skip
    return row, {"answered": good, "sent": len(answers.due), "readyz": ready}


@contextlib.contextmanager
def _small_disk(n_bytes: int) -> Iterator[Path | None]:
    """A file system of so many bytes; None where none can be mounted."""
    folder = Path(tempfile.mkdtemp())
    options = ["-t", "tmpfs", "-o", f"size={n_bytes}", "segserve", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


NOT_MEASURED = "not measured: no file system can be mounted here"


def _full_disk_for_parquet(stage: Stage, _: float) -> tuple[Row, dict[str, Any]]:
    """A Parquet file larger than what is left of the disk it is spooled to; then one that fits, and a score."""
    what = "the disk for Parquet files is full: the upload, then a small one, then a score"
    with _small_disk(DISK_BYTES) as disk:
        if disk is None:
            return Row("", what, NOT_MEASURED, "503, 200, 200", None), {}
        with stage.service("disk-spool", environment={"TMPDIR": str(disk)}) as service:
            query = "/v1/segment?occasion=row"
            statuses, said = [], ""
            for n_rows in (500_000, 20_000):
                reply = _post(service, Request("data team", query, PARQUET, _parquet(n_rows)))
                statuses.append(reply.status_code)
                said = said or reply.text[:300]
            statuses.append(_post(service, ad_platform()).status_code)
            left = shutil.disk_usage(disk).used
    told = ", ".join(map(str, statuses))
    kept = statuses == [503, 200, 200] and left == 0
    return Row("", what, f"{told}; {left} bytes left behind", "503, 200, 200; 0", kept), {
        "statuses": statuses, "said": said, "left_bytes": left,
    }  # fmt: skip


def _parquet(n_rows: int) -> bytes:
    schema, batches = transactions(n_rows, 1_000)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches(list(batches), schema), sink, compression="none")
    return sink.getvalue().to_pybytes()


def _full_disk_for_kernels(stage: Stage, _: float) -> tuple[Row, dict[str, Any]]:
    """The kernels' cache is there and its disk has no byte left: nothing can be written, everything can be read."""
    what = "the disk with the kernels' cache is full: ready, a score"
    kept_at = Path(os.environ.get("NUMBA_CACHE_DIR", ""))
    if not os.environ.get("NUMBA_CACHE_DIR") or not kept_at.is_dir():
        return Row("", what, "not measured: NUMBA_CACHE_DIR names no folder", "ready, 200", None), {}
    with _small_disk(1 << 30) as disk:
        if disk is None:
            return Row("", what, NOT_MEASURED, "ready, 200", None), {}
        shutil.copytree(kept_at, disk, dirs_exist_ok=True)
        with contextlib.suppress(OSError), (disk / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(1 << 20))
        with stage.service("disk-kernels", environment={"NUMBA_CACHE_DIR": str(disk)}) as service:
            ready = service.wait_ready()
            status = _post(service, ad_platform()).status_code
    return Row("", what, f"ready, {status}", "ready, 200", status == 200), {"ready_seconds": ready, "status": status}


def _log_nobody_reads(stage: Stage, seconds: float) -> tuple[Row, dict[str, Any]]:
    """The log goes into a pipe that is open and not read: it fills, and requests are answered all the same."""
    end, start = os.pipe()
    service = stage.start("log-pipe", stdout=start)
    os.close(start)
    try:
        service.wait_ready()
        load = [source(service.url, ad_platform(), [(seconds, 300.0)])]
        answers = run_open_load(service.url, load, patience_seconds=3)
        good = int((answers.status == 200).sum())
        alive = None
        with contextlib.suppress(httpx.TransportError):
            alive = CLIENT.get(f"{service.url}/healthz", timeout=3).status_code
        reader = threading.Thread(target=_read_all, args=[end])
        reader.start()  # or it could not end
        code = service.stop()
        reader.join()
    finally:
        service.stop()
        os.close(end)
    row = Row(
        "", "nobody reads the log and its pipe is full: scores answered", f"{good:,} of {len(answers.due):,}",
        "all", good == len(answers.due) and code == 0,
    )  # fmt: skip
    return row, {"answered": good, "sent": len(answers.due), "healthz": alive, "exit_code": code}


def _read_all(end: int) -> None:
    while os.read(end, 65_536):
        pass


def _clock_steps_back(stage: Stage, seconds: float) -> tuple[Row, dict[str, Any]]:
    """An hour is taken off the wall clock while requests come; the same load without that is what it is held to."""
    what = "the clock steps back by an hour: answered right, longest latency"
    compiler = shutil.which("cc")
    if compiler is None:
        return Row("", what, "not measured: there is no C compiler", "as without the step", None), {}
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", folder / "clock.so", WALL_CLOCK, "-ldl"], check=True)
        for case, back_seconds in (("without", 0), ("with", -STEP_SECONDS)):
            figures[case] = _under_a_step(stage, seconds, folder, back_seconds)
    before, after = figures["without"], figures["with"]
    told, held_to = (
        f"{found['answered']:,} of {found['sent']:,}, {found['longest_seconds']:.2f} s" for found in (after, before)
    )
    moved = round(figures["with"]["date_after_seconds"] / 60) == -STEP_SECONDS // 60
    kept = moved and set(after["statuses"]) <= {200, 503} and after["answered"] >= before["answered"]
    note = f"Without the step {held_to}. The Date header went back by an hour: {'yes' if moved else 'no'}."
    return Row("", what, told, f"no fewer than without the step: {before['answered']:,}", kept, note), figures


def _under_a_step(stage: Stage, seconds: float, folder: Path, back_seconds: int) -> dict[str, Any]:
    """What becomes of requests whose service's wall clock goes back half way through."""
    offset = folder / "offset"
    offset.write_bytes(struct.pack("=q", 0))
    environment = {"LD_PRELOAD": str(folder / "clock.so"), "WALL_CLOCK_OFFSET": str(offset)}

    def step() -> None:
        with offset.open("r+b") as file:  # in place: the service has it mapped
            file.write(struct.pack("=q", back_seconds))

    with stage.service("clock", environment=environment) as service:
        kinds = ((ad_platform(), 100.0), (analyst(), 5.0))
        sources = [source(service.url, request, [(seconds, rate)]) for request, rate in kinds]
        answers = run_open_load(service.url, sources, at=[(seconds / 2, step)])
        date = parsedate_to_datetime(CLIENT.get(f"{service.url}/healthz").headers["date"]).timestamp()
        drift = date - time.time()
    good = answers.status == 200
    return {
        "answered": int(good.sum()), "sent": len(good), "statuses": np.unique(answers.status).tolist(),
        "longest_seconds": float((answers.done - answers.due)[good].max()), "date_after_seconds": drift,
    }  # fmt: skip
