"""Raw features straight into the float32 that `rough.compare` takes, and their sum, the value score, on the way.

    x_j = (t_j - centre_j) · factor_j,   t_j = v or its logarithm,   score = Σ_j x_j in feature order

The x_j are those of `scoring.standardise`, bit for bit, but are not kept in float64.
"""

import numpy as np

from kernels._jit import kernel
from kernels._types import Floats, Labels, Singles
from kernels.rough import NORMS, Rough, compare
from kernels.scaling import linear1, signed_log1

LOG, CLIP, CENTRE, FACTOR = range(4)  # rows of scoring.Prepared.table


@kernel
def _enter_linear(
    values: Floats, clip: bool, centre: float, factor: float, middle: float, first: bool, column: Singles,
    norms: Singles, total: Floats,
) -> None:  # fmt: skip
    """Add a feature to the scores, and enter it where `rough.compare` looks for it."""
    for i in range(len(total)):
        x = linear1(values[i], clip, centre, factor)
        total[i] = x if first else total[i] + x
        a = np.float32(x - middle)
        column[i] = a
        norms[i] = a * a if first else norms[i] + a * a


@kernel
def _enter_logarithmic(
    values: Floats, log_factor: float, clip: bool, centre: float, factor: float, middle: float, first: bool,
    column: Singles, norms: Singles, total: Floats,
) -> None:  # fmt: skip
    """Do as _enter_linear after the logarithm."""
    for i in range(len(total)):
        x = (signed_log1(values[i], log_factor, clip) - centre) * factor
        total[i] = x if first else total[i] + x
        a = np.float32(x - middle)
        column[i] = a
        norms[i] = a * a if first else norms[i] + a * a


@kernel
def _enter_three(rough: Rough, columns: Floats, low: int, high: int, table: Floats, total: Floats) -> None:
    """Do as _enter_linear for three features in one go: 1.4 times faster than one after the other."""
    n, middle, x = high - low, rough.middle, rough.columns
    values0, values1, values2 = columns[0, low:high], columns[1, low:high], columns[2, low:high]
    x0, x1, x2, norms = x[0, :n], x[1, :n], x[2, :n], rough.work[NORMS, :n]
    clip0, clip1, clip2 = table[CLIP, 0] != 0.0, table[CLIP, 1] != 0.0, table[CLIP, 2] != 0.0
    centre0, centre1, centre2 = table[CENTRE, 0], table[CENTRE, 1], table[CENTRE, 2]
    factor0, factor1, factor2 = table[FACTOR, 0], table[FACTOR, 1], table[FACTOR, 2]
    middle0, middle1, middle2 = middle[0], middle[1], middle[2]
    for i in range(n):
        a = linear1(values0[i], clip0, centre0, factor0)
        b = linear1(values1[i], clip1, centre1, factor1)
        c = linear1(values2[i], clip2, centre2, factor2)
        total[i] = a + b + c
        u, v, w = np.float32(a - middle0), np.float32(b - middle1), np.float32(c - middle2)
        x0[i], x1[i], x2[i] = u, v, w
        norms[i] = u * u + v * v + w * w


@kernel
def enter_tile(
    rough: Rough, columns: Floats, low: int, high: int, table: Floats, out_scores: Floats, out_labels: Labels
) -> int:
    """Write scores f64[high - low] and who is nearest; return how many are in doubt. x is not kept in float64."""
    if columns.shape[0] == 3 and not table[LOG].any():
        _enter_three(rough, columns, low, high, table, out_scores)
        return compare(rough, columns.shape[0], high - low, out_labels)
    norms = rough.work[NORMS, : high - low]
    for j in range(columns.shape[0]):
        values, column = columns[j, low:high], rough.columns[j, : high - low]
        clip, centre, factor, middle = table[CLIP, j] != 0.0, table[CENTRE, j], table[FACTOR, j], rough.middle[j]
        if table[LOG, j] != 0.0:
            _enter_logarithmic(values, table[LOG, j], clip, centre, factor, middle, j == 0, column, norms, out_scores)
        else:
            _enter_linear(values, clip, centre, factor, middle, j == 0, column, norms, out_scores)
    return compare(rough, columns.shape[0], high - low, out_labels)
