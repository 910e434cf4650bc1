"""Ids of one column → numbers from 0 in the order they come, for what is kept beside a request's main table."""

from __future__ import annotations

import secrets

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.keys import Keys, KeyTable
from kernels.parts import hash_and_part
from proto.limits import Limits
from service import columns as cols
from service.identities import check_text

__all__ = ["Numbering", "by_appearance"]

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]


class Numbering:
    """The distinct ids seen so far. One call at a time."""

    def __init__(self, id_type: pa.DataType, limits: Limits) -> None:
        self.id_type = id_type
        self._table = KeyTable(cols.is_fixed_id(id_type))
        self._seed = secrets.randbits(63)  # nobody can craft ids that collide
        self._limits = limits

    @property
    def n(self) -> int:
        """How many there are."""
        return self._table.n_keys

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._table.nbytes

    @property
    def text_bytes(self) -> int:
        """The bytes of the ids themselves, where they are text."""
        return self._table.text_bytes

    def number(self, keys: Keys, keep: npt.NDArray[np.bool_] | None = None) -> tuple[Numbers, Numbers]:
        """(rows int32[m] that `keep` keeps, ascending; the number of each, int32[m]). A new id gets the next number.

        RequestError(LIMIT_EXCEEDED) when the texts that are held take too much.
        """
        hashes, (rows,) = hash_and_part(keys, self._seed, 1, keep)
        numbers = self._table.number(keys, hashes, rows)
        check_text(self.text_bytes, self._limits)
        return rows, numbers

    def keys(self) -> Keys:
        """All ids by their numbers."""
        return self._table.keys()

    def name(self, number: int) -> str:
        """One id as text, for a message."""
        return str(cols.id_column(self.keys(), self.id_type)[number].as_py())


def by_appearance(values: Ints) -> tuple[Ints, Ints]:
    """(the distinct values in the order they first appear, the place of each value among them)."""
    distinct, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return distinct[order], places[inverse]
