"""The three endpoints that compute, as bare ASGI: admit, take the body, compute in workers, answer.

A small body is taken whole; scoring it runs in place, because a thread hop costs more than the work. A large one is
framed as it arrives and worked on piece by piece, one piece in a worker while the next one is on the wire.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import orjson

from proto.errors import ErrorCode, RequestError, problem
from proto.media import Media, media_of, negotiate
from proto.options import FitOptions, ScoreOptions, SegmentOptions, parse_options
from service.admission import RETRY_AFTER_SECONDS
from service.exchange import ClientGone, Exchange
from service.logs import log
from service.memory import give_back
from service.metrics import StageTimer
from service.pipeline import Options
from service.state import State
from service.work import Cancelled, Work

__all__ = ["Endpoint", "problem_response"]

PROBLEM_TYPE = b"application/problem+json"
SMALL_REPLY_BYTES = 1 << 20
LARGE_BYTES, LARGE_ROWS = 8 << 20, 200_000  # requests after which freed memory is given back

T = TypeVar("T")


@functools.lru_cache(maxsize=1024)
def _options(kind: type[Options], query: bytes) -> Options:
    """Options of a query string; callers repeat the same few."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace")
    return parse_options(kind, pairs)


async def problem_response(exchange: Exchange, error: RequestError, *, close: bool = False) -> None:
    """Answers with the problem; `close` where the rest of the body was not read."""
    body = orjson.dumps(problem(error, exchange.request_id), default=str)
    headers: list[tuple[bytes, bytes]] = []
    if error.status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
    if close:
        headers.append((b"connection", b"close"))
    await exchange.respond(error.status, body, PROBLEM_TYPE, *headers)


