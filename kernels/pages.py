"""Memory that an array grows into: address space for many times as much, taken from the system as it is written to.

It starts at a large page's boundary and asks for large pages: growing by mremap left three fifths of the records of a
million customers in small ones.
"""

import mmap
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

_LARGE_PAGE = 1 << 21
_FACTORS = (32, 1)  # of what is asked for; a system that counts address space as memory grants the lesser


def reserve(n_bytes: int) -> NDArray[np.uint8]:
    """Return uint8[at least n_bytes], which reads as zeros; MemoryError where there is no room."""
    for factor in _FACTORS:
        with suppress(OSError):
            size = n_bytes * factor
            pages = mmap.mmap(-1, size + _LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            if hasattr(mmap, "MADV_HUGEPAGE"):
                with suppress(OSError):  # a kernel without large pages
                    pages.madvise(mmap.MADV_HUGEPAGE)
            raw = np.frombuffer(pages, dtype=np.uint8)
            shift = -raw.ctypes.data % _LARGE_PAGE
            return raw[shift : shift + size]
    raise MemoryError(f"the system has no {n_bytes:,} bytes")
