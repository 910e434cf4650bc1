"""Whether all numbers of a column are finite: one pass over the bits, in vectors.

a float64 is NaN or infinite where all eleven bits of its exponent are set
"""

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, readonly

_EXPONENT = np.int64(0x7FF0_0000_0000_0000)


@kernel
def _all_finite(bits: NDArray[np.int64]) -> bool:
    """Without a branch: one that ends early would keep the loop from being vectorised."""
    n_odd = np.int64(0)
    for i in range(len(bits)):
        n_odd += np.int64((bits[i] & _EXPONENT) == _EXPONENT)
    return bool(n_odd == 0)


def all_finite(values: NDArray[np.float64]) -> bool:
    """Tell whether float64[n] holds neither NaN nor infinities."""
    return bool(_all_finite(readonly(values.view(np.int64))))
