"""Peak memory of the service: the same for 10 and 40 million rows of the same customers.

python -m loadtests.memory [--customers N] [--rows N N] [--orders N]
"""

from __future__ import annotations

import argparse
import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa

from loadtests.datasets import FOLDER
from loadtests.generate import transactions
from loadtests.server import running_server

__all__ = ["Peak", "measure"]

ARROW = "application/vnd.apache.arrow.stream"
MB = 1e6


class Peak(NamedTuple):
    """What one upload took: bytes after start, at peak, seconds, customers in the reply."""

    idle_bytes: int
    peak_bytes: int
    seconds: float
    customers: int


class _Sink:
    """A file for the stream writer whose pieces can be taken out."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: pa.Buffer) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None:
        self.closed = True


def stream(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """An Arrow IPC stream, a piece per batch."""
    sink = _Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield b"".join(sink.pieces)
            sink.pieces.clear()
    yield b"".join(sink.pieces)


def _high_water(pid: int) -> int:
    """The most memory the process ever had resident, in bytes, as the kernel counts it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no VmHWM in /proc/{pid}/status")


def measure(n_rows: int, n_customers: int, n_orders: int | None) -> Peak:
    """Uploads the rows in chunks to a fresh service, reads the whole reply, and asks the kernel for the peak."""
    query = "occasion=row" if n_orders is None else "occasion=order"
    with running_server(FOLDER / "service.log") as server:
        idle = _high_water(server.pid)
        started = time.perf_counter()
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
        body = stream(*transactions(n_rows, n_customers, n_orders=n_orders))
        headers = {"Content-Type": ARROW, "Transfer-Encoding": "chunked"}
        connection.request("POST", f"/v1/segment?{query}", body, headers, encode_chunked=True)
        reply = connection.getresponse()
        if reply.status != http.client.OK:
            raise SystemExit(reply.read().decode())
        customers = sum(batch.num_rows for batch in pa.ipc.open_stream(reply))
        return Peak(idle, _high_water(server.pid), time.perf_counter() - started, customers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000_000, 40_000_000])
    parser.add_argument("--orders", type=int, default=2_000_000, help="distinct orders of the second table")
    args = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with running_server(FOLDER / "service.log"):
        pass  # compiling the kernels takes memory too: every measured service loads them from the cache
    print(f"{args.customers:,} customers, chunked upload, whole reply read; peak is the process's VmHWM")
    for occasion, orders in (("row", None), ("order", args.orders)):
        print(f"occasion={occasion}" + (f", {orders:,} orders" if orders else ""))
        peaks = []
        for n_rows in args.rows:
            peak = measure(n_rows, args.customers, orders)
            peaks.append(peak.peak_bytes)
            print(
                f"  {n_rows:>12,} rows: idle {peak.idle_bytes / MB:6.0f} MB, peak {peak.peak_bytes / MB:6.0f} MB, "
                f"{peak.seconds:6.1f} s, {peak.customers:,} customers",
                flush=True,
            )
        print(f"  largest / smallest peak: {max(peaks) / min(peaks):.3f}")


if __name__ == "__main__":
    main()
