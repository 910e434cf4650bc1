"""Servers to compare with, under the service's own uvicorn settings: an echo, uploads dropped, and pandas.

python -m loadtests.bench.apps echo | upload | pandas   (settings: SEGSERVE_*, as for the service)
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import service.__main__ as server
from proto.errors import ErrorCode, RequestError
from service import endpoints
from service.api_keys import ApiKeys
from service.gate import Gate
from service.settings import Settings
from service.tls import Certificates
from service.work import Work

__all__ = ["DROPPED_STATUS"]

DROPPED_STATUS = 422


async def lifespan(receive: Any, send: Any) -> None:
    """Answers the server's start and stop."""
    for answer in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
        await receive()
        await send({"type": answer})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """The body back, as bare ASGI: what the server alone costs."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Dropping(Work):
    """Receives, frames and hands over as the service does; what is handed over is dropped."""

    def take(self, piece: Any) -> None: ...

    def finish(self) -> Any:
        raise RequestError(ErrorCode.NO_CUSTOMERS, "Everything was dropped, as the bench wants it.")


def uploads_dropped(settings: Settings) -> Any:
    """The service itself, up to where a piece of a body would be decoded; the request ends with 422."""
    assert endpoints.Work is Work
    endpoints.Work = _Dropping  # type: ignore[misc]
    return server_app(settings)


def pandas_service(settings: Settings) -> Any:
    from loadtests.bench.pandas_service import create_app

    assert settings.models is not None
    return create_app(settings.models)


class _Bare:
    """Another app than the service, with what the server asks of it: certificates, and whether the end has begun."""

    def __init__(self, app: Any, settings: Settings) -> None:
        self._app = app
        asked = SimpleNamespace(gate=Gate(ApiKeys()), ready=True, certificates=Certificates(settings))
        self.state = SimpleNamespace(segserve=asked)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


server_app = server.create_app
APPS = {
    "echo": lambda settings: _Bare(echo, settings),
    "upload": uploads_dropped,
    "pandas": lambda settings: _Bare(pandas_service(settings), settings),
}


def main() -> int:
    """Serves the named app exactly as `python -m service` serves the real one."""
    server.create_app = APPS[sys.argv[1]]
    return server.main()


if __name__ == "__main__":
    sys.exit(main())
