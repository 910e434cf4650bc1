"""The service, forked from a process that has imported it and loaded the kernels: a start then costs a tenth.

It is `python -m service` from its `main` on: a process with its own settings, event loop, threads, log and exit code.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from multiprocessing.connection import Connection
from typing import BinaryIO

__all__ = ["Forked"]

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.wire.preloaded"])


def _serve(environment: dict[str, str], log: Connection) -> None:
    """What the child does."""
    os.dup2(log.fileno(), 2)
    log.close()
    os.environ.clear()
    os.environ.update(environment)
    warnings.filterwarnings("error", category=UserWarning)
    sys.exit(importlib.import_module("service.__main__").main())


class Forked:
    """A running service as `subprocess.Popen` would show it."""

    def __init__(self, environment: dict[str, str]) -> None:
        log, end = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=_serve, args=(environment, end), daemon=True)
        self._process.start()
        end.close()
        self.stderr: BinaryIO = os.fdopen(os.dup(log.fileno()), "rb")
        log.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, less than 0 for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Waits until it has ended: its exit code."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("service", timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
