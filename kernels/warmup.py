"""Compile every kernel before the first request, then forbid compiling: a request must never wait for a compiler.

Kernels are warmed by their public functions, called on tiny inputs of each kind that the service uses, so what is
compiled is what will be called.
"""

from collections.abc import Callable

from kernels import warmup_accumulators, warmup_aggregation, warmup_clustering, warmup_few
from kernels._jit import KERNELS

PARTS: tuple[Callable[[], None], ...] = (
    warmup_aggregation.warm,
    warmup_accumulators.warm,
    warmup_clustering.warm,
    warmup_few.warm,
)


def warm_up() -> int:
    """Compile everything, or load it from the cache; return the number of signatures that are ready."""
    for part in PARTS:
        part()
    return sum(len(kernel.signatures) for kernel in KERNELS)


def disable_compile() -> None:
    """Make a call that would compile raise TypeError instead; for good, so not in tests that share a process."""
    for kernel in KERNELS:
        if kernel.signatures:  # none: it came from the cache inside its callers, and Python never calls it
            kernel.disable_compile()
