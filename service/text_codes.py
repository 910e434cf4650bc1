"""The texts of a column beside the ids (labels, groups) as numbers that accumulators can keep, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.accumulators import MISSING, NO_CODE
from kernels.hashing import RowKeys
from kernels.keys import FixedKeys
from proto.limits import Limits
from service import columns as cols
from service.identities import Identities

__all__ = ["TextCodes", "codes_of"]

Ints = npt.NDArray[np.int64]

_TEXTS = pa.dictionary(pa.int32(), pa.utf8())
"""As which every type of text becomes numbers."""


class TextCodes:
    """What the texts of one column have become so far: the same number for a text in any type. In any thread.

    Which text gets which number depends on which thread sees it first.
    """

    def __init__(self, limits: Limits, n_shards: int = 1) -> None:
        self._texts = Identities(_TEXTS, count_rows=False, limits=limits, n_shards=n_shards)

    @property
    def held_bytes(self) -> int:
        """The bytes held."""
        return self._texts.held_bytes

    def of(self, array: pa.Array) -> Ints:
        """int64[n], MISSING where there is no text.

        RequestError(LIMIT_EXCEEDED) when the texts that are held take too much.
        """
        return codes_of(self._texts.keys_of(array), array)

    def narrow(self, array: pa.Array) -> npt.NDArray[np.int32]:
        """The same as int32[n], NO_CODE where there is no text."""
        numbers, valid = self._texts.numbers_of(array), cols.validity(array)
        return numbers if valid is None else np.where(valid, numbers, np.int32(NO_CODE))

    def texts(self, codes: Ints) -> list[str]:
        """The texts that became these numbers, of which none is MISSING."""
        if not len(codes):
            return []
        keys = self._texts.restore(FixedKeys(codes.view(np.uint64)))
        return list(cols.id_column(keys, pa.utf8()).to_pylist())


def codes_of(keys: RowKeys, array: pa.Array) -> Ints:
    """Keys of one word as int64[n], MISSING where the array that they were made of has a null."""
    assert isinstance(keys, FixedKeys)
    codes: Ints = keys.bits.view(np.int64)
    valid = cols.validity(array)
    return codes if valid is None else np.where(valid, codes, MISSING)
