"""Arrow arrays as senders make them, and what the keys of a column hold."""

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from kernels.keys import ByteKeys, FixedKeys, Keys

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]


def bounds(integer: pa.DataType) -> st.SearchStrategy[int]:
    info = np.iinfo(integer.to_pandas_dtype())
    return st.integers(int(info.min), int(info.max)) | st.sampled_from([int(info.min), 0, int(info.max)])


def sliced(array: pa.Array, left: int, right: int) -> pa.Array:
    """The array as the middle of a longer one, so that offsets are not 0."""
    if len(array) == 0:
        return array
    padding = pa.concat_arrays([array[:1]] * 3)
    whole = pa.concat_arrays([padding[:left], array, padding[:right]])
    return whole.slice(left, len(array))


def texts_of(keys: Keys) -> list[bytes]:
    assert isinstance(keys, ByteKeys)
    data = keys.data.tobytes()
    return [data[s : s + n] for s, n in zip(keys.starts.tolist(), keys.lengths.tolist(), strict=True)]


def check_kind(keys: Keys) -> None:
    if isinstance(keys, FixedKeys):
        assert keys.bits.dtype == np.uint64
        assert keys.bits.flags.aligned
    else:
        assert (keys.data.dtype, keys.starts.dtype, keys.lengths.dtype) == (np.uint8, np.int64, np.int32)
