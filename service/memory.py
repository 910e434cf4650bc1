"""Gives freed memory back to the operating system.

glibc keeps what threads free between blocks that are still in use: 280 MB stayed after a request of 2 million
customers was cut, and nothing with this. Elsewhere (macOS, musl) there is nothing to do.
"""

from __future__ import annotations

import ctypes
from typing import Any

__all__ = ["give_back"]


def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


_trim = _malloc_trim()


def give_back() -> None:
    """Returns every page that holds nothing; takes milliseconds, without the interpreter's lock."""
    if _trim is not None:
        _trim(0)
