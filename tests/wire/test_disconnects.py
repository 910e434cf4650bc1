"""A client that goes away, on the way in or on the way out, leaves nothing behind; a cut reply is not a whole one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import numpy as np
import pyarrow as pa
import pytest

from tests.wire.server import ARROW, Server, running, stream_of
from tests.wire.shop import UTC_US, marker_of, post, shop, transactions

WITHIN_SECONDS = 1.0
SETTLED = ("segserve_requests_in_flight", "segserve_compute_slots_in_use")
MIB = 1 << 20


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A service of its own: its memory and its gauges are watched."""
    with running(threads=2) as service:
        with httpx.Client(base_url=service.url, timeout=60) as client:
            for _ in range(2):  # what any first request loads and keeps is not what a cut one leaves behind
                assert post(client, "segment", crowd(100_000), chunked=True, occasion="row").status_code == 200
        yield service


def crowd(n_customers: int) -> pa.Table:
    """One purchase each of many customers: memory is what customers take."""
    numbers = np.arange(n_customers, dtype=np.int64)
    return pa.table(
        {
            "customer_id": pa.array(numbers * 1_000_003),
            "timestamp": pa.array(1_767_225_600_000_000 + numbers % 9_999_991).cast(UTC_US),
            "amount": pa.array((numbers % 997).astype(np.float64)),
        }
    )


