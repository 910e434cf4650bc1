"""A customer's last value of a column: of its rows that have one, the latest, and of equally late ones the last.

value of the row with the greatest (tick, row number) among those where the value is not missing

While no value is missing, a customer's last values are those of its last row. Which rows come after all purchases
before them is known (Part.latest): where all rows are purchases, each of those is the last one so far, and no tick is
kept. Refunds have ticks of their own from the first one on. From the first batch on that lacks a value each column has
its own tick, and every row counts.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import MISSING, Part, with_room
from kernels.packing import WORD_BYTES, Packed, pack, packed_places, repacked
from kernels.slots import AHEAD

_NAN_BITS = int(np.array(np.nan).view(np.int64))
_NEVER = np.iinfo(np.int64).min
_MAGNITUDE = np.uint64(np.iinfo(np.int64).max)  # a float's bits without the sign; beyond those of infinity it is NaN
_INFINITY = np.uint64(0x7FF0_0000_0000_0000)
_LINE_WORDS = 8
_ONES = np.uint64(2**64 - 1)  # a float that is NaN, narrow values that are not there
_NAN = np.uint64(_NAN_BITS)
_NONE = np.uint64(MISSING % 2**64)  # an int64 that is not there; also the tick that never was
_BLOCK = 8_192  # rows, whose customers' lines are at most 512 KiB: they stay in L2 from word to word


@kernel
def _put(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    latest: NDArray[np.int32],
    values: NDArray[Any],
    place: int,
    lines: NDArray[Any],
) -> None:
    """Write values[rows[j]] to lines[numbers[j], place] for the places j in latest, both of one kind."""
    for k in range(len(latest)):
        if k + AHEAD < len(latest):
            prefetch(lines, np.int64(numbers[np.uint64(latest[k + AHEAD])]))
        j = np.uint64(latest[k])
        lines[np.uint64(numbers[j]), place] = values[np.uint64(rows[j])]


@kernel
def _put_three(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    latest: NDArray[np.int32],
    first: NDArray[np.uint64],
    second: NDArray[np.uint64],
    third: NDArray[np.uint64],
    place: int,
    lines: NDArray[np.uint64],
) -> None:
    """Do as _put for three words that follow each other: two thirds of the time of three calls."""
    for k in range(len(latest)):
        if k + AHEAD < len(latest):
            prefetch(lines, np.int64(numbers[np.uint64(latest[k + AHEAD])]))
        j = np.uint64(latest[k])
        number, row = np.uint64(numbers[j]), np.uint64(rows[j])
        lines[number, place] = first[row]
        lines[number, place + 1] = second[row]
        lines[number, place + 2] = third[row]


@kernel
def _list_after_refunds(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    latest: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    refund_ticks: NDArray[np.int64],
    out: NDArray[np.int32],
) -> int:
    """Write those of latest to out that are not older than their customers' refunds before; return how many.

    refund_ticks int64[n_customers]: of the latest refunds that were such; those of this batch are written to it.
    """
    n = np.uint64(0)
    for k in range(len(latest)):
        if k + AHEAD < len(latest):
            prefetch(refund_ticks, np.int64(numbers[np.uint64(latest[k + AHEAD])]))
        j = np.uint64(latest[k])
        number, row = np.uint64(numbers[j]), np.uint64(rows[j])
        if ticks[row] >= refund_ticks[number]:
            out[n] = latest[k]
            n += np.uint64(1)
            if actions[row] == rec.REFUND:
                refund_ticks[number] = ticks[row]
    return int(np.int64(n))


@kernel
def _put_apart(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    ticks: NDArray[np.int64],
    words: NDArray[np.uint64],
    n_columns: int,
    size: int,
    missing: np.uint64,
    place: int,
    tick_place: int,
    width: int,
    lines: NDArray[np.uint64],
) -> None:
    """Write what words[rows[j]] have of n_columns columns, where it is there and not too old.

    lines [n_customers · width]: of each customer this word at `place`, from tick_place on the ticks of its columns. A
    value has `size` bytes; `missing` is what one looks like that is not there: _NAN stands for any NaN.
    """
    bits = np.uint64(8 * size)
    mask = _ONES >> (np.uint64(64) - bits)
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            ahead = np.int64(numbers[j + AHEAD]) * width
            prefetch(lines, ahead + place)
            prefetch(lines, ahead + tick_place)
        i, start = np.uint64(rows[j]), np.int64(numbers[j]) * width
        if actions[i] < rec.REFUND:
            continue
        tick, word, held = ticks[i], words[i], lines[start + place]
        for c in range(n_columns):
            shift = np.uint64(c) * bits
            value = word >> shift & mask
            there = value & _MAGNITUDE <= _INFINITY if missing == _NAN else value != missing
            if there and tick >= np.int64(lines[start + tick_place + c]):
                lines[start + tick_place + c] = np.uint64(tick)
                held = held & ~(mask << shift) | value << shift
        lines[start + place] = held


@kernel
def _write(
    lines: NDArray[np.uint64],
    place: int,
    slots: NDArray[np.int32],
    places: NDArray[np.int64],
    fill: np.uint64,
    missing: int,
    out: NDArray[np.int64],
) -> None:
    """Write lines[slots[k], place] to out[places[k]], and missing where that is fill."""
    for k in range(len(slots)):
        value = lines[np.uint64(slots[k]), place]
        out[np.uint64(places[k])] = missing if value == fill else np.int64(value)


@kernel
def _write_narrow(
    lines: NDArray[Any],
    place: int,
    slots: NDArray[np.int32],
    places: NDArray[np.int64],
    meanings: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Write meanings[1 + lines[slots[k], place]] to out[places[k]]; what is not there is -1."""
    for k in range(len(slots)):
        value = np.int64(lines[np.uint64(slots[k]), place])
        out[np.uint64(places[k])] = meanings[np.uint64(value + 1)]


