"""Gives freed memory back to the operating system.

What an error came through refers to itself in a circle, tables and all, until the garbage collector passes: six large
uploads at a time that were refused left 160 MB, and a full collection none. That is cheap once what is there for good
is out of its sight.

glibc keeps what threads free between blocks that are still in use: 280 MB stayed after a request of 2 million
customers was cut, and nothing with this. Elsewhere (macOS, musl) there is nothing to do.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Any

__all__ = ["give_back", "keep_for_good"]


def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


_trim = _malloc_trim()


def keep_for_good() -> None:
    """What is there now, modules and kernels, is looked at by no collection to come."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Returns every page that holds nothing; takes milliseconds, most of them without the interpreter's lock."""
    gc.collect()
    if _trim is not None:
        _trim(0)
