"""Deadlines: what counts as progress, how often is looked, and what is counted and told of one that was missed."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from contextlib import suppress
from typing import get_args

import pytest

from proto.errors import ErrorCode, RequestError
from service.deadlines import Deadlines, Kind, Pace, Watch, missed, unsent_bytes
from service.metrics import DEADLINES, Metrics


def test_a_pace_is_judged_once_a_window_has_passed() -> None:
    pace = Pace()
    assert not pace.is_slow(0, 100.0, 10, 5)
    assert not pace.is_slow(10, 109.0, 10, 5)
    assert not pace.is_slow(50, 110.0, 10, 5)  # 50 in 10 s
    assert not pace.is_slow(60, 119.0, 10, 5)
    assert pace.is_slow(99, 120.0, 10, 5)  # 49 in 10 s


def test_a_pause_starts_anew() -> None:
    pace = Pace()
    pace.is_slow(0, 100.0, 10, 5)
    pace.stop()
    assert not pace.is_slow(0, 120.0, 10, 5)
    assert not pace.is_slow(-7, 131.0, 10, 5)  # counted back: something new began
    assert pace.is_slow(-7, 142.0, 10, 5)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_deadline_names_its_setting_and_what_to_do(kind: Kind) -> None:
    error = missed(kind, Deadlines())
    assert (error.code, error.status) == (ErrorCode.TIMEOUT, 408)
    assert error.facts["deadline"] == kind
    assert error.facts["limit"] == f"{kind}_seconds"
    assert f"SEGSERVE_{kind.upper()}_SECONDS" in error.detail
    assert error.facts["wanted"] == getattr(Deadlines(), f"{kind}_seconds")


def test_the_kinds_are_those_of_the_metric() -> None:
    assert set(get_args(Kind)) == set(DEADLINES)


def test_looks_are_as_frequent_as_the_shortest_deadline_needs() -> None:
    assert Deadlines().seconds_between_looks == 1.0
    assert Deadlines(write_seconds=0.2).seconds_between_looks == 0.05


class Late:
    """A connection that has missed a deadline."""

    def __init__(self) -> None:
        self.ended: list[RequestError] = []

    def missed_deadline(self, now: float, deadlines: Deadlines) -> Kind | None:
        return "read" if now >= deadlines.read_seconds else None

    def end(self, kind: Kind, error: RequestError) -> bool:
        self.ended.append(error)
        return True


def test_what_was_missed_is_ended_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    metrics, late = Metrics(), Late()
    now = 0.0
    watch = Watch(Deadlines(read_seconds=5), metrics, lambda: now)
    watch.connections.add(late)
    watch.look()
    assert late.ended == []
    now = 5.0
    with caplog.at_level(logging.WARNING, "segserve"):
        watch.look()
    assert [error.facts["deadline"] for error in late.ended] == ["read"]
    assert metrics.registry.get_sample_value("segserve_deadlines_missed_total", {"deadline": "read"}) == 1
    assert metrics.registry.get_sample_value("segserve_connections") == 1
    assert "deadline missed" in caplog.text


def test_it_looks_again_and_again_until_it_is_stopped() -> None:
    async def main() -> None:
        watch = Watch(Deadlines(header_seconds=0.001), Metrics(), lambda: 9.0)
        watch.stop()
        looks = 0
        enough = asyncio.Event()

        class Looked(Late):
            def missed_deadline(self, now: float, deadlines: Deadlines) -> Kind | None:
                nonlocal looks
                looks += 1
                if looks == 3:
                    enough.set()
                return None

        watch.connections.add(Looked())
        watch.start()
        await asyncio.wait_for(enough.wait(), 60)
        watch.stop()

    asyncio.run(main())


def test_what_a_reader_leaves_in_the_system_counts() -> None:
    sender, reader = socket.socketpair()
    with sender, reader:
        assert unsent_bytes(sender.fileno()) == 0
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as sender,
    ):
        sender.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                sender.send(bytes(1 << 20))
        assert unsent_bytes(sender.fileno()) > 0 or sys.platform != "linux"
    assert unsent_bytes(-1) == 0
