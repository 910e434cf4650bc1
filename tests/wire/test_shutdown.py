"""The end of a process: what is promised to requests it has accepted, and to those that come too late."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pyarrow as pa
import pytest

from tests.wire.server import ARROW, Server, running, stream_of, table_of
from tests.wire.shop import SHOP, post, refused, shop

BODY = stream_of(shop(3_000, 9_000), max_rows=500)


@contextmanager
def half_sent(service: Server) -> Iterator[socket.socket]:
    """A request that the service is in the middle of."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as link:
        head = f"POST /v1/segment?k=3 HTTP/1.1\r\nHost: x\r\nContent-Type: {ARROW}\r\nContent-Length: {len(BODY)}\r\n"
        link.sendall(head.encode() + b"\r\n" + BODY[:50_000])
        service.wait_until(lambda: service.metrics()["segserve_requests_in_flight"] == 1, 30)
        yield link


def whole(link: socket.socket) -> tuple[int, bytes]:
    """Status and body of the answer on this connection."""
    reply = http.client.HTTPResponse(link)
    reply.begin()
    return reply.status, reply.read()


def events(service: Server) -> list[str]:
    return [entry["event"] for entry in list(service.log)]


def test_an_accepted_request_finishes_and_new_ones_are_refused() -> None:
    with running(threads=1) as service, service.client() as kept, service.client() as fresh:
        assert kept.get("/readyz").status_code == 200  # a connection that stays
        with half_sent(service) as link:
            service.process.send_signal(signal.SIGTERM)
            service.wait_until(lambda: "finishing" in events(service), 30)
            for client in (kept, fresh):
                reply = post(client, "segment", SHOP, k=3)
                refused(reply, 503, "shutting_down")
                assert reply.headers["connection"] == "close"
                assert reply.headers["retry-after"] == "1"
                reply = client.get("/v1/models")
                refused(reply, 503, "shutting_down")
                assert reply.headers["connection"] == "close"
                assert client.get("/readyz").json() == {"status": "draining"}
                assert client.get("/healthz").status_code == 200
            link.sendall(BODY[50_000:])
            status, body = whole(link)
        assert status == 200
        assert pa.ipc.open_stream(body).read_all().num_rows == 3_000
        assert service.process.wait(60) == 0
        outcomes = [entry["outcome"] for entry in service.log if entry["event"] == "request"]
        assert Counter(outcomes) == {"rejected": 2, "ok": 1}


def test_readiness_falls_first_and_connections_go_elsewhere_one_by_one() -> None:
    with running(threads=1, drain_seconds=300) as service, httpx.Client(base_url=service.url) as client:
        assert "connection" not in client.get("/healthz").headers
        service.process.send_signal(signal.SIGTERM)
        service.wait_until(lambda: "draining" in events(service), 30)
        reply = client.get("/readyz")
        assert (reply.status_code, reply.json()) == (503, {"status": "draining"})
        reply = post(client, "segment", SHOP, k=3)
        assert table_of(reply).num_rows > 0
        assert reply.headers["connection"] == "close"
        assert post(client, "fit", SHOP, k=3).status_code == 200
        assert service.metrics()["segserve_ready"] == 0
        service.process.send_signal(signal.SIGTERM)  # a second one ends it at once
        assert service.process.wait(60) == 1
        assert "ended at once by a second signal" in events(service)


def test_drained_it_ends_by_itself() -> None:
    with running(threads=1, drain_seconds=0.3) as service:
        assert service.stop() == 0
        assert events(service).index("draining") < events(service).index("finishing")


def test_a_request_that_takes_too_long_is_cut() -> None:
    with running(threads=1, shutdown_seconds=1) as service:
        with half_sent(service) as link:
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(60) == 1
            with pytest.raises(ConnectionError):
                whole(link)
        (line,) = [entry for entry in service.log if entry["event"] == "requests cut"]
        assert line["requests"] == 1
        assert [entry["outcome"] for entry in service.log if entry["event"] == "request"] == ["disconnected"]


class Callers:
    """Keep-alive clients that send one request after the other until they cannot: what became of each."""

    def __init__(self, service: Server, n: int) -> None:
        self.whole = Counter[int]()
        self.broken = 0  # the connection went before an answer began
        self.torn: list[str] = []  # it went in the middle of one, or the answer was another one
        self._port = service.port
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(n)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as link:
            self._call(link)

    def _call(self, link: http.client.HTTPConnection) -> None:
        for number in itertools.count():
            body = stream_of(SHOP) if number % 2 else CUSTOMERS
            try:
                link.request("POST", "/v1/segment?k=3", body, {"Content-Type": ARROW})
                reply = link.getresponse()
            except (OSError, http.client.HTTPException):
                with self._lock:
                    self.broken += 1
                return
            try:
                content = reply.read()
                if reply.status == 200:
                    assert pa.ipc.open_stream(content).read_all().num_rows > 0
            except Exception as error:
                with self._lock:
                    self.torn.append(repr(error))
                return
            with self._lock:
                self.whole[reply.status] += 1
            if reply.status != 200:
                return

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


CUSTOMERS = stream_of(
    pa.table({"customer_id": range(500), "recency_days": [1.5] * 500, "frequency": range(500), "monetary": [2.0] * 500})
)


def test_under_load_no_accepted_request_is_lost() -> None:
    with running(threads=1) as service:
        callers = Callers(service, 8)
        service.wait_until(lambda: callers.whole[200] >= 20, 60)
        assert service.stop() == 0
        callers.join()
        assert callers.torn == []
        assert set(callers.whole) <= {200, 503}
        answered = [e for e in service.log if e["event"] == "request" and e["outcome"] == "ok"]
        assert len(answered) == callers.whole[200]  # whoever was accepted has its answer, whole
        assert {e["outcome"] for e in service.log if e["event"] == "request"} <= {"ok", "rejected"}


def test_killed_under_load_clients_see_errors_and_a_new_process_answers() -> None:
    with running(threads=1, small_queue_seconds=60) as service:  # nobody is refused, however slow the machine
        callers = Callers(service, 8)
        service.wait_until(lambda: callers.whole[200] >= 20, 60)
        os.kill(service.process.pid, signal.SIGKILL)
        callers.join()
        assert set(callers.whole) == {200}
        assert callers.broken + len(callers.torn) == 8
        assert all("IncompleteRead" in said or "Connection" in said for said in callers.torn)
