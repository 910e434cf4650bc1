"""Dictionary-encoded texts as keys: what an entry is to a table is found out once, not for each row.

    key of a row = entry[index of the row]

An entry becomes its two words (see texts.py), and its customer's code (see customer_entries.py) once that is known; or
a number. Numbers are asked for only when a row uses the entry for the first time, so a batch costs its rows and a few
bytes per entry, however often the dictionary changes.
"""

import threading
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, mask_bytes, prefetch, readonly
from kernels.hashing import ByteKeys, EntryKeys, FixedKeys
from kernels.interning import Interner
from kernels.pages import zeros
from kernels.texts import NO_NUMBER, pack_texts, put_numbers

Offsets = NDArray[np.int32] | NDArray[np.int64]
Indices = NDArray[np.int32] | NDArray[np.int64]

_AHEAD = 32  # rows between a prefetch and its use; entries of a million texts are far away
_MOST_NARROWED = 16_384  # codes that are copied to take fewer bytes
_NO_CODES = np.full(1, -1, dtype=np.int8)
_NO_CODES.flags.writeable = False
_UNUSED, _LISTED = -1, -2  # codes of entries without a number
_LISTED_WORD = np.uint64(33 << 56)  # and with NO_NUMBER their high words: no text has them
_LAST_WORD = np.uint64((34 << 56) - 1)


@kernel
def _look_up_codes(
    codes: NDArray[np.int32], indices: NDArray[Any], keep: NDArray[np.uint8], out: NDArray[np.uint64]
) -> int:
    """Write out[i] = codes[indices[i]], uint64[n]; return how many kept rows point at an entry without a number.

    An index outside the dictionary, as a missing value's slot may hold, is taken as 0.
    """
    n, n_without = np.uint64(len(codes)), 0
    for i in range(len(indices)):
        index = np.uint64(indices[i])
        code = codes[index if index < n else np.uint64(0)]
        out[i] = np.uint64(code)
        n_without += (code < 0) & (len(keep) == 0 or keep[i] != 0)
    return n_without


@kernel
def _look_up_narrow(codes: NDArray[Any], indices: NDArray[Any], out: NDArray[Any]) -> None:
    """Write out[i] = codes[indices[i]], both of one kind. Looking for codes below 0 too took half as long again."""
    n = np.uint64(len(codes))
    for i in range(len(indices)):
        index = np.uint64(indices[i])
        out[i] = codes[index if index < n else np.uint64(0)]


@kernel
def _look_up_entries(
    known: NDArray[np.int32], indices: NDArray[Any], entries: NDArray[np.int32], codes: NDArray[np.int32]
) -> None:
    """Write each row's entry, and what is known of it."""
    n = np.uint64(len(known))
    for i in range(len(indices)):
        if i + _AHEAD < len(indices):
            ahead = np.uint64(indices[i + _AHEAD])
            prefetch(known, np.int64(ahead if ahead < n else np.uint64(0)))
        index = np.uint64(indices[i])
        entry = index if index < n else np.uint64(0)
        entries[i] = np.int32(entry)
        codes[i] = known[entry]


@kernel
def _count_without(
    words: NDArray[np.uint64], entries: NDArray[np.int32], codes: NDArray[np.int32], keep: NDArray[np.uint8]
) -> int:
    """Return how many kept rows point at an entry that still lacks its number."""
    n = 0
    for i in range(len(entries)):
        if codes[i] < 0 and (len(keep) == 0 or keep[i] != 0):
            n += NO_NUMBER <= words[np.uint64(entries[i]), 1] <= _LAST_WORD
    return n


@kernel
def _list_codes(
    codes: NDArray[np.int32], indices: NDArray[Any], keep: NDArray[np.uint8], out: NDArray[np.int32]
) -> int:
    """Write the entries without a number that kept rows point at to out, each once; return how many."""
    n, n_listed = np.uint64(len(codes)), 0
    for i in range(len(indices)):
        index = np.uint64(indices[i])
        entry = index if index < n else np.uint64(0)
        if codes[entry] == _UNUSED and (len(keep) == 0 or keep[i] != 0):
            codes[entry] = _LISTED
            out[n_listed] = entry
            n_listed += 1
    return n_listed


@kernel
def _list_words(
    words: NDArray[np.uint64], indices: NDArray[Any], keep: NDArray[np.uint8], out: NDArray[np.int32]
) -> int:
    """Do the same for entries of two words."""
    n, n_listed = np.uint64(len(words)), 0
    for i in range(len(indices)):
        index = np.uint64(indices[i])
        entry = index if index < n else np.uint64(0)
        if words[entry, 1] == NO_NUMBER and (len(keep) == 0 or keep[i] != 0):
            words[entry, 1] = _LISTED_WORD
            out[n_listed] = entry
            n_listed += 1
    return n_listed


@kernel
def _spans(offsets: NDArray[Any], indices: NDArray[Any], starts: NDArray[np.int64], lengths: NDArray[np.int32]) -> None:
    """Write where the texts of entries indices[i] are; an index outside the dictionary is taken as 0."""
    n = np.uint64(len(offsets) - 1)
    for i in range(len(indices)):
        index = np.uint64(indices[i])
        entry = index if index < n else np.uint64(0)
        starts[i] = offsets[entry]
        lengths[i] = offsets[entry + np.uint64(1)] - offsets[entry]


