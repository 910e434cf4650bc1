"""`make demo`: start the service, send it real transactions as an Arrow stream, print its segments.

python -m loadtests.demo [completejourney | cdnow | FILE] [--columns name:column,…] [any option of the service]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from loadtests.datasets import DATASETS, FOLDER, fetch

__all__ = ["running_server"]

START_SECONDS = 300
"""The first start on a machine compiles the kernels."""


@contextlib.contextmanager
def running_server(log: Path, **settings: str) -> Iterator[str]:
    """A server on a free port, as `python -m service` starts it; gives its address once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"HOST": "127.0.0.1", "PORT": str(port), "LOG_LEVEL": "info", **settings}
    environment = os.environ | {f"SEGSERVE_{name}": value for name, value in variables.items()}
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "service"], env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, process, log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(START_SECONDS * 20):
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return
        if process.poll() is not None:
            sys.exit(f"The service did not start; the end of {log}:\n{_tail(log)}")
        time.sleep(0.05)
    sys.exit(f"The service was not ready after {START_SECONDS} s; the end of {log}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "data", nargs="?", default="completejourney", help="completejourney, cdnow, or a file or folder"
    )
    parser.add_argument("--columns", default="", help="your column names: customer_id:household_id,…")
    args, options = parser.parse_known_args()
    FOLDER.mkdir(exist_ok=True)
    if args.data in DATASETS:
        dataset = DATASETS[args.data]
        print(f"{dataset.title}.")
        file, columns = fetch(args.data), args.columns or dataset.columns
    else:
        file, columns = Path(args.data), args.columns
    out = FOLDER / f"{file.stem}-segments.parquet"
    flags = ["segment", str(file), "--out", str(out), *(["--columns", columns] if columns else []), *options]
    started = time.perf_counter()
    print("Starting the service (the first time it compiles its kernels, for a minute or two) …", flush=True)
    with running_server(FOLDER / "service.log") as url:
        print(f"Ready after {time.perf_counter() - started:.1f} s.", flush=True)
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "service.cli", *flags, "--url", url])
        seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.returncode)
    print(
        f"{file.stat().st_size / 1e6:,.1f} MB read, sent, segmented and written in {seconds:.1f} s."
        if file.is_file()
        else ""
    )
    command = os.path.relpath(Path(sys.executable).parent / "segserve")
    print(f"The same without a server: {command} {shlex.join(flags)}")


if __name__ == "__main__":
    main()
