"""The open-loop generator sends what is due, tells what became of it, and hides nothing. Nothing here is about time."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from loadtests.open_load import WRONG, Source, http_request, run_open_load, schedule

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextmanager
def _answering(*answers: bytes) -> Iterator[str]:
    """A server that gives these answers in turn, whole or cut; an empty one closes the connection."""
    started, turns = threading.Event(), iter(answers)
    address: list[str] = []

    async def serve() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.readline():
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(1)
                answer = next(turns)
                writer.write(answer)
                if not answer.endswith(b"o"):
                    break
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        address.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        nonlocal loop, ended
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        await ended.wait()
        server.close()

    loop, ended = None, None
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait()
    yield address[0]
    loop.call_soon_threadsafe(ended.set)
    thread.join()


def test_every_request_is_accounted_for() -> None:
    cut = OK[:-3]
    other = OK.replace(b"hello", b"hullo")
    with _answering(OK, BUSY, b"", cut, other, OK) as url:
        source = Source("six", http_request(url, "/", "text/plain", b"x"), [(0.05, 120.0)], b"hello")
        answers = run_open_load(url, [source], seed=_seed_of(source, 6), max_connections=1)
    assert answers.status.tolist() == [200, 503, 0, 0, WRONG, 200]
    assert answers.errors == {"closed: no answer": 1, "closed: mid-answer": 1}
    assert np.isnan(answers.done[2:4]).all()
    assert (answers.due <= answers.sent).all()
    assert (answers.done - answers.due > 0)[answers.status != 0].all()
    assert answers.n_connections == 1


def _seed_of(source: Source, n: int) -> int:
    return next(seed for seed in range(1000) if len(schedule([source], seed)[0]) == n)


def test_nobody_listening_is_an_error_of_each_request() -> None:
    source = Source("none", b"", [(0.02, 200.0)])
    answers = run_open_load("http://127.0.0.1:9", [source])
    assert len(answers.due) == sum(answers.errors.values())
    assert all(why.startswith("not connected") for why in answers.errors)


def test_a_schedule_keeps_the_rates_of_its_phases_and_repeats() -> None:
    sources = [Source("a", b"", [(10.0, 100.0), (10.0, 500.0)]), Source("b", b"", [(20.0, 50.0)])]
    numbers, due = schedule(sources, seed=1)
    assert (np.diff(due) >= 0).all()
    first = due[numbers == 0]
    assert abs((first < 10).sum() - 1000) < 150
    assert abs((first >= 10).sum() - 5000) < 350
    assert abs((numbers == 1).sum() - 1000) < 150
    assert (schedule(sources, seed=1)[1] == due).all()
