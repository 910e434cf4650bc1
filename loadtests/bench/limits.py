"""What the machine allows, measured in the same run: random reads and writes of cache lines, and reading columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numba
import numpy as np
import numpy.typing as npt

from kernels._jit import prefetch
from service.threads import ThreadTeam

__all__ = ["column_reader", "random_updates"]

LINE = 8  # 64-bit words in a cache line
AHEAD = 16  # rows; the best distance
CHUNK = 65_536


@numba.njit(nogil=True)
def _update_lines(places: npt.NDArray[np.int64], lines: npt.NDArray[np.int64]) -> None:
    for i in range(len(places)):
        if i + AHEAD < len(places):
            prefetch(lines, places[i + AHEAD])
        lines[places[i]] += 1


def random_updates(indices: npt.NDArray[np.int64], customers: int) -> Callable[[int], None]:
    """One read-modify-write of the customer's own 64-byte line for each row, prefetched, on one core."""
    room = np.zeros((customers + 1) * LINE, np.int64)
    offset = (-room.ctypes.data // 8) % LINE
    lines = room[offset : offset + customers * LINE]
    places = indices * LINE
    return lambda _: _update_lines(places, lines)


@numba.njit(nogil=True, fastmath=True)
def _sum(values: npt.NDArray[np.float64], out: npt.NDArray[np.float64]) -> None:
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    out[0] = total


def column_reader(columns: npt.NDArray[np.float64], team: ThreadTeam) -> Callable[[int], None]:
    """Reads float64[d, n] once, on all cores: a sum, which costs less than reading."""
    pieces = [row[start : start + CHUNK] for row in columns for start in range(0, len(row), CHUNK)]
    out = np.empty((len(pieces), LINE))
    thunks = [partial(_sum, piece, out[number]) for number, piece in enumerate(pieces)]
    return lambda _: team.run(thunks)
