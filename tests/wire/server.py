"""Starts the real service on a free port, as a process of its own, and talks to it over a real socket."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pyarrow as pa

from tests.wire.forked import Forked

ARROW = "application/vnd.apache.arrow.stream"
READY_SECONDS = 300.0


class Server:
    """A running service: its address, its log, its process."""

    def __init__(
        self, process: subprocess.Popen[bytes] | Forked, scheme: str = "http", context: ssl.SSLContext | None = None
    ) -> None:
        self.process = process
        self._scheme, self._context = scheme, context
        self.log: list[dict[str, Any]] = []
        self.port = 0
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError:
                entry = {"event": "not json", "line": line.decode(errors="replace")}
            self.log.append(entry)
            if entry["event"] == "listening":
                self.port = entry["port"]
                self._listening.set()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=self._context or True)

    @property
    def memory_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def wait_listening(self) -> None:
        assert self._listening.wait(READY_SECONDS), self.log

    def wait_ready(self) -> None:
        self.wait_listening()
        deadline = time.monotonic() + READY_SECONDS
        with self.client() as client:
            while client.get("/readyz").status_code != 200:
                assert time.monotonic() < deadline, self.log
                assert self.process.poll() is None, self.log
                time.sleep(0.02)  # between two looks at a condition

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, keyed as it is written: name, or name{label="value"}."""
        with self.client() as client:
            text = client.get("/metrics").text
        samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Looks at a condition until it holds; fails after so many seconds. Returns how long it took."""
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < seconds, (self.metrics(), self.log[-3:])
            time.sleep(0.01)  # between two looks
        return time.monotonic() - start

    def stop(self) -> int:
        """Asks the process to end, and waits for it: its exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        """Makes sure the process is gone."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextmanager
def running(
    ready: bool = True,
    variables: dict[str, str] | None = None,
    scheme: str = "http",
    context: ssl.SSLContext | None = None,
    fresh: bool = False,
    **settings: object,
) -> Iterator[Server]:
    """A service with these settings (SEGSERVE_ names in lower case) and environment variables, ended with the block.

    `scheme` and `context` are how the tests talk to it where it serves TLS. `fresh` starts `python -m service`, which
    takes four seconds of CPU; else the service is forked from a process that has it loaded.
    """
    environment = {**os.environ, "SEGSERVE_PORT": "0", "PYTHONWARNINGS": "error::UserWarning", **(variables or {})}
    environment |= {f"SEGSERVE_{name.upper()}": str(value) for name, value in settings.items()}
    process = _started(environment) if fresh or not ready else Forked(environment)
    server = Server(process, scheme, context)
    try:
        server.wait_ready() if ready else server.wait_listening()
        yield server
    finally:
        server.close()


def _started(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    root, command = Path(__file__).resolve().parents[2], [sys.executable, "-m", "service"]
    return subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def stream_of(table: pa.Table, metadata: dict[bytes, bytes] | None = None, max_rows: int | None = None) -> bytes:
    """The table as an Arrow IPC stream."""
    if metadata:
        table = table.replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=max_rows)
    return sink.getvalue().to_pybytes()


def table_of(reply: httpx.Response) -> pa.Table:
    """The reply's rows."""
    assert reply.status_code == 200, reply.text
    return pa.ipc.open_stream(reply.content).read_all()
