"""Columns out of a JSON document, read where they lie: `{"columns": {"name": [numbers or texts, ...], ...}}`.

    number = digits · 10^−decimals, correctly rounded: one exact division, or a product with a power of ten of 128 bits

Source of the latter: D. Lemire, Number parsing at a gigabyte per second (2021). A JSON library makes an object of every
number, 70 ns from text to array; this takes 10. Only the plain document is read: numbers without exponents and of at
most 19 digits, texts without escapes, no null, nothing else in it. All other documents are left to a JSON library.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels._jit import bits_float, float_bits, fold_multiply, kernel, load_u64, readonly, row_kernel
from kernels._types import Floats, Ints

__all__ = ["MAX_COLUMNS", "JsonColumns", "read_columns"]

Bytes = NDArray[np.uint8]

MAX_COLUMNS = 64
MAX_KEY_BYTES = 4_096
_MAX_DIGITS, _MAX_DECIMALS = 19, 27  # digits that fit into 64 bits; powers that Lemire's proof needs no more for
_EXACT_POWERS = 22  # of ten, that are float64 numbers
_UNSURE = np.uint64(10**15)  # no two numbers of fewer digits are the same float64
_LEAST_FIXED = 1e-5  # smaller numbers are written with an exponent

_START, _END, _KINDS, _WAY = range(4)  # what `places` says of a column
_TEXTS, _INTS, _FLOATS = 1, 2, 4  # bits of kinds
_SPACED, _LONG = 1, 2  # bits of the way it is written
_NO_COLUMNS, _NO_VALUES = (0, 0, 0), (0, 0, 0, 0)


class JsonColumns(NamedTuple):
    """The columns of one document of n rows, c columns.

    key: the names in quotes, with commas between them. places int64[c, 4]: where a column's values begin and end in the
    document, the bits of the kinds of values in it, and those of the way they are written. Row i of column j has its
    number in values f64[c·n] at j·n + i, and in words int64[c·n] its integer, or a hash of its text.
    """

    key: bytes
    n: int
    places: list[list[int]]
    values: Floats
    words: Ints

    def holds_ids(self, column: int) -> bool:
        """Whether all values are texts, or all integers."""
        return self.places[column][_KINDS] in (_TEXTS, _INTS)

    def holds_numbers(self, column: int) -> bool:
        return not self.places[column][_KINDS] & _TEXTS

    def holds_texts(self, column: int) -> bool:
        return self.places[column][_KINDS] == _TEXTS

    def span(self, column: int) -> tuple[int, int]:
        """Where the values begin and end in the document."""
        start, end, *_ = self.places[column]
        return start, end

    def is_compact(self, column: int) -> bool:
        """Whether there is no space between the values."""
        return not self.places[column][_WAY] & _SPACED

    def is_shortest(self, column: int) -> bool:
        """Whether the text between the brackets is what the shortest texts of its float64 numbers would be.

        A number of at most 15 digits with a point, no superfluous zero and no need of an exponent is the shortest text
        of its float64, since no other so short is the same float64.
        """
        *_, kinds, way = self.places[column]
        return kinds == _FLOATS and not way


def _powers_of_ten() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return high and low words of 10^−k, scaled by a power of two to 128 bits and rounded up."""
    scaled = [-(-(1 << (127 + (10**k - 1).bit_length())) // 10**k) for k in range(_MAX_DECIMALS + 1)]
    highs, lows = [word >> 64 for word in scaled], [word & (1 << 64) - 1 for word in scaled]
    return readonly(np.array(highs, np.uint64)), readonly(np.array(lows, np.uint64))


_HIGH, _LOW = _powers_of_ten()
_EXACT = readonly(np.array([float(10**k) for k in range(_EXACT_POWERS + 1)]))
_U0, _U1, _U3, _U4, _U8, _U9, _U10, _U16, _U32, _U63 = (np.uint64(i) for i in (0, 1, 3, 4, 8, 9, 10, 16, 32, 63))
_HIDDEN, _FRACTION, _OVER = np.uint64(1 << 52), np.uint64((1 << 52) - 1), np.uint64(1 << 53)
_LOW_NINE = np.uint64(0x1FF)
_HIGH_HALVES, _LOW_HALVES = np.uint64(0xF0F0_F0F0_F0F0_F0F0), np.uint64(0x0F0F_0F0F_0F0F_0F0F)
_ALL_FIGURES, _SIXES = np.uint64(0x3333_3333_3333_3333), np.uint64(0x0606_0606_0606_0606)
_TEN_AND_ONE, _PAIRS = np.uint64(10 << 8 | 1), np.uint64(0x00FF_00FF_00FF_00FF)
_HUNDRED_AND_ONE, _FOURS = np.uint64(100 << 16 | 1), np.uint64(0x0000_FFFF_0000_FFFF)
_TEN_THOUSAND_AND_ONE, _HUNDRED_MILLIONS = np.uint64(10_000 << 32 | 1), np.uint64(10**8)
_LARGEST = np.uint64((1 << 63) - 1)
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a's

_QUOTE, _ESCAPE, _COMMA, _COLON, _POINT, _MINUS = (np.uint8(ord(c)) for c in '"\\,:.-')
_OPEN, _CLOSE, _FIRST, _LAST = (np.uint8(ord(c)) for c in "[]{}")
_SPACE, _TAB, _FEED, _RETURN = (np.uint8(ord(c)) for c in " \t\n\r")
_ZERO, _NINE = np.uint8(ord("0")), np.uint8(ord("9"))
_WORD = readonly(np.frombuffer(b"columns", np.uint8))


@row_kernel
def _decimal(digits: np.uint64, decimals: int) -> float:
    """Return digits · 10^−decimals, correctly rounded; 0 ≤ decimals ≤ _MAX_DECIMALS."""
    if digits <= _OVER and decimals <= _EXACT_POWERS:
        exact: float = np.float64(np.int64(digits)) / _EXACT[decimals]  # both are exact, so it is rounded once
        return exact
    if digits == _U0:
        return 0.0
    top = (float_bits(np.float64(digits)) >> 52) - 1023  # highest bit; the conversion may round up to the next one
    if top > 63 or digits >> np.uint64(top) == _U0:
        top -= 1
    word = digits << np.uint64(63 - top)
    power = _HIGH[decimals]
    low = word * power
    high = fold_multiply(word, power) ^ low
    if high & _LOW_NINE == _LOW_NINE:  # the low half of the power may carry into what counts
        more = fold_multiply(word, _LOW[decimals]) ^ (word * _LOW[decimals])
        low += more
        if low < more:
            high += _U1
    upper = high >> _U63
    shift = upper + _U9
    mantissa = high >> shift
    if low <= _U1 and decimals <= 4 and mantissa & _U3 == _U1 and mantissa << shift == high:
        mantissa &= ~_U1  # half way between two numbers: to the even one
    mantissa = (mantissa + (mantissa & _U1)) >> _U1
    exponent = ((-decimals * 1741647) >> 19) + top + np.int64(upper) + 1023  # with ⌊log₂ 10^−decimals⌋
    if mantissa >= _OVER:
        mantissa, exponent = _HIDDEN, exponent + 1
    value: float = bits_float(np.int64(mantissa & _FRACTION) | (exponent << 52))
    return value


@row_kernel
def _is_space(byte: np.uint8) -> bool:
    return byte in (_SPACE, _FEED, _RETURN, _TAB)


@row_kernel
def _skip(data: Bytes, at: int) -> int:
    """Return where the spaces end that begin at data[at]."""
    while at < len(data) and _is_space(data[at]):
        at += 1
    return at


@row_kernel
def _after(data: Bytes, at: int, byte: np.uint8) -> int:
    """Return what comes after spaces and this byte; len(data) + 1 where that is not what is there."""
    at = _skip(data, at)
    return at + 1 if at < len(data) and data[at] == byte else len(data) + 1


@row_kernel
def _is_unusual(byte: np.uint8) -> bool:
    """Tell whether a text with this byte is none that is read here; brackets are counted wherever they are."""
    return bool(byte < _SPACE) or byte in (_ESCAPE, _OPEN, _FIRST)


@row_kernel
def _name_end(data: Bytes, at: int) -> int:
    """Return where the quote is that ends the text; len(data) where the text is no plain one."""
    while at < len(data) and data[at] != _QUOTE:
        if _is_unusual(data[at]):
            return len(data)
        at += 1
    return at


@row_kernel
def _are_figures(word: np.uint64) -> bool:
    """Tell whether all eight bytes are figures."""
    return bool((word & _HIGH_HALVES) | (((word + _SIXES) & _HIGH_HALVES) >> _U4) == _ALL_FIGURES)


@row_kernel
def _of_figures(word: np.uint64) -> np.uint64:
    """Return the number of eight figures: pairs, fours, and all of them are put together by a product each."""
    word = (word & _LOW_HALVES) * _TEN_AND_ONE >> _U8
    word = (word & _PAIRS) * _HUNDRED_AND_ONE >> _U16
    return (word & _FOURS) * _TEN_THOUSAND_AND_ONE >> _U32


@kernel
def _significant(data: Bytes, start: int, end: int) -> int:
    """Return how many figures data[start : end] has, without the zeros before the first other one."""
    n, begun = 0, False
    for i in range(start, end):
        begun |= data[i] != _ZERO and data[i] != _POINT
        n += begun and data[i] != _POINT
    return n


@kernel
def _values(data: Bytes, at: int, values: Floats, words: Ints, first: int) -> tuple[int, int, int, int]:
    """Read a list of values from what follows its bracket; return its end (0: not plain), their number, kinds, way.

    One long body: a call counts references to its arrays, which took four times as long as all the reading.
    """
    size, i, kinds, way = len(data), first, 0, 0
    while True:
        start = at
        while start < size and _is_space(data[start]):
            start += 1
        if start >= size:
            return _NO_VALUES
        end = start + 1
        if data[start] == _QUOTE:
            mixed = _BASIS
            while end < size and data[end] != _QUOTE:
                if _is_unusual(data[end]):
                    return _NO_VALUES
                mixed = (mixed ^ np.uint64(data[end])) * _PRIME
                end += 1
            end += 1
            words[i] = np.int64(mixed)
            kinds |= _TEXTS
        else:
            negative = data[start] == _MINUS
            begin = start + negative
            end, point, digits = begin, -1, _U0
            while True:
                while end + 8 <= size and _are_figures(load_u64(data, end)):
                    digits = digits * _HUNDRED_MILLIONS + _of_figures(load_u64(data, end))
                    end += 8
                while end < size and _ZERO <= data[end] <= _NINE:
                    digits = digits * _U10 + np.uint64(data[end] - _ZERO)
                    end += 1
                if point >= 0 or end >= size or data[end] != _POINT:
                    break
                point = end
                end += 1
            whole = (point if point >= 0 else end) - begin
            if whole == 0 or (whole > 1 and data[begin] == _ZERO):
                return _NO_VALUES
            if point < 0:
                if whole > _MAX_DIGITS or digits > _LARGEST or (negative and digits == _U0):  # −0 is 0, an integer
                    return _NO_VALUES
                words[i] = -np.int64(digits) if negative else np.int64(digits)
                values[i] = np.float64(words[i])
                kinds |= _INTS
                way |= _LONG
            else:
                decimals = end - point - 1
                if decimals == 0 or decimals > _MAX_DECIMALS:
                    return _NO_VALUES
                if whole + decimals > _MAX_DIGITS and _significant(data, begin, end) > _MAX_DIGITS:
                    return _NO_VALUES
                value = _decimal(digits, decimals)
                values[i], words[i] = -value if negative else value, 0
                kinds |= _FLOATS
                has_zeros = decimals > 1 and data[end - 1] == _ZERO
                has_power = value < _LEAST_FIXED and value != 0.0
                if digits >= _UNSURE or has_zeros or has_power:
                    way |= _LONG
        i += 1
        after = end
        while after < size and _is_space(data[after]):
            after += 1
        if start > at or after > end:
            way |= _SPACED
        if after >= size or (data[after] != _COMMA and data[after] != _CLOSE):
            return _NO_VALUES
        if data[after] == _CLOSE:
            return after, i - first, kinds, way
        at = after + 1


@row_kernel
def _head(data: Bytes) -> int:
    """Return where the columns begin in the document; len(data) + 1 where it is another one."""
    at = _after(data, _after(data, 0, _FIRST), _QUOTE)
    if at + len(_WORD) >= len(data):
        return len(data) + 1
    for i in range(len(_WORD)):
        if data[at + i] != _WORD[i]:
            return len(data) + 1
    at = at + len(_WORD)
    if data[at] != _QUOTE:
        return len(data) + 1
    return _after(data, _after(data, at + 1, _COLON), _FIRST)


@kernel
def _read_columns(
    data: Bytes, out_key: Bytes, out_places: Ints, out_values: Floats, out_words: Ints
) -> tuple[int, int, int]:
    """Read a whole document; return the numbers of columns (0: it is not plain) and rows, and the length of the key."""
    n_columns, n_rows, n_key = 0, 0, 0
    at = _head(data)
    while True:
        start = _after(data, at, _QUOTE)
        end = _name_end(data, start)
        if end >= len(data) or n_columns == len(out_places) or n_key + end - start + 3 > len(out_key):
            return _NO_COLUMNS
        if n_columns:
            out_key[n_key] = _COMMA
            n_key += 1
        for i in range(start - 1, end + 1):
            out_key[n_key] = data[i]
            n_key += 1
        start = _after(data, _after(data, end + 1, _COLON), _OPEN)
        end, n, kinds, way = _values(data, start, out_values, out_words, n_columns * n_rows)
        if end == 0 or (n_columns and n != n_rows):
            return _NO_COLUMNS
        n_rows = n
        places = out_places[n_columns]
        places[_START], places[_END], places[_KINDS], places[_WAY] = start, end, kinds, way
        n_columns += 1
        at = _skip(data, end + 1)
        if at < len(data) and data[at] == _COMMA:
            at += 1
        else:
            break
    at = _skip(data, _after(data, _after(data, at, _LAST), _LAST))
    return (n_columns, n_rows, n_key) if at == len(data) else _NO_COLUMNS


def read_columns(document: bytes) -> JsonColumns | None:
    """Read a plain document, whose texts have to be UTF-8; None for any other."""
    most = len(document) // 2 + 1  # a value takes two bytes at least
    key, places = np.empty(MAX_KEY_BYTES, dtype=np.uint8), np.empty((MAX_COLUMNS, 4), dtype=np.int64)
    values, words = np.empty(most), np.empty(most, dtype=np.int64)
    c, n, n_key = _read_columns(np.frombuffer(document, np.uint8), key, places, values, words)
    if c == 0:
        return None
    told = places[:c].tolist()
    return JsonColumns(key[:n_key].tobytes(), n, told, readonly(values), readonly(words))
