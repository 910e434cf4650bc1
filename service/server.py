"""uvicorn with an end in steps: readiness falls, new requests are refused while accepted ones finish, then all closes.

After the first SIGTERM or SIGINT /readyz says `draining` and requests are still taken for `drain_seconds`, each reply
closing its connection, so that clients go over to other replicas one by one. Then whoever comes is told to go
elsewhere (503), until the requests that were accepted have their answers. Only then the connections are closed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from service.gate import Gate
from service.logs import log
from service.protocol import Protocol

__all__ = ["Connection", "Server"]

CUT_SECONDS = 1  # for requests that are cut at the end to notice it
EXIT_CUT = 1
HANDLES = 64
"""Of the listening socket: the event loop accepts one connection of each per round, and a round may take 50 ms."""


class Connection(Protocol):
    """A connection that closes with its next reply once the end has begun."""

    def __init__(self, config: uvicorn.Config, *arguments: Any, **named: Any) -> None:
        super().__init__(config, *arguments, **named)
        self._gate: Gate = config.app.state.segserve.gate  # type: ignore[union-attr]

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._gate.draining:
            self.cycle.keep_alive = False

    def abort(self) -> bool:
        """Cuts the connection where a request is being answered; whether it did."""
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy:
            self.transport.abort()
        return busy


class Server(uvicorn.Server):
    """One process's server. `n_cut` requests had no answer when `shutdown_seconds` were over."""

    def __init__(self, config: uvicorn.Config, gate: Gate, *, drain_seconds: float, shutdown_seconds: float) -> None:
        super().__init__(config)
        self._gate = gate
        self._drain_seconds, self._shutdown_seconds = drain_seconds, shutdown_seconds
        self._drained_at = 0.0
        self.n_cut = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's, with further handles of the listening socket, so that callers who connect wait for few rounds."""
        await super().startup(sockets)
        loop, config = asyncio.get_running_loop(), self.config
        make = partial(Connection, config, self.server_state, self.lifespan.state)
        for listener in [listener for server in self.servers for listener in server.sockets]:
            for _ in range(HANDLES - 1):
                handle = socket.socket(fileno=os.dup(listener.fileno()))
                self.servers.append(await loop.create_server(make, sock=handle, ssl=config.ssl, backlog=config.backlog))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's own, the process does not die of the signal afterwards: it ends with an exit code."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the end, a second one is it."""
        if self._gate.draining:
            log.warning("ended at once by a second signal")
            logging.shutdown()
            os._exit(EXIT_CUT)
        self._gate.draining = True
        self._drained_at = time.monotonic() + self._drain_seconds
        log.info("draining", extra={"fields": {"drain_seconds": self._drain_seconds}})
        if not self.started or self._drain_seconds == 0:
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self._gate.draining and time.monotonic() >= self._drained_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Waits for the accepted requests, refusing new ones; then closes everything."""
        deadline = time.monotonic() + self._shutdown_seconds
        self._gate.draining = self._gate.closed = True
        accepted = set(self.server_state.tasks)
        log.info("finishing", extra={"fields": {"requests": len(accepted)}})
        if accepted:
            await asyncio.wait(accepted, timeout=self._shutdown_seconds)
        left = max(0.0, deadline - time.monotonic())
        if any(not task.done() for task in accepted):
            # Their clients see a broken connection, never an answer that looks whole.
            self.n_cut = sum(
                link.abort() for link in list(self.server_state.connections) if isinstance(link, Connection)
            )
            log.error("requests cut", extra={"fields": {"requests": self.n_cut}})
            self.force_exit = True
            left = CUT_SECONDS
        self.config.timeout_graceful_shutdown = max(CUT_SECONDS, int(left))
        await super().shutdown(sockets)

    def _log_started_message(self, listeners) -> None:  # type: ignore[no-untyped-def]
        host, port = listeners[0].getsockname()[:2]
        log.info("listening", extra={"fields": {"host": host, "port": port, "tls": self.config.is_ssl}})
