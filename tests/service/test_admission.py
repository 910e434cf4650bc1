"""Admission: as many places and slots as there are, and a slot is never given away while its thread is busy."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from proto.errors import ErrorCode, RequestError
from service.admission import MOST_DRAINS, Admission, kept_while_read
from service.metrics import Metrics, StageTimer

PATIENCE = 60  # seconds until a test that hangs fails


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def admission(metrics: Metrics) -> Iterator[Admission]:
    admission = Admission(max_requests=2, n_slots=1, metrics=metrics)
    yield admission
    admission.close()


def _value(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(name)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


async def _turns(n: int = 50) -> None:
    """Lets everything that can go on do so."""
    for _ in range(n):
        await asyncio.sleep(0)


def test_places_are_counted_and_given_back(admission: Admission, metrics: Metrics) -> None:
    with admission.place(), admission.place():
        assert admission.in_flight == 2
        assert _value(metrics, "segserve_requests_in_flight") == 2
        with pytest.raises(RequestError) as caught, admission.place():
            pytest.fail("a third place")
        assert admission.in_flight == 2
    assert admission.in_flight == 0
    assert _value(metrics, "segserve_requests_in_flight") == 0
    error = caught.value
    assert (error.code, error.status) == (ErrorCode.BUSY, 503)
    assert error.facts == {"limit": "max_requests", "found": 2, "wanted": 2}


def test_a_failed_request_gives_its_place_back(admission: Admission) -> None:
    with pytest.raises(ArithmeticError), admission.place():
        raise ArithmeticError
    assert admission.in_flight == 0


def test_work_runs_in_a_worker_and_its_wait_is_timed(admission: Admission, metrics: Metrics) -> None:
    timer = StageTimer()
    name = asyncio.run(admission.run(timer, lambda: threading.current_thread().name))
    assert name.startswith("worker")
    assert set(timer.seconds) == {"queue"}
    assert _value(metrics, "segserve_compute_slots") == 2  # one of each lane
    assert _value(metrics, "segserve_compute_slots_in_use") == 0


def test_errors_come_through_and_free_the_slot(admission: Admission) -> None:
    def fail() -> None:
        raise ArithmeticError("mine")

    async def main() -> None:
        for _ in range(3):
            with pytest.raises(ArithmeticError, match="mine"):
                await admission.run(StageTimer(), fail)
        assert admission.slots_in_use == 0
        assert await admission.run(StageTimer(), lambda: 5) == 5

    asyncio.run(main())


@pytest.mark.parametrize("n_slots", [1, 2, 3])
def test_never_more_work_than_slots(n_slots: int, metrics: Metrics) -> None:
    admission = Admission(max_requests=100, n_slots=n_slots, metrics=metrics)
    full = threading.Barrier(n_slots)
    lock = threading.Lock()
    at_work, most = 0, 0

    def work() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        full.wait(PATIENCE)
        with lock:
            at_work -= 1
        full.wait(PATIENCE)

    async def main() -> None:
        await asyncio.gather(*(admission.run(StageTimer(), work) for _ in range(4 * n_slots)))

    asyncio.run(main())
    admission.close()
    assert most == n_slots


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("fails", [False, True])
def test_a_cancelled_caller_keeps_its_slot_until_its_thread_is_done(
    admission: Admission, times: int, fails: bool
) -> None:
    entered, released = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        released.wait(PATIENCE)
        if fails:
            raise ArithmeticError("nobody waits for this")

    async def main() -> None:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        first = asyncio.create_task(admission.run(StageTimer(), hold))
        await _until(entered.is_set)
        second = asyncio.create_task(admission.run(StageTimer(), lambda: "second"))
        for _ in range(times):
            first.cancel()
            await _turns()
        assert not first.done()
        assert not second.done()
        assert admission.slots_in_use == 1
        released.set()
        assert await asyncio.wait_for(second, PATIENCE) == "second"
        with pytest.raises(asyncio.CancelledError):
            await first
        assert admission.slots_in_use == 0
        assert complaints == []

    asyncio.run(main())


def test_a_caller_cancelled_in_the_queue_takes_no_slot(admission: Admission) -> None:
    entered, released = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        released.wait(PATIENCE)

    async def main() -> None:
        first = asyncio.create_task(admission.run(StageTimer(), hold))
        await _until(entered.is_set)
        second = asyncio.create_task(admission.run(StageTimer(), lambda: pytest.fail("was cancelled")))
        await _turns()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        released.set()
        await first
        assert await admission.run(StageTimer(), lambda: 5) == 5

    asyncio.run(main())


def test_the_small_lane_has_slots_of_its_own(admission: Admission, metrics: Metrics) -> None:
    released = threading.Event()

    def hold() -> None:
        released.wait(PATIENCE)

    async def main() -> None:
        bulk = [asyncio.create_task(admission.run(StageTimer(), hold)) for _ in range(3)]
        await _until(lambda: metrics.registry.get_sample_value("segserve_lane_queue_length", {"lane": "bulk"}) == 2)
        assert await asyncio.wait_for(admission.run(StageTimer(), lambda: "small", "small"), PATIENCE) == "small"
        released.set()
        await asyncio.gather(*bulk)

    asyncio.run(main())


def test_a_full_queue_refuses_small_work_at_its_start(metrics: Metrics) -> None:
    admission = Admission(max_requests=9, n_slots=1, metrics=metrics, max_queued_requests=0)
    released = threading.Event()

    async def main() -> None:
        admission.check_slots("small")
        first = asyncio.create_task(admission.run(StageTimer(), lambda: released.wait(PATIENCE), "small"))
        await _until(lambda: admission.slots_in_use == 1)
        with pytest.raises(RequestError, match="small lane"):
            admission.check_slots("small")
        admission.check_slots("bulk")  # whose pieces wait for their turn however long: their places are counted
        released.set()
        await first

    asyncio.run(main())
    admission.close()


def test_a_bulk_place_is_taken_once_and_given_back(metrics: Metrics) -> None:
    admission = Admission(max_requests=9, n_slots=1, metrics=metrics, max_bulk_requests=1, max_queued_requests=0)

    async def main() -> None:
        first = admission.bulk_place()
        first.leave()  # of one that was not taken
        await first.take()
        await first.take()
        assert _value(metrics, "segserve_bulk_places_in_use") == 1
        with pytest.raises(RequestError, match="bulk places"):
            admission.bulk_place()
        first.leave()
        assert _value(metrics, "segserve_bulk_places_in_use") == 0
        admission.bulk_place()

    asyncio.run(main())
    admission.close()


def test_a_bulk_place_is_kept_while_the_reply_is_read(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    admission = Admission(max_requests=9, n_slots=1, metrics=metrics, max_bulk_requests=1)

    async def main() -> None:
        place = admission.bulk_place()
        await place.take()
        with kept_while_read(place):
            pass  # it was read at once
        assert _value(metrics, "segserve_bulk_places_in_use") == 1
        monkeypatch.setattr("service.admission.SLOW_READER_SECONDS", 0.0)
        with kept_while_read(place):
            await _until(lambda: _value(metrics, "segserve_bulk_places_in_use") == 0)
        with kept_while_read(None):
            pass  # a small request has none

    asyncio.run(main())
    admission.close()


def test_so_many_bodies_are_drained_at_one_time(admission: Admission) -> None:
    with ExitStack() as stack:
        assert all(stack.enter_context(admission.drain_place()) for _ in range(MOST_DRAINS))
        with admission.drain_place() as may:
            assert not may
        assert admission.drains == MOST_DRAINS
    assert admission.drains == 0
