"""The customer ids of one request as keys that its table holds in few words, and back.

Integers stay as they are. Where frequency counts rows, text becomes two words (see kernels/texts.py) and a UUID is two
words already; for other occasions a dictionary's entries become numbers, and other ids stay bytes. Batches that share a
dictionary share what its entries have become.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels._run import Run, run_serially
from kernels.dictionaries import Entries, narrow_kind, spans
from kernels.hashing import RowKeys
from kernels.interning import Interner
from kernels.keys import ByteKeys, FixedKeys, Keys, WideKeys, take_keys
from kernels.texts import pack_texts, put_numbers, unpack_texts
from proto.limits import Limits, over
from service import columns as cols

__all__ = ["Identities", "KeyKind", "check_text"]

KeyKind = Literal["fixed", "wide", "bytes"]
"""Which of FixedKeys, WideKeys and ByteKeys a table gets."""

Bools = npt.NDArray[np.bool_]

_DICTIONARIES = 4  # that are remembered: as many as the batches at work at one time may have
_MOST_ENTRIES = 1 << 22  # of a dictionary that is packed as a whole, 64 MiB; of a larger one each row is


class Identities:
    """What the ids of one type have become so far."""

    def __init__(self, id_type: pa.DataType, *, count_rows: bool, limits: Limits, n_shards: int = 1) -> None:
        self._is_text = not (cols.is_fixed_id(id_type) or pa.types.is_fixed_size_binary(id_type))
        self.kind: KeyKind = "bytes"
        if cols.is_fixed_id(id_type):
            self.kind = "fixed"
        elif count_rows:
            self.kind = "wide"
        elif pa.types.is_dictionary(id_type):
            self.kind = "fixed"
        self._limits, self._interner = limits, Interner(n_shards)
        # with the dictionaries they are of, so that nothing else can come to lie at those addresses
        self._entries: deque[tuple[tuple[int, ...], pa.Array, Entries]] = deque(maxlen=_DICTIONARIES)
        self._lock = threading.Lock()

    def keys_of(self, array: pa.Array, keep: Bools | None = None) -> RowKeys:
        """The ids of a column, of this type or, where that is a dictionary, of its value type. In any thread.

        Rows that `keep` leaves out, among them all missing ids, get a key without meaning. RequestError(LIMIT_EXCEEDED)
        when the texts that are held take too much.
        """
        if self.kind == "bytes" or not self._is_text:
            return WideKeys(cols.uuid_words(array)) if self.kind == "wide" else cols.keys_of(array)
        keys: RowKeys
        if pa.types.is_dictionary(array.type) and (self.kind == "fixed" or len(array.dictionary) <= _MOST_ENTRIES):
            keys = self._entries_of(array.dictionary).keys_of(cols.dictionary_indices(array), keep)
        elif self.kind == "wide":
            keys = self._packed(array, keep)
        else:
            keys = FixedKeys(self._interner.number(_bytes_of(array)).astype(np.uint64))
        check_text(self.text_bytes, self._limits)
        return keys

    def numbers_of(self, array: pa.Array) -> npt.NDArray[Any]:
        """The texts of a column as numbers of one to four bytes, where `keys_of` gives numbers; missing ones without
        meaning."""
        if pa.types.is_dictionary(array.type):
            numbers: npt.NDArray[Any] = self._entries_of(array.dictionary).numbers_of(cols.dictionary_indices(array))
        else:
            numbers = self._interner.number(_bytes_of(array))
            numbers = numbers.astype(narrow_kind(int(numbers.max(initial=0))), copy=False)
        check_text(self.text_bytes, self._limits)
        return numbers

    @property
    def text_bytes(self) -> int:
        """Bytes of the distinct texts that became numbers."""
        return self._interner.text_bytes

    @property
    def held_bytes(self) -> int:
        """What is held here: distinct texts, and what the entries of the last dictionaries have become."""
        entries: int = sum(dictionary.nbytes + 20 * len(dictionary) for _, dictionary, _ in list(self._entries))
        return self._interner.nbytes + entries

    def restore(self, keys: Keys, run: Run = run_serially) -> Keys:
        """The ids that `keys_of` made these of: FixedKeys of integers, all others ByteKeys without gaps."""
        if not self._is_text:
            return cols.uuid_keys(keys.words) if isinstance(keys, WideKeys) else keys
        if isinstance(keys, WideKeys):
            return unpack_texts(keys, self._interner.texts(), run)
        if isinstance(keys, FixedKeys):
            return take_keys(self._interner.texts(), keys.bits.view(np.int64))
        return keys

    def _packed(self, array: pa.Array, keep: Bools | None) -> WideKeys:
        """Texts as two words; those that need one get a number."""
        if pa.types.is_dictionary(array.type):
            texts = _bytes_of(array)
            data, offsets = texts.data, None
            starts, ends = texts.starts, texts.starts + texts.lengths
        else:
            data, offsets = cols.text_values(array)
            starts, ends = offsets[:-1], offsets[1:]
        words = np.empty((len(starts), 2), np.uint64)
        rows = pack_texts(data, starts, ends, words)
        if keep is not None:
            rows = rows[keep[rows]]
        if len(rows):
            if offsets is None:
                others = ByteKeys(data, texts.starts[rows], texts.lengths[rows])
            else:
                others = ByteKeys(data, *spans(offsets, rows))
            put_numbers(words, rows, self._interner.number(others))
        return WideKeys(words)

    def _entries_of(self, dictionary: pa.Array) -> Entries:
        """What the dictionary's entries have become, by the batches that shared it."""
        place = _place_of(dictionary)
        with self._lock:
            for known, _, entries in self._entries:
                if place == known:
                    return entries
            entries = Entries(*cols.text_values(dictionary), self._interner, wide=self.kind == "wide")
            self._entries.appendleft((place, dictionary, entries))
            return entries


def check_text(n_bytes: int, limits: Limits) -> None:
    """Refuses more text of distinct ids than the limits allow."""
    if n_bytes > limits.max_string_bytes:
        remedy = "Send fewer or shorter ids in one request, or integers."
        raise over("max_string_bytes", n_bytes, limits.max_string_bytes, remedy)


def _bytes_of(array: pa.Array) -> ByteKeys:
    keys = cols.keys_of(array)
    assert isinstance(keys, ByteKeys)
    return keys


def _place_of(dictionary: pa.Array) -> tuple[int, ...]:
    """Where a dictionary lies: of one at the same place none of the texts has to be read again."""
    return len(dictionary), dictionary.offset, *(buffer.address if buffer else 0 for buffer in dictionary.buffers())
