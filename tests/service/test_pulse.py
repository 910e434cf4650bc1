"""The heartbeat: it tells a blocked loop from a free one, and does its chores whatever one of them does."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry, Histogram

from service import pulse
from service.pulse import Pulse


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(pulse, "CHORE_BEATS", 2)
    return CollectorRegistry()


def test_a_blocked_loop_is_late(registry: CollectorRegistry) -> None:
    async def block() -> None:
        beat = Pulse(Histogram("lag", "Lag.", registry=registry, buckets=(0.05,)))
        beat.start()
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            pass
        while not registry.get_sample_value("lag_count"):
            await asyncio.sleep(0.001)
        beat.stop()

    asyncio.run(block())
    assert (registry.get_sample_value("lag_sum") or 0) > 0.05
    late = (registry.get_sample_value("lag_count") or 0) - (
        registry.get_sample_value("lag_bucket", {"le": "0.05"}) or 0
    )
    assert late == 1


def test_chores_are_done_also_after_one_that_fails(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    done = 0

    def fail() -> None:
        raise ArithmeticError

    def count() -> None:
        nonlocal done
        done += 1

    async def wait() -> None:
        beat = Pulse(Histogram("lag", "Lag.", registry=registry), fail, count)
        beat.start()
        while done < 2:
            await asyncio.sleep(0.001)
        beat.stop()

    asyncio.run(wait())
    assert {record.message for record in caplog.records if record.name == "segserve"} == {"chore failed"}
