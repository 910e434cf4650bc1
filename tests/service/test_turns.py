"""Turns: first come, first served, a bounded queue, a deadline, and none is lost."""

import asyncio
from collections.abc import Callable

import pytest

from proto.errors import ErrorCode, RequestError
from service.turns import Turns

PATIENCE = 60  # seconds until a test that hangs fails


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


def test_as_many_as_there_are_then_in_the_order_they_came() -> None:
    turns = Turns(2)
    order: list[int] = []

    async def client(number: int) -> None:
        await turns.take()
        order.append(number)

    async def main() -> None:
        clients = [asyncio.create_task(client(number)) for number in range(5)]
        await _until(lambda: turns.waiting == 3)
        assert (order, turns.in_use) == ([0, 1], 2)
        for _ in range(3):
            turns.give_back()
        await asyncio.gather(*clients)
        assert (order, turns.in_use, turns.waiting) == ([0, 1, 2, 3, 4], 2, 0)
        turns.give_back()
        turns.give_back()
        assert turns.in_use == 0

    asyncio.run(main())


def test_beyond_the_queue_the_limit_is_named() -> None:
    turns = Turns(1, most_waiting=1, what="places")

    async def main() -> None:
        await turns.take()
        assert not turns.is_full
        second = asyncio.create_task(turns.take())
        await _until(lambda: turns.waiting == 1)
        assert turns.is_full
        with pytest.raises(RequestError) as caught:
            await turns.take()
        assert (caught.value.code, caught.value.status) == (ErrorCode.BUSY, 503)
        assert caught.value.facts == {"limit": "max_queued_requests", "found": 1, "wanted": 1}
        assert "All 1 places are taken" in caught.value.detail
        turns.give_back()
        await second

    asyncio.run(main())


def test_who_waits_too_long_is_told_and_leaves_the_queue() -> None:
    turns = Turns(1, seconds=0.001, what="slots", setting="small_queue_seconds")

    async def main() -> None:
        await turns.take()
        with pytest.raises(RequestError) as caught:
            await turns.take()
        assert caught.value.facts == {"limit": "small_queue_seconds", "found": 0.001, "wanted": 0.001}
        assert turns.waiting == 0
        turns.give_back()
        await turns.take()
        assert turns.in_use == 1

    asyncio.run(main())


def test_a_turn_that_comes_to_one_who_gives_up_goes_on_to_the_next() -> None:
    turns = Turns(1)

    async def main() -> None:
        await turns.take()
        second, third = (asyncio.create_task(turns.take()) for _ in range(2))
        await _until(lambda: turns.waiting == 2)
        turns.give_back()
        second.cancel()
        await asyncio.wait_for(third, PATIENCE)
        assert second.cancelled()
        assert (turns.in_use, turns.waiting) == (1, 0)
        turns.give_back()
        assert turns.in_use == 0

    asyncio.run(main())


def test_one_who_gives_up_in_the_queue_is_forgotten() -> None:
    turns = Turns(1)

    async def main() -> None:
        await turns.take()
        second = asyncio.create_task(turns.take())
        await _until(lambda: turns.waiting == 1)
        second.cancel()
        await asyncio.wait([second])
        assert turns.waiting == 0
        turns.give_back()
        assert turns.in_use == 0

    asyncio.run(main())


def test_who_has_begun_goes_first_and_is_never_refused() -> None:
    turns = Turns(1, most_waiting=1, seconds=0.001)
    order: list[str] = []

    async def client(name: str, *, begun: bool) -> None:
        await turns.take(begun=begun)
        order.append(name)

    async def main() -> None:
        await turns.take()
        first = asyncio.create_task(client("begun", begun=True))
        await _until(lambda: turns.waiting == 1)
        second = asyncio.create_task(client("begun too", begun=True))
        await _until(lambda: turns.waiting == 2)
        with pytest.raises(RequestError):
            await turns.take()  # no turn comes free for this one
        assert turns.waiting == 2
        turns.give_back()
        turns.give_back()
        await asyncio.gather(first, second)
        assert (order, turns.in_use, turns.waiting) == (["begun", "begun too"], 1, 0)

    asyncio.run(main())


def test_those_that_have_begun_overtake_those_that_wait() -> None:
    turns = Turns(1)
    order: list[str] = []

    async def client(name: str, *, begun: bool) -> None:
        await turns.take(begun=begun)
        order.append(name)
        turns.give_back()

    async def main() -> None:
        await turns.take()
        clients = [asyncio.create_task(client("new", begun=False)), asyncio.create_task(client("begun", begun=True))]
        await _until(lambda: turns.waiting == 2)
        turns.give_back()
        await asyncio.gather(*clients)
        assert (order, turns.in_use) == (["begun", "new"], 0)

    asyncio.run(main())


def test_a_wait_that_will_be_too_long_is_refused_at_its_start() -> None:
    now = 0.0
    turns = Turns(1, most_waiting=1000, seconds=60.0, what="slots", setting="small_queue_seconds", clock=lambda: now)

    async def main() -> None:
        nonlocal now
        await turns.take()
        clients = [asyncio.create_task(turns.take()) for _ in range(30)]
        await _until(lambda: turns.waiting == 30)
        assert not turns.is_full  # nothing is known yet
        now += 2.0  # but that the first one is awaited for so long: 30 would take a minute
        assert turns.is_full
        now -= 2.0
        for _ in range(20):
            now += 10.0
            turns.give_back()
        assert turns.waiting == 10
        assert turns.expected_seconds == pytest.approx(10 * 10.0)
        assert turns.is_full
        with pytest.raises(RequestError) as caught:
            await turns.take()
        assert caught.value.facts["limit"] == "small_queue_seconds"
        assert caught.value.facts["found"] > 60.0
        assert "about" in caught.value.detail
        for _ in range(9):  # quick turns are learned as well
            now += 0.001
            turns.give_back()
        assert not turns.is_full
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    asyncio.run(main())


def test_a_free_turn_is_taken_whatever_was_learned() -> None:
    now = 0.0
    turns = Turns(1, seconds=1.0, clock=lambda: now)

    async def main() -> None:
        nonlocal now
        await turns.take()
        second = asyncio.create_task(turns.take())
        await _until(lambda: turns.waiting == 1)
        now = 1000.0
        turns.give_back()
        await second
        turns.give_back()
        assert turns.in_use == 0
        await turns.take()  # free
        third = asyncio.create_task(turns.take())  # nobody waits before it: let in
        await _until(lambda: turns.waiting == 1)
        turns.give_back()
        await third

    asyncio.run(main())