class Endpoint:
    """`POST /v1/segment`, `/v1/fit` or `/v1/score`, after its options."""

    def __init__(self, kind: type[SegmentOptions] | type[FitOptions] | type[ScoreOptions], state: State) -> None:
        self.name = kind.name
        self._kind: type[Options] = kind
        self._state = state
        self._producible = (Media.JSON,) if kind is FitOptions else (Media.ARROW, Media.JSON, Media.CSV)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        exchange = Exchange(scope, receive, send)
        timer = StageTimer()
        facts: dict[str, Any] = {}
        outcome = "failed"
        try:
            with self._state.admission.place():
                try:
                    await self._answer(scope, exchange, timer, facts)
                except BaseException as error:
                    _let_go(error)
                    raise
            outcome = "ok"
        except RequestError as error:
            outcome = "rejected" if error.status == 503 else "failed" if error.status >= 500 else "refused"
            facts |= {"code": str(error.code), "detail": error.detail}
            self._state.metrics.errors.labels(str(error.code)).inc()
            if exchange.started:
                raise  # the server closes the connection: a cut reply is told from a whole one
            outcome = await self._refuse(exchange, error, outcome)
        except (ClientGone, Cancelled):
            outcome = "disconnected"
        except Exception:
            log.exception(
                "request failed", extra={"fields": {"request_id": exchange.request_id, "endpoint": self.name}}
            )
            if exchange.started:
                raise
            failure = RequestError(
                ErrorCode.INTERNAL, "The service failed on this request; its log has the reason under the request id."
            )
            self._state.metrics.errors.labels(str(failure.code)).inc()
            await self._refuse(exchange, failure, outcome)
        finally:
            self._record(exchange, timer, facts, outcome)
            if exchange.received_bytes >= LARGE_BYTES or facts.get("rows_in", 0) >= LARGE_ROWS:
                asyncio.get_running_loop().run_in_executor(None, give_back)

    async def _refuse(self, exchange: Exchange, error: RequestError, outcome: str) -> str:
        try:
            goes_on = await exchange.drain()
        except ClientGone:
            return "disconnected"
        await problem_response(exchange, error, close=not goes_on)
        return outcome

    async def _answer(
        self, scope: dict[str, Any], exchange: Exchange, timer: StageTimer, facts: dict[str, Any]
    ) -> None:
        state = self._state
        if not state.ready:
            raise _not_ready(state.failure)
        options = _options(self._kind, scope["query_string"])
        media_in = media_of(exchange.header(b"content-type"))
        media_out = negotiate(exchange.header(b"accept"), media_in, self._producible)
        length = exchange.content_length
        work = Work(
            options,
            media_in,
            exchange.header(b"content-encoding"),
            store=state.models,
            limits=state.settings.limits,
            team=state.team,
            timer=timer,
            expected_bytes=length,
        )
        try:
            small = length is not None and length <= state.settings.small_body_bytes
            if small and isinstance(options, ScoreOptions):
                await self._in_place(exchange, work, media_out, timer, facts)
            else:
                await self._in_workers(exchange, work, media_out, timer, facts, small=small)
        finally:
            facts["rows_in"] = work.rows_in
            work.close()

    async def _in_place(
        self, exchange: Exchange, work: Work, media_out: Media, timer: StageTimer, facts: dict[str, Any]
    ) -> None:
        with timer.stage("receive"):
            body = await exchange.body()
        work.take_whole(body)
        outcome = work.finish()
        facts["customers_out"] = outcome.customers_out
        pieces = list(work.reply(outcome, media_out))
        await exchange.respond(200, b"".join(pieces), media_out.encode(), (b"server-timing", timer.header()))

    async def _in_workers(
        self,
        exchange: Exchange,
        work: Work,
        media_out: Media,
        timer: StageTimer,
        facts: dict[str, Any],
        *,
        small: bool,
    ) -> None:
        run = functools.partial(self._state.admission.run, timer)
        if small:
            with timer.stage("receive"):
                body = await exchange.body()
            await run(functools.partial(work.take_whole, body))
        else:
            await self._upload(exchange, work, timer, run)
        async with _Watch(exchange, work):
            outcome = await run(work.finish)
            facts["customers_out"] = outcome.customers_out
            await self._send(exchange, work.reply(outcome, media_out), media_out, timer, run)

    async def _upload(self, exchange: Exchange, work: Work, timer: StageTimer, run: Callable[..., Any]) -> None:
        """Feeds the body to the work: at most one piece in a worker, one ready, one on the wire."""
        busy: asyncio.Task[None] | None = None
        try:
            async for chunk in exchange.chunks():
                for piece in work.feed(chunk):
                    if busy is not None:
                        await busy
                    busy = asyncio.create_task(run(functools.partial(work.take, piece)))
            for piece in work.end():
                if busy is not None:
                    await busy
                busy = asyncio.create_task(run(functools.partial(work.take, piece)))
            if busy is not None:
                await busy
        except BaseException:
            work.cancel()
            if busy is not None:
                await asyncio.wait([busy])
                if not busy.cancelled():
                    busy.exception()  # seen: the first error is the one that is told
            raise

    async def _send(
        self, exchange: Exchange, pieces: Iterator[bytes], media_out: Media, timer: StageTimer, run: Callable[..., Any]
    ) -> None:
        """Sends the reply as it is encoded; one that fits into a few pieces is sent whole, with its length."""
        ahead: list[bytes] = []
        size = 0
        while size < SMALL_REPLY_BYTES:
            piece = await run(functools.partial(next, pieces, None))
            if piece is None:
                timing = (b"server-timing", timer.header())
                await exchange.respond(200, b"".join(ahead), media_out.encode(), timing)
                return
            ahead.append(piece)
            size += len(piece)
        headers = [(b"content-type", media_out.encode()), (b"server-timing", timer.header())]
        await exchange.start(200, headers)
        for piece in ahead:
            with timer.stage("send"):
                await exchange.send(piece, more=True)
        del ahead
        while (piece := await run(functools.partial(next, pieces, None))) is not None:
            with timer.stage("send"):
                await exchange.send(piece, more=True)
        await exchange.send(b"", more=False)

    def _record(self, exchange: Exchange, timer: StageTimer, facts: dict[str, Any], outcome: str) -> None:
        metrics, name = self._state.metrics, self.name
        metrics.requests.labels(name, outcome).inc()
        metrics.received.labels(name).inc(exchange.received_bytes)
        metrics.sent.labels(name).inc(exchange.sent_bytes)
        metrics.rows.labels(name).inc(facts.get("rows_in", 0))
        metrics.customers.labels(name).inc(facts.get("customers_out", 0))
        metrics.observe(name, timer)
        if self._state.settings.access_log and log.isEnabledFor(logging.INFO):
            stages = {f"{stage}_seconds": round(seconds, 6) for stage, seconds in timer.seconds.items()}
            fields = {
                "request_id": exchange.request_id,
                "endpoint": name,
                "outcome": outcome,
                "status": exchange.status,
                "received_bytes": exchange.received_bytes,
                "sent_bytes": exchange.sent_bytes,
                **facts,
                **stages,
                "total_seconds": round(timer.elapsed(), 6),
            }
            log.info("request", extra={"fields": fields})


def _not_ready(failure: str | None) -> RequestError:
    if failure is not None:
        return RequestError(ErrorCode.NOT_READY, f"The service could not start. {failure}")
    return RequestError(ErrorCode.NOT_READY, "The kernels are still being compiled; try again in a second.")


def _let_go(error: BaseException) -> None:
    """Empties the frames an error came through: future and error refer to each other there, and what those frames
    hold, all the customers of a request, would stay until the next garbage collection."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__


class _Watch:
    """While it is open, a client that goes away cancels the work, and the caller gets ClientGone."""

    def __init__(self, exchange: Exchange, work: Work) -> None:
        self._exchange, self._work = exchange, work
        self._gone = False

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        if await self._exchange.gone():
            self._gone = True
            self._work.cancel()

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._gone and (error is None or isinstance(error, Cancelled)):
            raise ClientGone from error