def spans(offsets: Offsets, indices: Indices) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return (starts int64[m], lengths int32[m]) of the entries indices[j]; all 0 when there is no entry.

    offsets int32 or int64[n_entries + 1]; an index outside 0 … n_entries - 1 is taken as 0.
    """
    n = len(indices)
    if len(offsets) == 1:
        return np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int32)
    starts, lengths = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int32)
    _spans(readonly(offsets), readonly(indices), starts, lengths)
    return starts, lengths


class _Table(NamedTuple):
    """Codes of a dictionary's entries in as few bytes as they need, and whether one of them is below 0."""

    codes: NDArray[Any]
    has_negative: bool

    def look_up(self, indices: Indices) -> tuple[NDArray[Any], bool]:
        """Do as look_up."""
        out = np.empty(len(indices), dtype=self.codes.dtype)
        _look_up_narrow(self.codes, readonly(indices), out)
        return out, self.has_negative and bool(out.min(initial=0) < 0)


def _table_of(codes: NDArray[np.int32]) -> _Table:
    if not len(codes):
        return _Table(_NO_CODES, True)
    if len(codes) > _MOST_NARROWED:
        return _Table(readonly(codes), bool(codes.min() < 0))
    codes = np.array(codes)  # first of all: other threads write codes meanwhile
    narrow = codes.astype(narrow_kind(int(codes.max())))
    return _Table(readonly(narrow), bool(narrow.min() < 0))


def look_up(codes: NDArray[np.int32], indices: Indices) -> tuple[NDArray[Any], bool]:
    """Return (codes[indices[i]] of each row, whether one is below 0), in as few bytes as all codes, from -128 on, need.

    Those of more than 16,384 entries take four. An index outside the dictionary is taken as 0, and no codes as -1.
    """
    return _table_of(codes).look_up(indices)


def narrow_kind(greatest: int) -> np.dtype[Any]:
    """Return the type of the fewest bytes, one to four, that has codes up to the greatest."""
    return np.dtype(np.int8 if greatest <= 127 else np.int16 if greatest <= 32_767 else np.int32)


class Entries:
    """The entries of one dictionary as keys: entry i is data[offsets[i] : offsets[i + 1]]."""

    def __init__(self, data: NDArray[np.uint8], offsets: Offsets, interner: Interner, wide: bool) -> None:
        self._data, self._offsets, self._interner, self._wide = data, offsets, interner, wide
        self._lock = threading.Lock()  # of the entries without a number
        n = len(offsets) - 1
        self._codes = np.full(0 if wide else n, _UNUSED, dtype=np.int32)
        self._table: _Table | None = None
        self._words = np.empty((n if wide else 0, 2), dtype=np.uint64)
        self._known = zeros(n if wide else 0, np.int32)  # in large pages: each row reads any of it
        self._known.fill(_UNUSED)
        self._has_long = False  # texts that need a number
        if wide:
            self._has_long = len(pack_texts(data, offsets[:-1], offsets[1:], self._words)) > 0

    def keys_of(self, indices: Indices, keep: NDArray[np.bool_] | None = None) -> FixedKeys | EntryKeys:
        """Return the key of each row's entry; without meaning where keep bool[n] is False. In any thread."""
        indices, kept = readonly(indices), mask_bytes(keep)  # type: ignore[assignment]
        if not self._wide:
            out = np.empty(len(indices), dtype=np.uint64)
            self._write(indices, kept, out)
            return FixedKeys(out)
        entries, codes = np.empty(len(indices), dtype=np.int32), np.empty(len(indices), dtype=np.int32)
        if len(self._words):
            _look_up_entries(self._known, indices, entries, codes)
        else:  # nothing but missing ids
            entries[:], codes[:] = 0, _UNUSED
        if self._has_long and _count_without(self._words, readonly(entries), readonly(codes), kept):
            with self._lock:
                self._number_entries(indices, kept)
        words = self._words if len(self._words) else np.zeros((1, 2), dtype=np.uint64)
        return EntryKeys(words, readonly(entries), readonly(codes), self._known)

    def numbers_of(self, indices: Indices) -> NDArray[Any]:
        """Return the number of each row's entry, in as few bytes as they need, where entries become numbers.

        Without meaning where the dictionary is empty. In any thread.
        """
        table = self._table or _table_of(self._codes)
        out, has_unused = table.look_up(indices)
        if has_unused and len(self._codes):
            with self._lock:
                self._number_entries(readonly(indices), mask_bytes(None))  # type: ignore[arg-type]
            table = _table_of(self._codes)
            out, _ = table.look_up(indices)
        self._table = table  # may lack what another thread found meanwhile: who needs that comes here again
        return out

    def _write(self, indices: Indices, keep: NDArray[np.uint8], out: NDArray[np.uint64]) -> None:
        if len(self._offsets) == 1:  # nothing but missing ids
            out[:] = 0
        elif _look_up_codes(self._codes, indices, keep, out):
            with self._lock:
                self._number_entries(indices, keep)
            _look_up_codes(self._codes, indices, keep, out)

    def _number_entries(self, indices: Indices, keep: NDArray[np.uint8]) -> None:
        """Give numbers to the entries that the kept rows point at."""
        listed = np.empty(len(indices), dtype=np.int32)
        if self._wide:
            entries = listed[: _list_words(self._words, indices, keep, listed)]
        else:
            entries = listed[: _list_codes(self._codes, indices, keep, listed)]
        numbers = self._interner.number(ByteKeys(self._data, *spans(self._offsets, entries)))
        if self._wide:
            put_numbers(self._words, entries, numbers)
        else:
            self._codes[entries] = numbers
