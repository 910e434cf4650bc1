"""Telling a client no, so that it hears it: the answer goes out at once, the rest of the body is read and dropped.

Most clients send everything before they read, and closing on one that still sends loses the answer.
"""

from __future__ import annotations

import orjson

from proto.errors import RequestError, problem
from service.exchange import DRAIN_BYTES, ClientGone, Exchange
from service.turns import RETRY_AFTER_SECONDS

__all__ = ["PROBLEM_TYPE", "refuse"]

PROBLEM_TYPE = b"application/problem+json"


async def refuse(exchange: Exchange, error: RequestError, *, may_drain: bool = True) -> None:
    """Answers with the problem; the connection goes on where the rest of the body could be read.

    `may_drain` False: the connection is closed without reading the rest.
    """
    body = orjson.dumps(problem(error, exchange.request_id), default=str)
    length = b"%d" % len(body)
    headers = [(b"content-type", PROBLEM_TYPE), (b"content-length", length)]
    if error.status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
    if exchange.is_read:
        await exchange.start(error.status, headers)
        await exchange.send(body, more=False)
        return
    declared = exchange.content_length
    drains = may_drain and not exchange.waits_to_send
    goes_on = drains and declared is not None and declared - exchange.received_bytes <= DRAIN_BYTES
    if not goes_on:
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
