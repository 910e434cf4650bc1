"""A service of one's own to send things to: started as `python -m service`, stopped at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx

__all__ = ["Running", "running_server"]

START_SECONDS = 300
"""The first start on a machine compiles the kernels."""


class Running(NamedTuple):
    """A service that is ready."""

    url: str
    pid: int


@contextlib.contextmanager
def running_server(log: Path, *module: str, **settings: str) -> Iterator[Running]:
    """A service on a free port, its log in a file; `settings` are SEGSERVE_ variables without the prefix.

    `module` and its arguments are started instead of `service`: something that answers /readyz and reads the same
    settings.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"HOST": "127.0.0.1", "PORT": str(port), "LOG_LEVEL": "info", **settings}
    environment = os.environ | {f"SEGSERVE_{name}": value for name, value in variables.items()}
    with log.open("wb") as output:
        command = [sys.executable, "-m", *(module or ("service",))]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, process, log)
        yield Running(url, process.pid)
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
