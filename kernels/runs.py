"""Runs: rows of one customer that follow each other, as in tables sorted by customer, are looked up once.

run k = rows starts[k] … starts[k + 1]
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, readonly, row_kernel
from kernels.hashing import FixedKeys, WideKeys

_ROWS_PER_RUN = 2  # fewer on average, and runs are not worth listing
_FEW_ROWS = 1024  # that are looked at first: most batches have no runs
ROWS_ALONE = np.zeros(0, dtype=np.int32)
ROWS_ALONE.flags.writeable = False


@row_kernel
def _differ(words: Any, before: Any, i: int) -> bool:
    """Tell whether words[i] is another id than before[i], the row before it."""
    if words.ndim == 1:
        return bool(words[i] != before[i])
    return bool((words[i, 0] != before[i, 0]) | (words[i, 1] != before[i, 1]))


@kernel
def _count(words: Any) -> int:
    """Return how many rows have another id than the row before; without a branch, in vectors."""
    n, following = 0, words[1:]
    for i in range(len(following)):
        n += int(_differ(following, words, i))
    return n


@kernel
def _list(words: Any, starts: NDArray[np.int32]) -> None:
    """Write where runs start, and after the last one where it ends."""
    n, following = np.uint64(1), words[1:]
    starts[0] = 0
    for i in range(len(following)):
        starts[n] = i + 1  # written over by the next row where this one starts nothing
        n += np.uint64(_differ(following, words, i))
    starts[n] = len(words)


def run_starts(keys: FixedKeys | WideKeys) -> NDArray[np.int32]:
    """Return int32[n_runs + 1], where runs start and the last one ends; int32[0] where most rows stand alone."""
    words = readonly(keys[0])
    if (_count(words[:_FEW_ROWS]) + 1) * _ROWS_PER_RUN > min(len(words), _FEW_ROWS):
        return ROWS_ALONE
    n_runs = _count(words) + 1
    if n_runs * _ROWS_PER_RUN > len(words):
        return ROWS_ALONE
    starts = np.empty(n_runs + 1, dtype=np.int32)
    _list(words, starts)
    return readonly(starts)


def first_keys(keys: FixedKeys | WideKeys, starts: NDArray[np.int32]) -> FixedKeys | WideKeys:
    """Return the key of each run."""
    words = keys[0][starts[:-1]]
    return WideKeys(words) if isinstance(keys, WideKeys) else FixedKeys(words)
