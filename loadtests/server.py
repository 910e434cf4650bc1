"""A service of one's own to send things to: started as `python -m service`, stopped at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx

__all__ = ["CLIENT", "Running", "Service", "running_server"]

CLIENT = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=60)
"""For a request now and then: no connection stays open, and TLS is set up once (it takes longer than a request)."""
START_SECONDS = 600
"""The first start on a machine compiles the kernels."""


class Running(NamedTuple):
    """A service that is ready."""

    url: str
    pid: int

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


class Service:
    """One process of the service on a free port, its log in a file.

    `settings` are SEGSERVE_ variables without the prefix, `environment` other variables. `module` and its arguments are
    started instead of `service`: something that answers /readyz and reads the same settings. `before` is a command
    that runs the rest of its command line.
    """

    def __init__(
        self,
        log: Path,
        *module: str,
        environment: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        stdout: int | None = None,
        **settings: str,
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        variables = {"HOST": "127.0.0.1", "PORT": str(port), "LOG_LEVEL": "info", **settings}
        environment = {**os.environ, **(environment or {})}
        environment |= {f"SEGSERVE_{name}": value for name, value in variables.items()}
        self.url, self.log = f"http://127.0.0.1:{port}", log
        command = [*before, sys.executable, "-m", *(module or ("service",))]
        self.started = time.monotonic()
        with log.open("wb") as output:
            place = output if stdout is None else stdout
            self.process = subprocess.Popen(command, env=environment, stdout=place, stderr=place)

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_ready(self) -> float:
        """Waits until /readyz says so; returns the seconds since the start, or exits with the end of the log."""
        for _ in range(START_SECONDS * 20):
            with contextlib.suppress(httpx.TransportError):
                if CLIENT.get(f"{self.url}/readyz").status_code == httpx.codes.OK:
                    return time.monotonic() - self.started
            if self.process.poll() is not None:
                sys.exit(f"The service did not start; the end of {self.log}:\n{self._tail()}")
            time.sleep(0.05)
        sys.exit(f"The service was not ready after {START_SECONDS} s; the end of {self.log}:\n{self._tail()}")

    def stop(self, patience_seconds: float = 30) -> int:
        """Asks it to end, and kills it when it does not; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _tail(self) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-20:])


@contextlib.contextmanager
def running_server(log: Path, *module: str, **settings: str) -> Iterator[Running]:
    """A service that is ready, as `Service` starts it."""
    service = Service(log, *module, **settings)
    try:
        service.wait_ready()
        yield Running(service.url, service.pid)
    finally:
        service.stop()
