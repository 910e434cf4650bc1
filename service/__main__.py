"""`python -m service`: one process, one event loop, a team of compute threads."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from pydantic import ValidationError

from service.app import create_app
from service.exposure import complaint
from service.logs import configure, log
from service.protocol import Protocol
from service.settings import Settings, unknown_variables

__all__ = ["main", "serve"]


class _Server(uvicorn.Server):
    """uvicorn, ending with exit code 0 after a graceful shutdown instead of dying of the signal it was sent."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _log_started_message(self, listeners) -> None:  # type: ignore[no-untyped-def]
        host, port = listeners[0].getsockname()[:2]
        log.info("listening", extra={"fields": {"host": host, "port": port}})


def serve(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code: 2 where the settings contradict each other."""
    wrong = complaint(settings)
    if wrong is not None:
        print(wrong, file=sys.stderr)
        return 2
    logging_config = configure(settings.log_level)
    app = create_app(settings)
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=logging_config,
            access_log=False,
            server_header=False,
            http=Protocol,
            lifespan="on",
            timeout_keep_alive=settings.keep_alive_seconds,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
    )
    server.run()
    if not server.started:
        return 3
    if not app.state.segserve.ready:
        # Perhaps still compiling, in a thread that the interpreter would wait for. No request was accepted, and Numba
        # renames its cache files into place, so none is left half written.
        logging.shutdown()
        os._exit(0)
    return 0


def main() -> int:
    """Reads SEGSERVE_* variables and serves; says which one is wrong."""
    for unknown in unknown_variables(os.environ):
        print(unknown, file=sys.stderr)
        return 2
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            print(f"SEGSERVE_{name}={problem['input']}: {problem['msg']}", file=sys.stderr)
        return 2
    return serve(settings)


if __name__ == "__main__":
    sys.exit(main())
