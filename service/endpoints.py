"""The three endpoints that compute, as bare ASGI: admit, take the body, compute in workers, answer.

A small body is taken whole; scoring it runs in place, because a thread hop costs more than the work. A large one, in
the bulk lane, is framed as it arrives and worked on piece by piece, one in a worker while the next is on the wire.
"""

from __future__ import annotations

import asyncio
import functools
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from proto.errors import ErrorCode, RequestError
from proto.framing import Frame
from proto.limits import Limits, over
from proto.media import Media, media_of, negotiate
from proto.options import FitOptions, ScoreOptions, SegmentOptions
from service.admission import BulkPlace, Lane, kept_while_read
from service.exchange import ClientGone, Exchange
from service.ledger import Ledger
from service.logs import log
from service.memory import give_back
from service.metrics import StageTimer
from service.pipeline import Options
from service.refusals import refuse
from service.state import State
from service.work import Cancelled, Work, options_of

__all__ = ["Endpoint"]

SMALL_REPLY_BYTES = 1 << 20
HAND_OVER_BYTES = 4 << 20  # of an upload, to a worker
LARGE_BYTES, LARGE_ROWS = 8 << 20, 200_000  # requests after which freed memory is given back

T = TypeVar("T")


class Endpoint:
    """`POST /v1/segment`, `/v1/fit` or `/v1/score`, after its options."""

    def __init__(self, kind: type[SegmentOptions] | type[FitOptions] | type[ScoreOptions], state: State) -> None:
        self.name = kind.name
        self._kind: type[Options] = kind
        self._state = state
        self.ledger = Ledger(kind.name, state.metrics, logs=state.settings.access_log)
        self._producible = (Media.JSON,) if kind is FitOptions else (Media.ARROW, Media.JSON, Media.CSV)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        exchange = Exchange(scope, receive, send)
        exchange.task = asyncio.current_task()
        timer = StageTimer()
        # Small scores are mostly answered from what is remembered of requests like them (service/quick): 15 times
        # faster, with the same bytes. Whatever is not plain, and all that is wrong, goes the general way. So does what
        # had no answer below ASGI (quick/direct.py): it has passed the gate, and is not tried again.
        tried = exchange.tried
        exchange.key, refusal = tried or self._state.gate.look(exchange.headers)
        if refusal is not None or tried is not None or not await self._answered_quickly(scope, exchange, timer):
            await self._answer_in_general(scope, exchange, timer, refusal)

    async def _answered_quickly(self, scope: dict[str, Any], exchange: Exchange, timer: StageTimer) -> bool:
        """Answers what the quick path knows; False, with nothing sent, for everything else."""
        quick = self._state.quick if self._kind is ScoreOptions else None
        length, headers = exchange.content_length, exchange.headers
        if quick is None or length is None or length > self._state.settings.small_body_bytes:
            return False
        key = scope["query_string"], headers.get(b"content-type", b""), headers.get(b"accept", b"")
        route = quick.route(key)
        if route is None or b"content-encoding" in headers or not self._state.admission.try_enter():
            return False
        try:
            with timer.stage("receive"):
                body = await exchange.ready_body()
                if body is None:  # it takes its time
                    with self._state.budget.reservation() as memory:
                        memory.set("body", length)
                        body = await exchange.body()
            reply = quick.answer(route, body)
            if reply is None:
                return False
            timer.seconds |= reply.seconds
            await exchange.respond(200, reply.body, reply.media, (b"server-timing", timer.header()))
        except (ClientGone, RequestError):
            return False  # the general path notices as well, and tells
        except asyncio.CancelledError:
            if exchange.was_ended():
                return False
            raise
        except BaseException as error:
            if isinstance(error, Exception) and not exchange.started:
                log.exception("quick path failed", extra={"fields": {"request_id": exchange.request_id}})
                return False  # the general path may still have the answer
            self._record(exchange, timer, {}, "failed")
            raise
        finally:
            self._state.admission.leave()
        facts = {"rows_in": reply.rows_in, "customers_out": reply.customers_out}
        self._record(exchange, timer, facts, "ok")
        return True

    async def _answer_in_general(
        self, scope: dict[str, Any], exchange: Exchange, timer: StageTimer, refusal: RequestError | None
    ) -> None:
        facts: dict[str, Any] = {}
        outcome = "failed"
        try:
            if refusal is not None:
                raise refusal
            with self._state.admission.place():
                try:
                    exchange.check()
                    await self._answer(scope, exchange, timer, facts)
                except BaseException as error:
                    _let_go(error)
                    if isinstance(error, asyncio.CancelledError) and exchange.was_ended():
                        exchange.check()
                    raise
            outcome = "ok"
        except RequestError as error:
            outcome = "rejected" if error.status == 503 else "failed" if error.status >= 500 else "refused"
            facts |= {"code": str(error.code), "detail": error.detail}
            self._state.metrics.count_error(error)
            if exchange.started:
                raise  # the server closes the connection: a cut reply is told from a whole one
            await self._refuse(exchange, error)
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
            self._state.metrics.count_error(failure)
            await self._refuse(exchange, failure)
        finally:
            self._record(exchange, timer, facts, outcome)
            if exchange.received_bytes >= LARGE_BYTES or facts.get("rows_in", 0) >= LARGE_ROWS:
                asyncio.get_running_loop().run_in_executor(None, give_back)

    async def _refuse(self, exchange: Exchange, error: RequestError) -> None:
        if error.code is ErrorCode.TIMEOUT:  # it sends too slowly to be waited for
            await refuse(exchange, error, may_drain=False)
            return
        with self._state.admission.drain_place() as may_drain:
            await refuse(exchange, error, may_drain=may_drain)

    async def _answer(
        self, scope: dict[str, Any], exchange: Exchange, timer: StageTimer, facts: dict[str, Any]
    ) -> None:
        state = self._state
        if not state.ready:
            raise _not_ready(state.failure)
        length = exchange.content_length
        small = length is not None and length <= state.settings.small_body_bytes
        in_place = small and self._kind is ScoreOptions and _stays_small(exchange)
        # Before anything is looked at: under overload refusing is most of the work.
        if small and not in_place:
            state.admission.check_slots("small")
        bulk_place = None if small else state.admission.bulk_place()
        options = options_of(self._kind, scope["query_string"])
        media_in = media_of(exchange.header(b"content-type"))
        media_out = negotiate(exchange.header(b"accept"), media_in, self._producible)
        _check_declared(length, media_in, state.settings.limits)
        memory = state.budget.reservation()
        work = Work(
            options,
            media_in,
            exchange.header(b"content-encoding"),
            store=state.models,
            limits=state.settings.limits,
            team=state.team if small else state.bulk_team,
            timer=timer,
            expected_bytes=length,
            memory=memory,
        )
        exchange.on_end = work.cancel
        try:
            if in_place and not work.grows(await self._small_body(exchange, timer)):
                await self._in_place(exchange, work, media_out, timer, facts)
            else:
                await self._in_workers(exchange, work, media_out, timer, facts, bulk_place)
        finally:
            facts["rows_in"] = work.rows_in
            work.close()
            memory.close()
            if bulk_place is not None:
                bulk_place.leave()

    async def _small_body(self, exchange: Exchange, timer: StageTimer) -> bytes:
        with timer.stage("receive"):
            return await exchange.body()

    async def _in_place(
        self, exchange: Exchange, work: Work, media_out: Media, timer: StageTimer, facts: dict[str, Any]
    ) -> None:
        work.take_whole(await self._small_body(exchange, timer))
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
        bulk_place: BulkPlace | None,
    ) -> None:
        lane: Lane = "small" if bulk_place is None else "bulk"
        run = functools.partial(self._state.admission.run, timer, lane=lane)
        if bulk_place is None:
            await run(functools.partial(work.take_whole, await self._small_body(exchange, timer)))
            run = functools.partial(run, begun=True)
        else:
            await self._upload(exchange, work, timer, run, bulk_place)
        async with _Watch(exchange, work):
            outcome = await run(work.finish)
            facts["customers_out"] = outcome.customers_out
            await self._send(exchange, work.reply(outcome, media_out), media_out, timer, run, bulk_place)

    async def _upload(
        self, exchange: Exchange, work: Work, timer: StageTimer, run: Callable[..., Any], place: BulkPlace
    ) -> None:
        """Feeds the body to the work: while a worker has some pieces, as many more get ready.

        The first piece goes at once, as it may be a reason to refuse; later ones a few at a time, because a thread hop
        costs as much as receiving 100 KB.
        """
        ready: list[Frame] = []
        busy: asyncio.Task[None] | None = None
        receiver = asyncio.current_task()
        assert receiver is not None

        is_receiving = True

        def stop_receiving(done: asyncio.Task[None]) -> None:
            """A client that pauses is told at once what is wrong with what it has sent."""
            if is_receiving and not done.cancelled() and done.exception() is not None:
                receiver.cancel()

        async def hand_over() -> asyncio.Task[None]:
            if busy is not None:
                await busy
            else:
                with timer.stage("queue"):
                    await place.take()
            pieces = ready.copy()
            ready.clear()
            task = asyncio.create_task(run(functools.partial(work.take, pieces)))
            task.add_done_callback(stop_receiving)
            return task

        def frame(read: Callable[..., list[Frame]], *chunk: bytes) -> RequestError | None:
            """Gets pieces ready. What is wrong there is told once the pieces before it have been looked at, so that it
            does not depend on who is faster, or on how the body was cut."""
            try:
                ready.extend(read(*chunk))
            except RequestError as error:
                if error.status == 503:
                    raise
                return error
            return None

        try:
            is_first, fault = True, None
            async for chunk in exchange.chunks():
                fault = frame(work.feed, chunk)
                if fault is not None:
                    break
                if ready and (is_first or sum(piece.size for piece in ready) >= HAND_OVER_BYTES):
                    busy, is_first = await hand_over(), False
            fault = fault or frame(work.end)
            if ready:
                busy = await hand_over()
            if busy is not None:
                await busy
            if fault is not None:
                raise fault
        except BaseException as error:
            is_receiving = False  # what runs now must not be cancelled by what is seen already
            work.cancel()
            if busy is None:
                raise
            is_told_of = busy.done() and not busy.cancelled()
            await asyncio.wait([busy])
            found = None if busy.cancelled() else busy.exception()  # seen: the first error is the one that is told
            if isinstance(error, asyncio.CancelledError) and is_told_of and found is not None:
                receiver.uncancel()
                raise found from None
            raise

    async def _send(
        self,
        exchange: Exchange,
        pieces: Iterator[bytes],
        media_out: Media,
        timer: StageTimer,
        run: Callable[..., Any],
        place: BulkPlace | None,
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
            with timer.stage("send"), kept_while_read(place):
                await exchange.send(piece, more=True)
        del ahead
        while (piece := await run(functools.partial(next, pieces, None))) is not None:
            with timer.stage("send"), kept_while_read(place):
                await exchange.send(piece, more=True)
        await exchange.send(b"", more=False)

    def _record(self, exchange: Exchange, timer: StageTimer, facts: dict[str, Any], outcome: str) -> None:
        seconds = timer.seconds
        seconds["total"] = timer.elapsed()
        if exchange.key is not None:
            facts["key"] = exchange.key
        self.ledger.enter(
            outcome,
            exchange.status,
            exchange.request_id,
            facts,
            seconds,
            received_bytes=exchange.received_bytes,
            sent_bytes=exchange.sent_bytes,
        )


def _check_declared(length: int | None, media: Media, limits: Limits) -> None:
    """Refuses a body by what it declares, before its first byte."""
    if length is None:
        return
    if media is Media.JSON and length > limits.max_document_bytes:
        raise over("max_document_bytes", length, limits.max_document_bytes, "Send more than that as Arrow or CSV.")
    if length > limits.max_body_bytes:
        raise over("max_body_bytes", length, limits.max_body_bytes, "Send less data at once.")


def _stays_small(exchange: Exchange) -> bool:
    """Whether a small body is still small when it is read: what is compressed may become a thousand times as much,
    and Parquet always is."""
    return b"content-encoding" not in exchange.headers and b"parquet" not in exchange.headers.get(b"content-type", b"")


def _not_ready(failure: str | None) -> RequestError:
    if failure is not None:
        return RequestError(ErrorCode.NOT_READY, f"The service cannot answer yet. {failure}")
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
