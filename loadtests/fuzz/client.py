"""Sends cases over keep-alive connections and judges what comes back."""

from __future__ import annotations

import contextlib
import csv
import http.client
import io
import socket
import time
from collections import Counter
from typing import NamedTuple

import orjson
import pyarrow as pa

from loadtests.fuzz.cases import Case
from proto.errors import STATUS, TITLES, ErrorCode

__all__ = ["DEADLINE_SECONDS", "Connection", "Verdict", "judged"]

DEADLINE_SECONDS = 60.0


class Verdict(NamedTuple):
    """What became of a case."""

    status: int
    """0: the client hung up, as planned; -1: no answer."""
    code: str
    fault: str
    """What is wrong with the answer; empty: nothing."""
    seconds: float


class Connection:
    """One client; opens a new socket where the old one was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=DEADLINE_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, case: Case) -> Verdict:
        """The verdict on one case; a fresh connection where the kept one turns out to be closed."""
        start = time.perf_counter()
        verdict = self._try(case, start)
        if verdict is None:
            self.close()
            verdict = self._try(case, start) or Verdict(-1, "", "no answer on a fresh connection", 0.0)
        if verdict.fault or verdict.status <= 0:
            self.close()
        return verdict

    def _try(self, case: Case, start: float) -> Verdict | None:
        was_kept = self._socket is not None
        try:
            link = self._open()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                link.sendall(_wire(case))  # where it was answered and closed before, the answer may still be there
            if case.cut_at is not None:
                return Verdict(0, "", "", time.perf_counter() - start)
            with http.client.HTTPResponse(link, method="POST") as reply:
                reply.begin()
                body = reply.read()
                will_close = reply.will_close
                headers = {name.lower(): value for name, value in reply.getheaders()}
        except TimeoutError:
            return Verdict(-1, "", f"no answer within {DEADLINE_SECONDS:.0f} s", time.perf_counter() - start)
        except (http.client.HTTPException, ConnectionError) as error:
            if was_kept and isinstance(error, http.client.RemoteDisconnected | ConnectionError):
                return None
            return Verdict(-1, "", f"the answer broke off: {error!r}", time.perf_counter() - start)
        if will_close:
            self.close()
        code, fault = judged(reply.status, headers, body)
        return Verdict(reply.status, code, fault, time.perf_counter() - start)


def _wire(case: Case) -> bytes:
    body = case.body
    lines = [f"POST {case.target} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in case.headers)]
    if case.chunk_bytes:
        lines.append("Transfer-Encoding: chunked")
        pieces = (body[i : i + case.chunk_bytes] for i in range(0, len(body), case.chunk_bytes))
        body = b"".join([*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"])
    else:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head + (body if case.cut_at is None else body[: case.cut_at])


def judged(status: int, headers: dict[str, str], body: bytes) -> tuple[str, str]:
    """(error code, what is wrong with the answer)"""
    media = headers.get("content-type", "")
    try:
        if status == 200:
            return "", _judged_reply(media, body)
        problem = orjson.loads(body)
        code = ErrorCode(problem["code"])
        if media != "application/problem+json" or STATUS.get(code, 422) != status or problem["status"] != status:
            return str(code), f"status {status}, {media}: {body[:300]!r}"
        if problem["title"] != TITLES[code] or not problem["detail"] or not problem["request_id"]:
            return str(code), f"an incomplete problem: {body[:300]!r}"
        if status >= 500 and status != 503:
            return str(code), f"status {status}: {body[:300]!r}"
        if status == 503 and "retry-after" not in headers:
            return str(code), "503 without Retry-After"
        return str(code), ""
    except (orjson.JSONDecodeError, KeyError, ValueError, TypeError, pa.ArrowException) as error:
        return "", f"status {status}, {media}, which cannot be read ({error!r}): {body[:300]!r}"


def _judged_reply(media: str, body: bytes) -> str:
    """What is missing from a reply, by its closing marker; CSV has none."""
    if media.startswith("application/json"):
        document = orjson.loads(body)
        if "format_version" in document:
            return "" if document["segments"] and document["id"] else "a model without segments or id"
        rows = document.get("rows", document.get("columns"))
        return "" if rows is not None and document["status"] == "complete" else "a JSON reply without its end"
    if media.startswith("text/csv"):
        lengths = Counter(map(len, csv.reader(io.StringIO(body.decode(), newline=""))))
        return "" if len(lengths) == 1 else f"rows of different lengths: {lengths}"
    with pa.ipc.open_stream(body) as stream:
        rows, marker = 0, None
        while True:
            try:
                batch, metadata = stream.read_next_batch_with_custom_metadata()
            except StopIteration:
                break
            batch.validate(full=True)
            rows, marker = rows + batch.num_rows, metadata
    if marker is None or marker[b"status"] != b"complete" or int(marker[b"customers_out"]) != rows:
        return f"an Arrow reply of {rows} rows that ends with {marker}"
    return ""
