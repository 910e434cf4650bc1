"""The upload path alone: the service receives, frames and drops a large body, against a plain uvloop socket."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from loadtests.bench.apps import DROPPED_STATUS
from loadtests.bench.arrow_client import ARROW, stream_bytes
from loadtests.bench.data import customer_indices, transactions_table
from loadtests.bench.rows import OURS, Row, at_least
from loadtests.bench.sizes import Sizes
from loadtests.bench.timing import interleaved, spread
from loadtests.datasets import FOLDER
from loadtests.server import running_server
from service.threads import ThreadTeam

__all__ = ["run"]

RAW = "raw uvloop socket"
ROW_BYTES = 24
PATIENCE_SECONDS = 20


@contextlib.contextmanager
def _raw_sink() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-m", "loadtests.bench.raw_sink"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def run(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    rows = sizes.upload_bytes // ROW_BYTES
    body = stream_bytes(transactions_table(customer_indices(rows, max(1, rows // 10))))
    FOLDER.mkdir(exist_ok=True)
    with running_server(FOLDER / "bench-upload.log", "loadtests.bench.apps", "upload") as server, _raw_sink() as port:
        http = socket.create_connection(tuple(urlsplit(server.url).netloc.split(":")), PATIENCE_SECONDS)
        raw = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        head = f"POST /v1/fit HTTP/1.1\r\nhost: bench\r\ncontent-type: {ARROW}\r\ncontent-length: {len(body)}\r\n\r\n"
        with http, raw:
            found = interleaved(
                {OURS: lambda _: _over_http(http, head.encode(), body), RAW: lambda _: _over_raw(raw, body)},
                2 * sizes.rounds,
            )
    yield at_least(
        "upload/path",
        "upload path alone: received, framed, handed over, dropped",
        f"{len(body) / 2**20:,.0f} MiB Arrow stream",
        "GB/s",
        {name: spread(rates) for name, rates in found.items()},
        RAW,
        0.5,
        rounds=2 * sizes.rounds,
        note="one connection, kept alive; the sender is a blocking socket on the same cores",
    )


def _over_http(connection: socket.socket, head: bytes, body: memoryview) -> float:
    start = time.perf_counter()
    connection.sendall(head)
    connection.sendall(body)
    answer = connection.recv(65_536)
    seconds = time.perf_counter() - start
    assert answer.startswith(f"HTTP/1.1 {DROPPED_STATUS}".encode()), answer
    _read_rest(connection, answer)
    return len(body) / seconds / 1e9


def _read_rest(connection: socket.socket, answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65_536)


def _over_raw(connection: socket.socket, body: memoryview) -> float:
    start = time.perf_counter()
    connection.sendall(len(body).to_bytes(8, "little"))
    connection.sendall(body)
    assert connection.recv(1) == b"."
    return len(body) / (time.perf_counter() - start) / 1e9
