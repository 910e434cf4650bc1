"""The application: a visible table of routes, handlers, and the lifespan that compiles the kernels."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import Depends, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.routing import Route

from proto.audience import AudienceOptions
from proto.bundle import dump_any
from proto.errors import ErrorCode, RequestError, problem
from proto.options import FitOptions, ScoreOptions, SegmentOptions
from service import telemetry
from service.endpoints import Endpoint
from service.memory import Leftovers
from service.models import told_of
from service.openapi import add_endpoints
from service.pulse import Pulse
from service.quick.direct import PATH, Direct
from service.readiness import start_getting_ready
from service.refusals import refusal_headers
from service.schemes.catalogue import told
from service.settings import Settings
from service.state import State

__all__ = ["create_app"]

TITLE = "segserve"
VERSION = "0.1.0"
DESCRIPTION = "Transactions in, customer segments and value scores out. The wire contract: proto/README.md."


class App(FastAPI):
    """FastAPI, with the endpoints that compute called before its middleware and router, which cost 30 µs a request."""

    endpoints: dict[tuple[str, str], Endpoint]
    """Empty while requests are traced: FastAPI traces what goes through it."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        endpoint = self.endpoints.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await super().__call__(scope, receive, send)
        else:
            await endpoint(scope, receive, send)


def create_app(settings: Settings) -> FastAPI:
    """The service with these settings; it answers /healthz at once and computes once /readyz says so."""
    state = State.of(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        getting_ready = start_getting_ready(state)
        chores = state.gate.keys.refresh, state.certificates.refresh, state.backlog.tell, Leftovers().look
        pulse = Pulse(state.metrics.loop_lag, *chores)
        pulse.start()
        state.watch.start()
        score = app.endpoints.get(("POST", PATH))
        direct = None if score is None else Direct(state, score.ledger)
        # For the connections: see protocol.py.
        yield {"watch": state.watch, "backlog": state.backlog, "direct": direct}
        state.watch.stop()
        pulse.stop()
        state.ended.set()
        if not getting_ready.is_alive():
            state.close()

    app = App(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        telemetry=telemetry.options(settings),
    )
    app.state.segserve = state
    app.endpoints = {}
    for kind in (SegmentOptions, FitOptions, ScoreOptions, AudienceOptions):
        path, endpoint = f"/v1/{kind.name}", Endpoint(kind, state)
        if not settings.telemetry:
            app.endpoints["POST", path] = endpoint
        app.router.routes.append(Route(path, endpoint, methods=["POST"]))  # for traces, and other methods: 405
    _add_models(app, state)
    _add_schemes(app)
    _add_operations(app, state)
    app.add_exception_handler(HTTPException, _not_routed)
    app.add_exception_handler(RequestError, _refused)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=TITLE, version=VERSION, description=DESCRIPTION, routes=app.routes)
            app.openapi_schema = add_endpoints(document)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _json(content: Any, status: int = 200, media_type: str = "application/json", **headers: str) -> Response:
    return Response(orjson.dumps(content, default=str), status, headers=headers, media_type=media_type)


def _refusal(error: RequestError, **headers: str) -> Response:
    told = {name.decode(): value.decode() for name, value in refusal_headers(error)}
    return _json(problem(error), error.status, "application/problem+json", **told, **headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    request.app.state.segserve.metrics.count_error(error)
    return _refusal(error)


def _add_models(app: FastAPI, state: State) -> None:
    async def let_in(request: Request) -> None:
        state.gate.enter(dict(request.headers.raw))

    keyed = [Depends(let_in)]

    @app.get("/v1/models", summary="The models this replica was started with", tags=["models"], dependencies=keyed)
    async def models() -> Response:
        return _json({"models": [{"name": name, **told_of(model)} for name, model in state.models]})

    @app.get("/v1/models/{name}", summary="One model, by name or id", tags=["models"], dependencies=keyed)
    async def one_model(name: str) -> Response:
        return Response(dump_any(state.models.get(name)), media_type="application/json")


def _add_schemes(app: FastAPI) -> None:
    listed = orjson.dumps({"schemes": told()})

    @app.get("/v1/schemes", summary="The value schemes: what each asks, needs and says", tags=["segmentation"])
    async def schemes() -> Response:
        return Response(listed, media_type="application/json")


def _add_operations(app: FastAPI, state: State) -> None:
    @app.get("/healthz", summary="The process is alive", tags=["operations"])
    async def healthz() -> Response:
        return _json({"status": "alive"})

    @app.get("/readyz", summary="Every kernel is compiled and the models are read", tags=["operations"])
    async def readyz() -> Response:
        if state.gate.draining:
            return _json({"status": "draining"}, 503)
        if state.ready:
            return _json({"status": "ready"})
        if state.failure is not None:
            return _json({"status": "failed", "reason": state.failure}, 503)
        return _json({"status": "starting"}, 503)

    @app.get("/metrics", summary="Prometheus metrics", tags=["operations"])
    async def metrics(request: Request) -> Response:
        state.gate.enter_metrics(dict(request.headers.raw))
        return Response(state.metrics.exposition(), media_type="text/plain; version=1.0.0; charset=utf-8")


async def _not_routed(request: Request, error: Exception) -> Response:
    """404 and 405 as problems, naming what there is."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if "x-request-id" in request.headers:
        headers["X-Request-ID"] = request.headers["x-request-id"]
    if error.status_code == 405:
        allowed = headers.get("Allow", headers.get("allow", ""))
        refusal = RequestError(
            ErrorCode.METHOD_NOT_ALLOWED,
            f"{request.url.path} does not answer {request.method}; it answers {allowed}.",
            found=request.method,
            wanted=allowed.split(", "),
        )
    else:
        refusal = RequestError(
            ErrorCode.NOT_FOUND,
            f"There is nothing at {request.url.path}; /docs lists the addresses.",
            found=request.url.path,
        )
    return _refusal(refusal, **headers)
