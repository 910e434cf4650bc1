"""A `Run` on real threads, started in an unhelpful order, for tests of "any run gives the same bits"."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from kernels._jit import JIT_DISABLED

needs_jit = pytest.mark.skipif(JIT_DISABLED, reason="many rows: too slow in plain Python")


def run_on_threads(thunks: Sequence[Callable[[], None]]) -> None:
    """Run the thunks on three threads, the last one first."""
    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(thunk) for thunk in reversed(thunks)]:
            future.result()
