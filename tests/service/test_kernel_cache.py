"""Kernels that cannot be kept are used all the same, and the reason is told."""

from __future__ import annotations

import pytest

from kernels._jit import JIT_DISABLED, KERNELS
from service import kernel_cache
from service.kernel_cache import compiled_anew, forgive_full_disk


class Cache:
    def __init__(self) -> None:
        self.saved: list[str] = []
        self.full = True

    def save_overload(self, signature: str, compiled: object) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.saved.append(signature)


class Kernel:
    def __init__(self) -> None:
        self._cache = Cache()


def test_a_full_disk_is_forgiven_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    monkeypatch.setattr(kernel_cache, "KERNELS", [kernel])
    errors = forgive_full_disk()
    kernel._cache.save_overload("f8", None)
    assert [error.strerror for error in errors] == ["No space left on device"]
    kernel._cache.full = False
    kernel._cache.save_overload("i8", None)
    assert (kernel._cache.saved, len(errors)) == (["i8"], 1)


@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_every_kernel_has_what_is_replaced() -> None:
    assert all(callable(kernel._cache.save_overload) for kernel in KERNELS)
    assert compiled_anew() >= 0
