"""A customer's last value of a column: of its rows that have one, the latest, and of equally late ones the last.

value of the row with the greatest (tick, row number) among those where the value is not missing

While no value is missing, all columns share the tick of the customer's latest row, and a row older than a purchase
already seen (Part.latest leaves it out) is looked at no more. From the first batch on that lacks a value each column
has its own tick, and every row counts.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import MISSING, Part, widened, with_room
from kernels.slots import AHEAD

_NAN_BITS = int(np.array(np.nan).view(np.int64))
_NEVER = np.iinfo(np.int64).min
_MAGNITUDE = np.iinfo(np.int64).max  # a float's bits without the sign; beyond those of infinity it is NaN
_INFINITY = 0x7FF0_0000_0000_0000
_LINE_WORDS = 8
_TICK_BYTES = 8
_BLOCK = 8_192  # rows, whose customers' lines are at most 512 KiB: they stay in L2 from column to column


@kernel
def _take(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    latest: NDArray[np.int32],
    ticks: NDArray[np.int64],
    last: NDArray[np.int64],
    values: NDArray[Any],
    place: int,
    first: NDArray[Any],
    out_rows: NDArray[np.int32],
    out_numbers: NDArray[np.int32],
) -> int:
    """Write the ticks of rows that are not older than what their customers have to last int64[n_customers, w].

    latest int32[m]: places in rows, of those to look at; first: last as the kind of the first column's values, which
    are written here too. Return how many rows that were; they and their customers are written to out_rows and
    out_numbers (both [m]), for the other columns.
    """
    n = np.uint64(0)
    for k in range(len(latest)):
        if k + AHEAD < len(latest):
            prefetch(last, np.int64(numbers[np.uint64(latest[k + AHEAD])]))
        j = np.uint64(latest[k])
        number, row = np.uint64(numbers[j]), np.uint64(rows[j])
        tick = ticks[row]
        if tick >= last[number, 0]:
            last[number, 0] = tick
            first[number, place] = values[row]
            out_rows[n] = rows[j]
            out_numbers[n] = numbers[j]
            n += np.uint64(1)
    return int(np.int64(n))


@kernel
def _put(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    values: NDArray[Any],
    place: int,
    last: NDArray[Any],
) -> None:
    """Write values[rows[k]] to last[numbers[k], place], both of one kind; their lines were just touched."""
    for k in range(len(rows)):
        last[np.uint64(numbers[k]), place] = values[np.uint64(rows[k])]


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    values: NDArray[np.int64],
    are_floats: NDArray[np.uint8],
    last: NDArray[np.int64],
) -> None:
    """Write the values of later rows: values int64[c, m], or the bits of floats, of which those of NaN are missing.

    last int64[n_customers · 2 · c]: of each customer the ticks, then the values, so that all columns share its lines.
    """
    n_columns = len(are_floats)
    width = np.int64(2 * n_columns)
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            for word in range(0, width, _LINE_WORDS):
                prefetch(last, np.int64(numbers[j + AHEAD]) * width + word)
        i = np.uint64(rows[j])
        if actions[i] < rec.REFUND:
            continue
        tick, start = ticks[i], np.int64(numbers[j]) * width
        for c in range(n_columns):
            place = start + c
            if tick < last[place]:
                continue
            value = values[c, j]
            if value & _MAGNITUDE <= _INFINITY if are_floats[c] else value != MISSING:
                last[place] = tick
                last[place + n_columns] = value


@kernel
def _write(
    last: NDArray[np.int64],
    tick_place: int,
    values: NDArray[Any],
    place: int,
    slots: NDArray[np.int32],
    places: NDArray[np.int64],
    missing: Any,
    out: NDArray[Any],
) -> None:
    """Write values[slots[k], place] to out[places[k]], and missing where last[slots[k], tick_place] is _NEVER."""
    for k in range(len(slots)):
        slot = np.uint64(slots[k])
        out[np.uint64(places[k])] = missing if last[slot, tick_place] == _NEVER else values[slot, place]


class LastValues:
    """The last values of some columns for one shard; `columns`: by name in Part.columns, what they come as.

    While they are kept together a customer's tick comes first and then its values, the wide ones before the narrow
    ones, in 16, 32 or 64 bytes: so it has one line of memory, and many customers' values are near.
    """

    reads_latest = True

    def __init__(self, columns: Mapping[str, np.dtype[Any]]) -> None:
        self._names, self._dtypes = tuple(columns), [np.dtype(dtype) for dtype in columns.values()]
        are_floats = [dtype.type in (np.float64, np.uint8) for dtype in self._dtypes]  # flags are kept apart as floats
        self._are_floats = readonly(np.array(are_floats, dtype=np.uint8))
        self._places, n_bytes = [0] * len(columns), _TICK_BYTES
        for column in sorted(range(len(columns)), key=lambda i: -self._dtypes[i].itemsize):
            self._places[column] = n_bytes // self._dtypes[column].itemsize
            n_bytes += self._dtypes[column].itemsize
        n_words = max(2, 1 << (-(-n_bytes // _TICK_BYTES) - 1).bit_length())
        self._together = np.empty((0, n_words), dtype=np.int64)
        self._apart: NDArray[np.int64] | None = None  # [n_customers, 2 · n_columns], where a value was missing

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._together.nbytes if self._apart is None else self._apart.nbytes

    def add(self, part: Part) -> None:
        """Take the values of the rows that are kept, refunds too."""
        if self._apart is None and not part.complete.issuperset(self._names):
            self._part_columns()
        if self._apart is not None:
            self._add_apart(self._apart, part)
            return
        self._together = with_room(self._together, part.n_customers, _NEVER)
        rows, numbers = (np.empty(min(len(part.latest), _BLOCK), dtype=np.int32) for _ in range(2))
        columns = [readonly(_as_bits(part.columns[name])) for name in self._names]
        targets = [
            (values, place, self._together.view(values.dtype))
            for values, place in zip(columns, self._places, strict=True)
        ]
        for start in range(0, len(part.latest), _BLOCK):
            block = part.latest[start : start + _BLOCK]
            n = _take(part.rows, part.numbers, block, part.batch.ticks, self._together, *targets[0], rows, numbers)
            for target in targets[1:]:
                _put(readonly(rows[:n]), readonly(numbers[:n]), *target)

    def _part_columns(self) -> None:
        """Give each column a tick of its own."""
        n = len(self._together)
        ticks = np.repeat(self._together[:, :1], len(self._names), axis=1)
        values = [_as_words(self._own(column)[:, place]) for column, place in enumerate(self._places)]
        self._apart = np.concatenate([ticks, *(words.reshape(n, 1) for words in values)], axis=1)
        self._together = self._together[:0]

    def _own(self, column: int) -> NDArray[Any]:
        """Return the customers' lines as values of a column's type, floats as their bits."""
        dtype = self._dtypes[column]
        return self._together.view(np.int64 if dtype == np.float64 else dtype)

    def _add_apart(self, last: NDArray[np.int64], part: Part) -> None:
        self._apart = last = with_room(last, part.n_customers, _NEVER)
        actions, ticks, _ = part.batch
        values = readonly(np.stack([_as_words(part.columns[name][part.rows]) for name in self._names]))
        _add(part.rows, part.numbers, actions, ticks, values, self._are_floats, last.reshape(-1))

    def write(self, column: int, slots: NDArray[np.int32], places: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Write a column's value of customer slots[k] to out[places[k]], float64 or int64; NaN or MISSING for none."""
        n_columns, n, is_float = len(self._names), int(slots.max(initial=-1)) + 1, out.dtype == np.float64
        missing = _NAN_BITS if is_float else MISSING
        customers = readonly(slots), readonly(places)
        if self._apart is not None:
            last = with_room(self._apart, n, _NEVER)
            _write(last, column, last, n_columns + column, *customers, missing, out.view(np.int64))
            return
        self._together = with_room(self._together, n, _NEVER)
        if self._dtypes[column] == np.uint8:
            _write(self._together, 0, self._own(column), self._places[column], *customers, np.nan, out)
        else:
            values = self._own(column), self._places[column]
            _write(self._together, 0, *values, *customers, missing, out.view(np.int64))

    def values(self, n: int, column: int = 0) -> NDArray[Any]:
        """Return float64[n] or int64[n] of one of the columns; NaN or MISSING where there was none."""
        found = np.empty(n, dtype=np.float64 if self._are_floats[column] else np.int64)
        self.write(column, np.arange(n, dtype=np.int32), np.arange(n), found)
        return found


def _as_bits(values: NDArray[Any]) -> NDArray[Any]:
    """Return floats as their bits."""
    return values.view(np.int64) if values.dtype == np.float64 else values


def _as_words(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return a column's values in 64 bits each."""
    return _as_bits(widened(values))
