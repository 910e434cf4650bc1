"""What the service makes of Numba's cache of compiled kernels: a full disk is no reason not to serve."""

from __future__ import annotations

from typing import Any

from kernels._jit import KERNELS

__all__ = ["compiled_anew", "forgive_full_disk"]


def forgive_full_disk() -> list[OSError]:
    """From now on a kernel that cannot be written to the cache is used all the same; the list gets the reasons.

    Numba would fail its compilation, and with it the start.
    """
    errors: list[OSError] = []
    for kernel in KERNELS:
        kernel._cache.save_overload = _forgiving(kernel._cache.save_overload, errors)
    return errors


def _forgiving(save: Any, errors: list[OSError]) -> Any:
    def save_overload(signature: Any, compiled: Any) -> None:
        try:
            save(signature, compiled)
        except OSError as error:
            errors.append(error)

    return save_overload


def compiled_anew() -> int:
    """How many signatures were not in the cache, and so were compiled in this process."""
    return sum(sum(kernel.stats.cache_misses.values()) for kernel in KERNELS)
