"""A timer of the kernel's in an event loop: wakes it within some 50 µs; the loop's own take a millisecond.

timerfd_create(2), through ctypes because the os module has it only since Python 3.13.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

__all__ = ["KernelTimer"]

_MONOTONIC, _NONBLOCK, _ABSOLUTE = 1, 0o4000, 1


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


class KernelTimer:
    """Calls back once after each `set`, on the clock of time.monotonic()."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop, self._call = loop, call
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_MONOTONIC, _NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def __enter__(self) -> KernelTimer:
        self._loop.add_reader(self._fd, self._fired)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def set(self, when: float) -> None:
        """Due at this time of time.monotonic(), in seconds; at once where it is past."""
        nanoseconds = max(1, int(when * 1e9))
        timer = _Timer(_Time(0, 0), _Time(*divmod(nanoseconds, 10**9)))
        if self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(timer), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _fired(self) -> None:
        os.read(self._fd, 8)
        self._call()
