"""The texts of a column beside the ids (labels, groups) as numbers that accumulators can keep, and back."""

from __future__ import annotations

from typing import Any

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
        self._kind: np.dtype[Any] = np.dtype(np.int8)

    @property
    def held_bytes(self) -> int:
        """The bytes held."""
        return self._texts.held_bytes

    def of(self, array: pa.Array) -> Ints:
        """int64[n], MISSING where there is no text.

        RequestError(LIMIT_EXCEEDED) when the texts that are held take too much.
        """
        return codes_of(self._texts.keys_of(array), array)

    def narrow(self, array: pa.Array, valid: npt.NDArray[np.bool_] | None) -> npt.NDArray[Any]:
        """The same in as few bytes as this column's codes need, NO_CODE where there is no text: see cols.validity."""
        numbers = self._texts.numbers_of(array)
        kind = max(self._kind, numbers.dtype)  # once wide, wide: what is kept of them need not change again
        self._kind = kind  # which another thread may lower again: it is looked at once
        numbers = numbers.astype(kind, copy=False)
        return numbers if valid is None else np.where(valid, numbers, numbers.dtype.type(NO_CODE))

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
