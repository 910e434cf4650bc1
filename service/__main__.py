"""`python -m service`: one process, one event loop, a team of compute threads."""

from __future__ import annotations

import logging
import os
import sys

import uvicorn
from pydantic import ValidationError

from service import exposure, telemetry, tls
from service.app import create_app
from service.logs import configure
from service.memory import keep_together
from service.server import EXIT_CUT, Connection, Server
from service.settings import Settings, unknown_variables
from service.threads import come_soon

__all__ = ["main", "serve"]

SWITCH_SECONDS = 0.0005
"""After which a thread lets go of the interpreter's lock for the event loop: a tenth of its own time. Beside two
threads in Python code its wake-ups came sooner than with Python's 5 ms in every run; against 1 ms it is a draw."""


def serve(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code.

    0: every accepted request has its answer. 1: some were cut, since `shutdown_seconds` were over or a second signal
    came. 2: the settings contradict each other. 3: the address cannot be listened on.
    """
    wrong = exposure.complaint(settings) or tls.complaint(settings) or telemetry.complaint(settings)
    if wrong is not None:
        print(wrong, file=sys.stderr)
        return 2
    os.environ.setdefault("OTEL_SERVICE_NAME", "segserve")
    logging_config = configure(settings.log_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=logging_config,
        access_log=False,
        server_header=False,
        http=Connection,
        lifespan="on",
        timeout_keep_alive=settings.keep_alive_seconds,
        **app.state.segserve.certificates.options,
    )
    server = Server(
        config,
        app.state.segserve.gate,
        drain_seconds=settings.drain_seconds,
        shutdown_seconds=settings.shutdown_seconds,
    )
    keep_together()
    come_soon()
    server.run()
    if not server.started:
        return 3
    if server.n_cut or not app.state.segserve.ready:
        # The interpreter would wait for threads: those of requests that were cut, or one that still compiles. Numba
        # renames its cache files into place, so none is left half written.
        logging.shutdown()
        os._exit(EXIT_CUT if server.n_cut else 0)
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
