"""Memory that an array grows into: address space for many times as much, taken from the system as it is written to.

It starts at a large page's boundary and asks for large pages: growing by mremap left three fifths of the records of a
million customers in small ones.
"""

import mmap
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGE_PAGE = 1 << 21
_FACTORS = (32, 1)  # of what is asked for; a system that counts address space as memory grants the lesser


def zeros(n: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return n zeros, in large pages where they take 1 to 8 MiB.

    A small page costs 1.6 µs when it is first written to, and numpy asks for large ones from 4 MiB on only: waiting for
    them was a fifth of listing a million customers. Of more than 8 MiB few pages are small, and a last large one that
    is not filled would count.
    """
    n_bytes = n * np.dtype(dtype).itemsize
    if _LARGE_PAGE // 2 <= n_bytes <= 4 * _LARGE_PAGE:
        with suppress(OSError):
            return _mapped(n_bytes).view(dtype)
    return np.zeros(n, dtype=dtype)


def _mapped(size: int) -> NDArray[np.uint8]:
    """Return uint8[size] in large pages, where the system has them; OSError where there is no room."""
    pages = mmap.mmap(-1, size + _LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without large pages
            pages.madvise(mmap.MADV_HUGEPAGE)
    raw = np.frombuffer(pages, dtype=np.uint8)
    shift = -raw.ctypes.data % _LARGE_PAGE
    return raw[shift : shift + size]


def reserve(n_bytes: int) -> NDArray[np.uint8]:
    """Return uint8[at least n_bytes], which reads as zeros; MemoryError where there is no room."""
    for factor in _FACTORS:
        with suppress(OSError):
            return _mapped(n_bytes * factor)
    raise MemoryError(f"the system has no {n_bytes:,} bytes")
