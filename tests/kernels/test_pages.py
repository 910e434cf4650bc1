"""Memory to grow into: zeros, at a large page's boundary, and less of it where the system is strict."""

import mmap
from typing import Any

import numpy as np
import pytest

from kernels import pages

MIB = 1 << 20


def test_there_is_room_to_grow() -> None:
    room = pages.reserve(MIB)
    assert len(room) == 32 * MIB
    assert room.ctypes.data % (2 * MIB) == 0
    assert not room[: 2 * MIB].any()
    room[-1] = 7
    assert room[-1] == 7


def test_a_strict_system_grants_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    real = mmap.mmap

    def strict(fileno: int, length: int, **options: Any) -> mmap.mmap:
        if length > 8 * MIB:
            raise OSError(12, "Cannot allocate memory")
        return real(fileno, length, **options)

    monkeypatch.setattr(pages.mmap, "mmap", strict)
    assert len(pages.reserve(MIB)) == MIB
    with pytest.raises(MemoryError, match="8,388,608"):
        pages.reserve(8 * MIB)


def test_a_system_without_large_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pages.mmap, "MADV_HUGEPAGE", raising=False)
    assert np.count_nonzero(pages.reserve(1000)) == 0


@pytest.mark.parametrize("n", [0, 1, 1000, MIB // 8 - 1, MIB // 8, MIB // 2 + 3, MIB, MIB + 1])
@pytest.mark.parametrize("strict", [False, True])
def test_zeros_are_those_of_numpy(n: int, strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if strict:

        def refuse(*_: Any, **options: Any) -> mmap.mmap:
            raise OSError(12, "Cannot allocate memory")

        monkeypatch.setattr(pages.mmap, "mmap", refuse)
    found = pages.zeros(n, np.int64)
    assert (found.dtype, found.shape, found.flags.c_contiguous) == (np.int64, (n,), True)
    assert not found.any()
    found[:] = 7
    assert found.sum() == 7 * n