@kernel
def _mark(lines: NDArray[Any], place: int, used: NDArray[np.uint8]) -> None:
    """Write 1 to used[1 + lines[i, place]] of all customers; what is not there is -1."""
    for i in range(len(lines)):
        used[np.uint64(np.int64(lines[i, place]) + 1)] = 1


class LastValues:
    """The last values of some columns for one shard; `columns`: by name in Part.columns, what they come as.

    Columns of codes may come wider with time. A customer has a word of 64 bits for each wide column, then those that
    its narrow ones share (see packing.py), then, once a value was missing, a tick for each column: 1, 2, 4 or 8 words
    in all, or lines of 8. So it has one line of memory, and many customers' values are near. One narrow column by
    itself takes its own bytes only.
    """

    reads_latest = True

    def __init__(self, columns: Mapping[str, np.dtype[Any]]) -> None:
        self._names, self._dtypes = tuple(columns), [np.dtype(dtype) for dtype in columns.values()]
        self._wide = [i for i, dtype in enumerate(self._dtypes) if dtype.itemsize == WORD_BYTES]
        self._narrow = [i for i, dtype in enumerate(self._dtypes) if dtype.itemsize < WORD_BYTES]
        self._is_apart, self._fill = False, cast(Any, -1)
        self._lines: NDArray[Any] = np.empty((0, 1), dtype=np.int64)
        self._refund_ticks: NDArray[np.int64] | None = None  # [n_customers]; see _list_after_refunds
        self._lay_out(0)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._lines.nbytes + (0 if self._refund_ticks is None else self._refund_ticks.nbytes)

    def needs_ticks(self, complete: Collection[str]) -> bool:
        """Whether a part of which these columns are complete has to bring Part.ticks_before."""
        return not self._is_apart and not all(name in complete for name in self._names)

    def add(self, part: Part) -> None:
        """Take the values of the rows that are kept, refunds too."""
        if self.needs_ticks(part.complete):
            self._part_columns(part.ticks_before)
        words = self._words_of(part)
        self._lines = with_room(self._lines, part.n_customers, self._fill)
        latest = part.rows if self._is_apart else self._latest_of(part)
        n_block = _BLOCK if len(words) > 1 else max(len(latest), 1)
        for start in range(0, len(latest), n_block):
            block = slice(start, start + n_block)
            if self._is_apart:
                self._add_apart(part._replace(rows=part.rows[block], numbers=part.numbers[block]), words)
            else:
                self._add_latest(part._replace(latest=latest[block]), words)

    def _lay_out(self, n_customers: int) -> None:
        """Make lines for so many customers, in which nothing is there."""
        sizes, n_wide = [self._dtypes[column].itemsize for column in self._narrow], len(self._wide)
        places, n_packed = packed_places(sizes)
        self._is_alone = not self._is_apart and not n_wide and len(sizes) == 1
        self._columns_of = [[column] for column in self._wide] + [[] for _ in range(n_packed)]  # of each word
        self._places = [0] * len(self._names)  # in lines of a column's own type
        for word, column in enumerate(self._wide):
            self._places[column] = word
        for column, size, (word, place) in zip(self._narrow, sizes, places, strict=True):
            self._columns_of[n_wide + word].append(column)
            self._places[column] = 0 if self._is_alone else (n_wide + word) * (WORD_BYTES // size) + place
        if self._is_alone:
            self._fill = -1
            self._lines = with_room(np.empty((0, 1), dtype=f"i{sizes[0]}"), n_customers, -1)
            return
        fills = [_NONE if self._dtypes[columns[0]] == np.int64 else _ONES for columns in self._columns_of]
        fills += [_NONE] * len(self._names) * self._is_apart
        width = len(fills)
        width = 1 << (width - 1).bit_length() if width <= _LINE_WORDS else -(-width // _LINE_WORDS) * _LINE_WORDS
        fills += fills[-1:] * (width - len(fills))
        self._fill = fills[0] if len(set(fills)) == 1 else np.array(fills)  # numpy is slow to write rows
        self._lines = with_room(np.empty((0, width), dtype=np.uint64), n_customers, self._fill)

    def _own(self, column: int) -> NDArray[Any]:
        """Return the customers' values of a column, floats as their bits."""
        dtype = self._dtypes[column]
        return self._lines.view(np.uint64 if dtype.itemsize == WORD_BYTES else dtype)[:, self._places[column]]

    def _tick_places(self) -> list[int]:
        """Return the word of a customer's line where each column's tick is, where they are apart."""
        n_words, by_word = len(self._columns_of), [column for columns in self._columns_of for column in columns]
        return [n_words + by_word.index(column) for column in range(len(self._names))]

    def _lay_again(self, is_apart: bool, dtypes: Sequence[np.dtype[Any]], ticks: NDArray[np.int64]) -> None:
        """Lay the lines out anew for columns of these types, with ticks [n, 1 or one for each] where they are apart."""
        values = [self._own(column).copy() for column in range(len(self._names))]
        self._is_apart, self._dtypes = is_apart, list(dtypes)
        self._lay_out(max(len(ticks), len(self._lines)))
        for column, own in enumerate(values):
            self._own(column)[: len(own)] = own
        if is_apart:
            self._lines.view(np.int64)[: len(ticks), self._tick_places()] = ticks

    def _part_columns(self, ticks_before: NDArray[np.int64]) -> None:
        """Give each column a tick of its own: that of the customer's last row."""
        ticks = ticks_before
        if self._refund_ticks is not None:
            ticks = np.maximum(ticks, with_room(self._refund_ticks, len(ticks), _NEVER)[: len(ticks)])
            self._refund_ticks = None
        self._lay_again(True, self._dtypes, ticks.reshape(-1, 1))

    def _words_of(self, part: Part) -> list[NDArray[Any]]:
        """Return the columns of a batch as words, narrow ones as wide as they are kept; lines grow to what came."""
        wide = [readonly(part.columns[self._names[column]].view(np.uint64)) for column in self._wide]
        if not self._narrow:
            return wide
        names, own = tuple(self._names[column] for column in self._narrow), self._narrow_sizes()
        if self._is_alone:
            packed = Packed(names, (part.columns[names[0]].itemsize,), (part.columns[names[0]],))
        elif part.packed is not None and part.packed.names == names:
            packed = part.packed
        else:
            packed = pack({name: part.columns[name] for name in names})
        if packed.sizes != own:
            own = tuple(max(sizes) for sizes in zip(own, packed.sizes, strict=True))
            if own != self._narrow_sizes():
                dtypes = list(self._dtypes)
                for column, size in zip(self._narrow, own, strict=True):
                    dtypes[column] = dtypes[column] if dtypes[column].itemsize == size else np.dtype(f"i{size}")
                ticks = np.zeros((0, 1), dtype=np.int64)
                if self._is_apart:
                    ticks = self._lines.view(np.int64)[:, self._tick_places()]
                self._lay_again(self._is_apart, dtypes, ticks)
        if self._is_alone:
            values = packed.words[0] if packed.sizes == own else packed.words[0].astype(f"i{own[0]}")
            return [readonly(values.view(f"u{own[0]}"))]
        if packed.sizes != own:
            packed = repacked(packed, own)
        return wide + list(packed.words)

    def _narrow_sizes(self) -> tuple[int, ...]:
        return tuple(self._dtypes[column].itemsize for column in self._narrow)

    def _latest_of(self, part: Part) -> NDArray[np.int32]:
        """Return the places of the rows that are the last so far, of purchases and refunds."""
        actions, ticks, _ = part.batch
        if self._refund_ticks is None:
            if not (actions == rec.REFUND).any():
                return part.latest
            self._refund_ticks = np.empty(0, dtype=np.int64)
        self._refund_ticks = with_room(self._refund_ticks, part.n_customers, _NEVER)
        found = np.empty(len(part.latest), dtype=np.int32)
        rows = part.rows, part.numbers, part.latest
        n = _list_after_refunds(*rows, actions, ticks, self._refund_ticks, found)
        return readonly(found[:n])

    def _add_latest(self, part: Part, words: Sequence[NDArray[Any]]) -> None:
        rows, lines = (part.rows, part.numbers, part.latest), self._lines.view(words[0].dtype)
        word = 0
        while word < len(words):
            if len(words) - word >= 3:
                _put_three(*rows, words[word], words[word + 1], words[word + 2], word, lines)
                word += 3
            else:
                _put(*rows, words[word], word, lines)
                word += 1

    def _add_apart(self, part: Part, words: Sequence[NDArray[np.uint64]]) -> None:
        actions, ticks, _ = part.batch
        tick_place, lines = len(words), self._lines.reshape(-1)
        for word, (values, columns) in enumerate(zip(words, self._columns_of, strict=True)):
            dtype = self._dtypes[columns[0]]
            missing = (
                _NAN if dtype == np.float64 else _NONE if dtype == np.int64 else _ONES >> (64 - 8 * dtype.itemsize)
            )
            places = word, tick_place, self._lines.shape[1]
            _put_apart(
                part.rows, part.numbers, actions, ticks, values, len(columns), dtype.itemsize, missing, *places, lines
            )
            tick_place += len(columns)

    def write(
        self,
        column: int,
        slots: NDArray[np.int32],
        places: NDArray[np.int64],
        out: NDArray[Any],
        meanings: NDArray[np.int64] | None = None,
    ) -> None:
        """Write a column's value of customer slots[k] to out[places[k]], float64 or int64; NaN or MISSING for none.

        meanings int64[n_codes]: what is written for the codes of a narrow column; None: the codes themselves.
        """
        self._lines = with_room(self._lines, int(slots.max(initial=-1)) + 1, self._fill)
        dtype, customers, bits = self._dtypes[column], (readonly(slots), readonly(places)), out.view(np.int64)
        if dtype.itemsize == WORD_BYTES:
            fill, missing = (_ONES, _NAN_BITS) if dtype == np.float64 else (_NONE, MISSING)
            _write(self._lines, self._places[column], *customers, fill, missing, bits)
            return
        none = MISSING
        if dtype == np.uint8:
            none, meanings = _NAN_BITS, np.array([0.0, 1.0]).view(np.int64)
        elif meanings is None:
            meanings = np.arange(self._own(column).max(initial=-1) + 1, dtype=np.int64)
        lines = self._lines.view(f"i{dtype.itemsize}")
        table = readonly(np.concatenate([np.array([none]), meanings]))
        _write_narrow(lines, self._places[column], *customers, table, bits)

    def codes(self, column: int) -> NDArray[np.bool_]:
        """Return bool[n_codes]: which codes of a narrow column customers have."""
        used = np.zeros(int(self._own(column).max(initial=-1)) + 2, dtype=np.uint8)
        _mark(self._lines.view(f"i{self._dtypes[column].itemsize}"), self._places[column], used)
        return used[1:].view(np.bool_)

    def values(self, n: int, column: int = 0) -> NDArray[Any]:
        """Return float64[n] or int64[n] of one of the columns; NaN or MISSING where there was none."""
        is_float = self._dtypes[column].type in (np.float64, np.uint8)  # flags are told as floats
        found = np.empty(n, dtype=np.float64 if is_float else np.int64)
        self.write(column, np.arange(n, dtype=np.int32), np.arange(n), found)
        return found
