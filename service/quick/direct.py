"""Small scores answered below ASGI: from the bytes of a request to the bytes of its reply, in one call.

A scope, a task and four messages cost a small request more than its own numbers do. So its head is compared with heads
that the HTTP parser has read before: without the lines that vary from request to request and say nothing of how it is
to be read (its length, ids of requests and traces), the same bytes mean the same. Whatever is new, in doubt or wrong
goes through parser and ASGI, which give the same replies (`endpoints.py`), and tell every error.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from service.exchange import Tried, request_id_of
from service.ledger import Ledger
from service.logs import log
from service.metrics import StageTimer
from service.quick.path import Route
from service.quick.remembered import Remembered
from service.state import State

__all__ = ["PATH", "Direct"]

PATH = "/v1/score"
MAX_HEAD_BYTES = 4_096
MAX_DIGITS = 7  # of a length
HEADS_BYTES = 1 << 20
ENTRY_BYTES = 1_000

_START = b"POST " + PATH.encode()
_END = b"\r\n\r\n"
_VARYING = re.compile(
    rb"\r\n(content-length|x-request-id|traceparent|tracestate|x-forwarded-for): ?"
    rb"([!-~]+(?: [!-~]+)*)(?=\r\n[^ \t])",  # a line that goes on in the next one is none of these
    re.IGNORECASE,
)
_MEANING_MORE = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"})
_OF_THE_GATE = b"authorization", b"x-api-key"

Headers = list[tuple[bytes, bytes]]


class Head(NamedTuple):
    """What a head says, without the lines that vary."""

    route: Route
    keys: dict[bytes, bytes]
    """The headers that the gate looks at."""


class Direct:
    """Answers whole requests for small scores whose like is known; on the event loop only."""

    def __init__(self, state: State, ledger: Ledger) -> None:
        self._state, self._ledger = state, ledger
        self._most_bytes = state.settings.small_body_bytes
        self._heads: Remembered[Head] = Remembered(HEADS_BYTES)
        self._fixed: Headers | None = None
        self._start = b""

    def answer(self, data: bytes, fixed: Headers) -> tuple[bytes, bytes] | Tried | None:
        """Head and body of the reply to the request that `data` is, beginning with the `fixed` headers.

        None where it is not one whole request with a head that is known, or not now.
        """
        timer = StageTimer()
        end = data.find(_END, 0, MAX_HEAD_BYTES) + len(_END) if data.startswith(_START) else 0
        if end < len(_END):
            return None
        key, length, given_id = _cut(data[:end])
        head = self._heads.get(key)
        if head is None or length is None or length != len(data) - end or length > self._most_bytes:
            return None
        quick, gate = self._state.quick, self._state.gate
        if quick is None or gate.draining or self._state.admission.is_full:
            return None
        name, refusal = gate.look(head.keys)
        if refusal is not None:
            return Tried(name, refusal)
        timer.add("receive", timer.elapsed())
        request_id = request_id_of(given_id)
        try:
            reply = quick.answer(head.route, data[end:])
        except Exception:
            log.exception("quick path failed", extra={"fields": {"request_id": request_id}})
            reply = None
        if reply is None:
            return Tried(name, None)
        seconds = timer.seconds
        seconds |= reply.seconds
        told = b"content-type: %b\r\ncontent-length: %d\r\nserver-timing: %b\r\nx-request-id: %b\r\n\r\n" % (
            reply.media,
            len(reply.body),
            timer.header(),
            request_id.encode(),
        )
        seconds["total"] = timer.elapsed()
        facts: dict[str, int | str] = {"rows_in": reply.rows_in, "customers_out": reply.customers_out}
        if name is not None:
            facts["key"] = name
        self._ledger.enter("ok", 200, request_id, facts, seconds, received_bytes=length, sent_bytes=len(reply.body))
        return self._status_and(fixed) + told, reply.body

    def _status_and(self, fixed: Headers) -> bytes:
        """The beginning of a reply; the server has a new list of fixed headers every second."""
        if fixed is not self._fixed:
            self._fixed = fixed
            self._start = b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % header for header in fixed)
        return self._start

    def learn(self, data: bytes, query: bytes, headers: Headers) -> None:
        """Remembers the head that `data` begins with, which the parser read as a POST to `PATH` with these headers.

        The connection can go on after such a request.
        """
        quick = self._state.quick
        end = data.find(_END, 0, MAX_HEAD_BYTES) + len(_END) if data.startswith(_START) else 0
        if quick is None or end < len(_END):
            return
        head = data[:end]
        found = dict(headers)
        if not head.count(b"\n") == head.count(b"\r\n") == len(headers) + 2 or found.keys() & _MEANING_MORE:
            return
        route = quick.route((query, found.get(b"content-type", b""), found.get(b"accept", b"")))
        key, length, _ = _cut(head)
        if route is not None and length is not None:
            keys = {name: found[name] for name in _OF_THE_GATE if name in found}
            self._heads.put(key, Head(route, keys), ENTRY_BYTES + 2 * len(key))


@functools.lru_cache(maxsize=256)  # 1 MB at most; callers whose heads do not vary at all skip the search
def _cut(head: bytes) -> tuple[bytes, int | None, bytes | None]:
    """A head without the lines that vary, the length it declares and the request's id; no length in any doubt."""
    parts = _VARYING.split(head)
    length = given_id = None
    is_plain = True
    for name, value in zip(parts[1::3], parts[2::3], strict=True):
        name = name.lower()
        if name == b"content-length":
            is_plain = is_plain and length is None and value.isdigit() and len(value) <= MAX_DIGITS
            length = int(value) if is_plain else None
        elif name == b"x-request-id":
            given_id = value
    return b"".join(parts[::3]), length, given_id
