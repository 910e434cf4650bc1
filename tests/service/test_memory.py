"""What is no longer used is given back, also where it refers to itself."""

import asyncio
import gc
import weakref

import pyarrow as pa
import pytest

from service import memory
from service.memory import GROWN_BYTES, LOOK_SECONDS, Leftovers, give_back, keep_for_good, keep_together


class _Table:
    """Something large."""


def test_what_an_error_leaves_behind_goes() -> None:
    table = _Table()
    seen = weakref.ref(table)
    table.itself = table  # type: ignore[attr-defined]
    gc.disable()
    try:
        del table
        assert seen() is not None
        give_back()
        assert seen() is None
    finally:
        gc.enable()


def test_what_is_kept_for_good_is_not_looked_at_again() -> None:
    try:
        keep_for_good()
        assert gc.get_freeze_count() > 1_000
    finally:
        gc.unfreeze()


@pytest.mark.skipif(memory._trim is None, reason="only glibc gives back what threads left")
def test_arrow_takes_memory_where_it_is_given_back() -> None:
    before = pa.default_memory_pool()
    try:
        keep_together()
        assert pa.default_memory_pool().backend_name == "system"
        large = pa.array(range(1_000))
        assert pa.default_memory_pool().bytes_allocated() >= large.nbytes
        del large
        give_back()
    finally:
        pa.set_memory_pool(before)


def test_leftovers_are_given_back_where_the_process_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    now, resident, n_given = 0.0, 10 * GROWN_BYTES, 0

    def give() -> None:
        nonlocal n_given, resident
        n_given += 1
        resident = 10 * GROWN_BYTES

    async def run() -> None:
        nonlocal now, resident
        leftovers = Leftovers(lambda: resident, lambda: now)
        for grown, wanted in ((0, 1), (GROWN_BYTES, 1), (GROWN_BYTES + 1, 2), (-GROWN_BYTES, 2), (GROWN_BYTES + 1, 3)):
            resident += grown
            leftovers.look()
            leftovers.look()  # too soon
            while leftovers.is_returning:
                await asyncio.sleep(0)
            assert n_given == wanted
            now += LOOK_SECONDS

    monkeypatch.setattr(memory, "give_back", give)
    asyncio.run(run())