@contextmanager
def connection(
    service: Server, endpoint: str = "segment", query: str = "occasion=row", **headers: str
) -> Iterator[socket.socket]:
    """A bare connection on which the head of a POST has been sent; closed with a reset, as a killed client's is."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        lines = [f"POST /v1/{endpoint}?{query} HTTP/1.1", "Host: localhost", f"Content-Type: {ARROW}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        link.sendall("\r\n".join([*lines, "", ""]).encode())
        yield link


def send_chunk(link: socket.socket, data: bytes) -> None:
    link.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def count(service: Server, outcome: str, endpoint: str = "segment") -> float:
    return service.metrics()[f'segserve_requests_total{{endpoint="{endpoint}",outcome="{outcome}"}}']


def is_idle(service: Server) -> bool:
    metrics = service.metrics()
    return all(metrics[name] == 0 for name in SETTLED)


BODY = stream_of(crowd(200_000), max_rows=10_000)
PLACES = {"nothing": 0, "a prefix": 5, "the schema": 400, "half a batch": 120_000, "many batches": len(BODY) // 2}


@pytest.mark.parametrize("how", ["chunked", "length"])
@pytest.mark.parametrize("place", list(PLACES))
def test_a_cut_upload_frees_place_and_slot(own: Server, place: str, how: str) -> None:
    before = count(own, "disconnected")
    headers = {"Transfer_Encoding": "chunked"} if how == "chunked" else {"Content_Length": str(len(BODY))}
    with connection(own, **headers) as link:
        sent = BODY[: PLACES[place]]
        if how == "length":
            link.sendall(sent)
        elif sent:
            send_chunk(link, sent)
        own.wait_until(lambda: own.metrics()["segserve_requests_in_flight"] == 1, 30)
    own.wait_until(lambda: is_idle(own), WITHIN_SECONDS)
    assert count(own, "disconnected") == before + 1


def test_a_small_upload_that_is_cut_frees_its_place(own: Server) -> None:
    """Small bodies are taken whole, on another path."""
    body = stream_of(transactions())
    before = count(own, "disconnected", "score")
    with connection(own, "score", "as_of=2026-01-01", Content_Length=str(len(body))) as link:
        link.sendall(body[:-1])
        own.wait_until(lambda: own.metrics()["segserve_requests_in_flight"] == 1, 30)
    own.wait_until(lambda: is_idle(own), WITHIN_SECONDS)
    assert count(own, "disconnected", "score") == before + 1


def best_of_three(scenario: Callable[[Server], None]) -> Callable[[Server], None]:
    """A second is short on a machine that runs other things: it must be kept once in three times. A leak never is."""

    def test(own: Server) -> None:
        for _ in range(2):
            try:
                return scenario(own)
            except AssertionError:
                continue
        return scenario(own)

    return test


@best_of_three
def test_a_cut_upload_gives_its_memory_back(own: Server) -> None:
    start = own.memory_bytes
    body = stream_of(crowd(2_000_000), max_rows=50_000)
    with connection(own, Transfer_Encoding="chunked") as link:
        for at in range(0, len(body) - 1000, MIB):
            send_chunk(link, body[at : min(at + MIB, len(body) - 1000)])
        own.wait_until(lambda: own.memory_bytes > start + 100 * MIB, 30)
        own.wait_until(lambda: own.metrics()["segserve_compute_slots_in_use"] == 0, 30)
        held = own.memory_bytes
    own.wait_until(lambda: own.memory_bytes < start + (held - start) // 4, WITHIN_SECONDS)
    assert is_idle(own)


def start_download(link: socket.socket, body: bytes) -> bytes:
    """Sends the rest of the request and reads a little of the reply."""
    for at in range(0, len(body), MIB):
        send_chunk(link, body[at : at + MIB])
    link.sendall(b"0\r\n\r\n")
    head = link.recv(1000)
    assert head.startswith(b"HTTP/1.1 200")
    return head


@best_of_three
def test_a_cut_download_frees_place_slot_and_memory(own: Server) -> None:
    body = stream_of(crowd(2_000_000), max_rows=50_000)
    start = own.memory_bytes
    before = count(own, "disconnected")
    with connection(
        own, query="occasion=row&k=2&n_init=1&fields=customer_id,value_score,explain", Transfer_Encoding="chunked"
    ) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        start_download(link, body)
        assert own.metrics()["segserve_requests_in_flight"] == 1
        held = own.memory_bytes
        assert held > start + 100 * MIB
    own.wait_until(lambda: is_idle(own), WITHIN_SECONDS)
    own.wait_until(lambda: own.memory_bytes < start + (held - start) // 4, WITHIN_SECONDS)
    assert count(own, "disconnected") == before + 1


def test_a_client_that_leaves_while_it_is_computed_ends_the_work(own: Server) -> None:
    before = count(own, "disconnected")
    body = stream_of(crowd(500_000), max_rows=50_000)
    with connection(own, query="occasion=row&k=256&n_init=100", Transfer_Encoding="chunked") as link:
        for at in range(0, len(body), MIB):
            send_chunk(link, body[at : at + MIB])
        link.sendall(b"0\r\n\r\n")
        received = len(body)
        own.wait_until(lambda: own.metrics()["segserve_compute_slots_in_use"] == 1, 30)
        assert received
    own.wait_until(lambda: is_idle(own), 30)
    assert count(own, "disconnected") == before + 1


# A cut reply


@contextmanager
def relay(service: Server, n_bytes: int) -> Iterator[str]:
    """Stands between client and service, passes everything on, and breaks the reply off after so many bytes."""

    def pump(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        left = limit
        try:
            while left is None or left > 0:
                data = source.recv(65_536 if left is None else min(65_536, left))
                if not data:
                    break
                sink.sendall(data)
                left = None if left is None else left - len(data)
        except OSError:
            pass
        if limit is not None:
            for link in (source, sink):
                with suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                front, _ = listener.accept()
            except OSError:
                return
            with front, socket.create_connection(("127.0.0.1", service.port)) as back:
                inbound = threading.Thread(target=pump, args=(front, back, None), daemon=True)
                inbound.start()
                pump(back, front, n_bytes)
                inbound.join(10)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def test_a_cut_reply_is_an_error_for_every_http_client(server: Server) -> None:
    table = crowd(60_000)
    with httpx.Client(base_url=server.url, timeout=60) as client:
        whole = post(client, "segment", table, occasion="row", k=2, n_init=1)
    assert whole.headers["transfer-encoding"] == "chunked"
    assert marker_of(whole.content) is not None
    for n_bytes in (2_000, 500_000, len(whole.content)):
        with (
            relay(server, n_bytes) as url,
            httpx.Client(base_url=url, timeout=60) as client,
            pytest.raises(httpx.RemoteProtocolError, match=r"incomplete chunked read|without sending"),
        ):
            post(client, "segment", table, occasion="row", k=2, n_init=1)


def test_a_cut_reply_has_no_closing_marker(client: httpx.Client) -> None:
    """Also where a proxy in between has made a cut stream look like a whole one."""
    body = post(client, "segment", shop(3_000, 9_000), k=3).content
    assert marker_of(body) is not None
    with pa.ipc.open_stream(body) as stream:
        n_customers = stream.read_all().num_rows
    for cut in [*range(0, len(body), len(body) // 40), len(body) - 9, len(body) - 8 - 200]:
        try:
            with pa.ipc.open_stream(body[:cut]) as stream:
                assert stream.read_all().num_rows <= n_customers
            found = marker_of(body[:cut])
        except (pa.ArrowInvalid, OSError):
            continue
        assert found is None
    # The marker's own batch ends 8 bytes before the end, so what is cut behind it was whole.
    assert marker_of(body[:-8]) == marker_of(body)


def test_a_cut_json_reply_is_no_json(client: httpx.Client) -> None:
    body = post(client, "segment", shop(300, 900), k=3, headers={"Accept": "application/json"}).content
    assert body.endswith(b'"status":"complete"}')
    with pytest.raises(ValueError, match=r"JSON|Expecting|unexpected|EOF"):
        httpx.Response(200, content=body[:-1]).json()
