"""What is counted of all customers once they are listed, in one pass on all threads.

without a purchase: last tick INT64_MIN      negative: revenue < 0      not finite: an exponent of all ones
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import float_bits, kernel, readonly
from kernels._run import Run, blocks, run_serially
from kernels.recency import NO_PURCHASE

_EXPONENT = np.int64(0x7FF0_0000_0000_0000)


class Overview(NamedTuple):
    """Of n customers."""

    frequencies: NDArray[np.float64]  # [n]
    n_without_purchase: int
    n_negative: int  # revenues
    n_not_finite: int  # revenues


@kernel
def _look_over(
    last_ticks: NDArray[np.int64],
    revenue: NDArray[np.float64],
    frequency: NDArray[np.int64],
    out: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """Write the frequencies as float64, and counts int64[3] in the order of Overview; no branch, so in vectors."""
    n_without = n_negative = n_not_finite = np.int64(0)
    for i in range(len(out)):
        out[i] = frequency[i]
        n_without += np.int64(last_ticks[i] == NO_PURCHASE)
        n_negative += np.int64(revenue[i] < 0.0)
        n_not_finite += np.int64((float_bits(revenue[i]) & _EXPONENT) == _EXPONENT)
    counts[0], counts[1], counts[2] = n_without, n_negative, n_not_finite


def overview(
    last_ticks: NDArray[np.int64], revenue: NDArray[np.float64], frequency: NDArray[np.int64], run: Run = run_serially
) -> Overview:
    """Return the frequencies as float64[n], and what is counted of last_ticks int64[n] and revenue float64[n]."""
    ticks, revenue, frequency = readonly(last_ticks), readonly(revenue), readonly(frequency)
    out, cuts = np.empty(len(frequency)), list(blocks(len(frequency)))
    counts = np.zeros((len(cuts), 3), dtype=np.int64)

    def work(i: int) -> None:
        own = slice(*cuts[i])
        _look_over(ticks[own], revenue[own], frequency[own], out[own], counts[i])

    run([partial(work, i) for i in range(len(cuts))])
    return Overview(out, *counts.sum(axis=0).tolist())
