"""Names for the array types that kernels take; shapes and units stand in each docstring."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Labels = NDArray[np.int32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Places = NDArray[np.uint64]
