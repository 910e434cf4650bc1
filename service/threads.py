"""A team of threads for the kernels: nogil work is split over it, and results do not depend on its size."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

__all__ = ["ThreadTeam", "come_soon", "step_back"]

Item = TypeVar("Item")
Found = TypeVar("Found")


SHORT_NS, LONG_NS = 100_000, 20_000_000
"""Slices: the shortest there is, and one of a thread that may as well wait."""
_SET_ATTRIBUTES = {"x86_64": 314, "aarch64": 274}
"""The number of sched_setattr, which not every C library has."""
_RESET_ON_FORK = 1


class _Attributes(ctypes.Structure):
    """struct sched_attr of Linux."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    )


def _ask_for(slice_ns: int, flags: int = 0) -> bool:
    """Has the calling thread run in slices of that length, as nice as it is. Returns whether the system took the wish.

    A thread that wakes interrupts one with longer slices, and gets no more of a core for it. Linux from 6.12 on, and
    nobody needs a privilege; an older kernel keeps its slices, and a thread waits for the clock's next tick (4 ms).
    """
    number = _SET_ATTRIBUTES.get(platform.machine()) if sys.platform == "linux" else None
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    wish = _Attributes(ctypes.sizeof(_Attributes), os.SCHED_OTHER, flags, nice, 0, slice_ns)
    return bool(ctypes.CDLL(None).syscall(number, 0, ctypes.byref(wish), 0) == 0)


def come_soon() -> bool:
    """Has the calling thread run soon after it wakes; threads that it starts have the usual slices.

    Beside two uploads of 10 million rows small scores took 1.3 ms at the median and 8 at the 99th percentile, instead
    of 1.7 and 10.
    """
    return _ask_for(SHORT_NS, _RESET_ON_FORK)


def step_back(nice: int) -> None:
    """Lets threads with a lower `nice` value go first, and soon; only Linux has one for each thread.

    The event loop wakes up beside threads that hold every core: with those at 19 the median of small scores was 0.9 ms
    instead of 2.1, and uploads took no longer. 10 is as good, and better beside other processes that hold the cores: a
    thread with the interpreter's lock and no core keeps the event loop waiting. Beside two uploads and a process that
    burns a core the p99 was 152 ms with 19, and 33 with 10.
    """
    if sys.platform == "linux" and nice:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
        _ask_for(LONG_NS)


class ThreadTeam:
    """Runs independent thunks side by side: one on the calling thread, the others on helpers.

    A caller waits only for helpers that are at work for it, so callers, and thunks too, may share a team without a
    deadlock, and a small job does not wait for the helpers of a large one.
    """

    def __init__(self, n_threads: int, nice: int = 0) -> None:
        if n_threads < 1:
            raise ValueError(f"n_threads is {n_threads}; at least 1 is needed")
        self.n_threads = n_threads
        self._helpers: ThreadPoolExecutor | None = None
        if n_threads > 1:
            self._helpers = ThreadPoolExecutor(n_threads - 1, "kernel", step_back, (nice,))

    def run(self, thunks: Sequence[Callable[[], None]]) -> None:
        """Runs the thunks and returns when all are done; after an error no further one starts, and it is raised.

        Of several errors the one of the earliest thunk is raised.
        """
        if self._helpers is None or len(thunks) < 2:
            for thunk in thunks:
                thunk()
            return
        helpers = self._helpers
        queue = iter(enumerate(thunks))
        errors: list[tuple[int, BaseException]] = []

        def work() -> None:
            while not errors:
                i, thunk = next(queue, (0, None))  # atomic under the interpreter's lock
                if thunk is None:
                    return
                try:
                    thunk()
                except BaseException as error:
                    errors.append((i, error))

        futures = [helpers.submit(work) for _ in range(min(self.n_threads, len(thunks)) - 1)]
        try:
            work()
        finally:
            # Nothing is left for helpers that have not started: they may be busy until this very thunk returns.
            wait([future for future in futures if not future.cancel()])
        if errors:
            raise min(errors, key=lambda found: found[0])[1]

    def map(self, work: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
        """What `work` finds for each item, in the order of the items; otherwise as `run`."""
        found: dict[int, Found] = {}

        def find(i: int) -> None:
            found[i] = work(items[i])

        self.run([partial(find, i) for i in range(len(items))])
        return [found[i] for i in range(len(items))]

    def close(self) -> None:
        if self._helpers is not None:
            self._helpers.shutdown()
