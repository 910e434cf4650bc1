"""The queue of small scores: the event loop answers them as they come, so how far it is behind is how long they wait.

The loop reads what has arrived in rounds, and a request waits for whatever its round holds before it. Where rounds stay
longer than the longest wait, the requests that would wait longer are refused before they are parsed, with a reply that
stands ready. A loop that was held up once, by a large reply or by threads, is not behind for long, and refuses nobody.

A refusal takes 19 µs, of which 12 are the system's and the event loop library's, and an answer 200 to 300: at five
times the load refusing takes a third of the time, and goodput falls by as much. Above that the longest wait grows, so
that refusing cannot become all that is done. With a tenth instead of a third, goodput was no better: a round of a
thousand requests fits into no cache, and with a thousand connections answers and refusals came after 1.1 s.
"""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Callable

import orjson

from proto.errors import ErrorCode, RequestError, problem
from service.exchange import request_id_of
from service.gate import Gate
from service.logs import log
from service.metrics import Metrics
from service.turns import RETRY_AFTER_SECONDS, busy

__all__ = ["Backlog", "refusable"]

SETTING = "score_queue_seconds"
PATIENCE_SECONDS = 0.05
"""How long rounds have been too long before requests are refused."""
MANY = 4
"""Requests in a round from which the time of each is learned, while no round is too long."""
RECENT = 0.1
"""Weight of the last round in what is known of requests."""
REFUSAL_SECONDS = 19e-6
ANSWERING_TO_REFUSING = 2.0
"""Least ratio of the time for answers to that for refusals."""

_TARGETS = b"POST /v1/score ", b"POST /v1/score?"
_END = b"\r\n\r\n"
_MEANING_MORE = {b"transfer-encoding", b"expect", b"upgrade"}
_REQUEST_ID = re.compile(rb"\r\nx-request-id:([^\r]*)\r", re.IGNORECASE)
_HOLE = "\x1a"


def refusable(data: bytes, most_bytes: int = 0) -> tuple[bytes, int] | None:
    """The head of bytes that are one request for scores and nothing else, and how many bytes of its body are to come.

    None for any others, and where some are to come of a body of more than `most_bytes`: that is no small request.
    """
    if not data.startswith(_TARGETS):
        return None
    end = data.find(_END)
    head = data[: end + len(_END)]
    declared = _declared(head) if end > 0 else None
    if declared is None:
        return None
    left = declared - (len(data) - len(head))
    return (head, left) if left == 0 or (left > 0 and declared <= most_bytes) else None


@functools.lru_cache(maxsize=256)
def _declared(head: bytes) -> int | None:
    """The body's length that a plain head declares. None in doubt, so that the parser looks at it: with more than one
    length, with chunks, or a wish for the connection. Callers send few heads, so most are remembered."""
    lines = head.lower().split(b"\r\n")
    fields = [line.partition(b":") for line in lines[1:-2]]
    names = [name for name, _, _ in fields]
    values = {name: value.strip() for name, _, value in fields}
    length = values.get(b"content-length", b"")
    plain = (
        lines[0].endswith(b" http/1.1")
        and names.count(b"content-length") == 1
        and length.isdigit()
        and len(length) < 10
        and not values.keys() & _MEANING_MORE
        and values.get(b"connection", b"keep-alive") == b"keep-alive"
    )
    return int(length) if plain else None


class Backlog:
    """What has arrived and is not answered; on the event loop only."""

    def __init__(
        self,
        max_seconds: float,
        metrics: Metrics,
        gate: Gate,
        clock: Callable[[], float] = time.monotonic,
        small_body_bytes: int = 0,
    ) -> None:
        self.max_seconds = max_seconds
        self._most_bytes = small_body_bytes
        self._metrics, self._gate, self._clock = metrics, gate, clock
        self._since: float | None = None  # while a round is read
        self._waiting = 0  # requests of this round that will be answered once it is read
        self._seconds_each = 0.0  # that such a request takes lately
        self._measured: tuple[float, int] | None = None  # while those of the last round are answered
        self._behind_since: float | None = None  # while rounds are too long
        self._refused = 0  # in this round
        self._refused_lately = 0.0  # in a round
        self._bound_seconds = max_seconds
        self._untold = 0  # refusals that are neither counted nor logged
        told = f"The service has more requests than it can answer; this one would have waited over {max_seconds:g} s."
        error = busy(told, SETTING, max_seconds, max_seconds)
        self._head, self._body = _head(error), orjson.dumps(problem(error, _HOLE)).split(orjson.dumps(_HOLE))

    def read(self) -> bool:
        """Notes that something has arrived; whether what arrives now would wait too long."""
        since = self._since
        if since is None:
            self._since = since = self._clock()
            self._learn(since)
            asyncio.get_running_loop().call_soon(self._all_is_read)
            return False
        if self._behind_since is None or since - self._behind_since < PATIENCE_SECONDS:
            return False
        return self._clock() - since + self._waiting * self._seconds_each > self._bound_seconds

    def wait(self) -> None:
        """Counts a request that will be answered once all that has arrived is read."""
        self._waiting += 1

    def refusal(self, data: bytes) -> tuple[bytes, int] | None:
        """The whole reply that refuses these bytes, and how many more of the body are to be dropped.

        None where they are not, or do not begin, one small score, or the end has begun. Many clients send head and
        body one after the other: what is refused at its head costs no parsing, and its body no waiting.
        """
        found = None if self._gate.draining else refusable(data, self._most_bytes)
        if found is None:
            return None
        head, left = found
        self._refused += 1
        given = _REQUEST_ID.search(head)
        request_id = request_id_of(given[1].strip() if given else None)
        before, after = self._body
        body = before + orjson.dumps(request_id) + after
        return self._head % (request_id.encode(), len(body)) + body, left

    def tell(self) -> None:
        """Counts what was refused since the last time, and logs it in one line: a chore."""
        n, self._untold = self._untold, 0
        if n:
            self._metrics.count_busy("score", SETTING, n)
            fields = {"endpoint": "score", "outcome": "rejected", "limit": SETTING, "requests": n}
            log.warning("requests refused", extra={"fields": fields})

    def _all_is_read(self) -> None:
        """The end of a round: what waits is answered now."""
        now, n = self._clock(), self._waiting
        assert self._since is not None
        if self._refused or now - self._since + n * self._seconds_each > self.max_seconds:
            self._behind_since = self._behind_since or self._since
        else:
            self._behind_since = None
        self._refused_lately += RECENT * (self._refused - self._refused_lately)
        worth = ANSWERING_TO_REFUSING * REFUSAL_SECONDS * self._refused_lately
        self._bound_seconds = max(self.max_seconds, worth)
        self._untold += self._refused
        self._since, self._waiting, self._refused = None, 0, 0
        if n >= (1 if self._behind_since else MANY):
            self._measured = now, n
            asyncio.get_running_loop().call_soon(self._all_is_answered)  # the loop does not sleep before

    def _all_is_answered(self) -> None:
        self._learn(self._clock())

    def _learn(self, now: float) -> None:
        if self._measured is not None:
            start, n = self._measured
            self._seconds_each += RECENT * ((now - start) / n - self._seconds_each)
            self._measured = None


def _head(error: RequestError) -> bytes:
    """The head of the reply, with places for the request's id and the body's length."""
    assert error.code is ErrorCode.BUSY
    lines = [
        "HTTP/1.1 503 Service Unavailable",
        "content-type: application/problem+json",
        f"retry-after: {RETRY_AFTER_SECONDS}",
        "x-request-id: %b",
        "content-length: %d",
    ]
    return "\r\n".join([*lines, "", ""]).encode()
