"""Telling a client no, so that it hears it: the answer goes out at once, the rest of the body is read and dropped.

Most clients send everything before they read, and closing on one that still sends loses the answer.
"""

from __future__ import annotations

import orjson

from proto.errors import ErrorCode, RequestError, problem
from service.exchange import DRAIN_BYTES, ClientGone, Exchange
from service.turns import RETRY_AFTER_SECONDS

__all__ = ["PROBLEM_TYPE", "refusal_headers", "refuse"]

PROBLEM_TYPE = b"application/problem+json"
CHALLENGE = b'Bearer realm="segserve"'


def refusal_headers(error: RequestError) -> list[tuple[bytes, bytes]]:
    """The headers that go with a problem reply: when to come back, how to authenticate, that the connection ends."""
    headers = []
    seconds = error.facts.get("retry_after_seconds", RETRY_AFTER_SECONDS if error.status == 503 else None)
    if seconds is not None:
        headers.append((b"retry-after", b"%d" % seconds))
    if error.code is ErrorCode.UNAUTHORIZED:
        headers.append((b"www-authenticate", CHALLENGE))
    if error.code is ErrorCode.SHUTTING_DOWN:
        headers.append((b"connection", b"close"))
    return headers


async def refuse(exchange: Exchange, error: RequestError, *, may_drain: bool = True) -> None:
    """Answers with the problem; the connection goes on where the rest of the body could be read.

    `may_drain` False: the connection is closed without reading the rest.
    """
    body = orjson.dumps(problem(error, exchange.request_id), default=str)
    length = b"%d" % len(body)
    headers = [(b"content-type", PROBLEM_TYPE), (b"content-length", length), *refusal_headers(error)]
    if exchange.is_read:
        await exchange.start(error.status, headers)
        await exchange.send(body, more=False)
        return
    declared = exchange.content_length
    drains = may_drain and not exchange.waits_to_send
    ends = (b"connection", b"close") in headers
    goes_on = drains and not ends and declared is not None and declared - exchange.received_bytes <= DRAIN_BYTES
    if not goes_on and not ends:
        headers.append((b"connection", b"close"))
    await exchange.start(error.status, headers)
    await exchange.send(body, more=drains)
    if drains:
        try:
            is_whole = await exchange.drain()
        except ClientGone:
            return  # it has its answer
        await exchange.send(b"", more=False)
        if goes_on and not is_whole:
            exchange.abort()
