"""Texts as two words: short ones and UUIDs hold all their bytes there, any other text a number that stands for it.

    at most 15 bytes   low = bytes 0 … 7,  high = bytes 8 … 14 | length << 56
    UUID, 36 bytes     low = hex digits of bytes 0 … 7 and 9 … 12, 14 … 17;  high = the other 16, turned right by 4 bits
    other              low = 0,  high = the number | 16 << 56

Equal texts have equal words and different texts different ones: the top byte tells the kinds apart, as a UUID is packed
only if it is in lower case and its 17th digit is at least 8 (RFC 9562 §4.1, the variant), which makes the top bit 1.
Eight hex digits are read in one word, a digit a byte, without table or branch: 10 ns a UUID, a table of texts takes 70.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel, load_u64, readonly, row_kernel, store_u64
from kernels._run import Run, blocks, run_serially
from kernels.hashing import ByteKeys, WideKeys

Places = NDArray[np.int32] | NDArray[np.int64]

SHORT = 15  # bytes
UUID_LENGTH = 36
NO_NUMBER = np.uint64(32 << 56)  # high word of a text that needs a number and has none yet
_NUMBERED = np.uint64(16)  # top byte of a number
_NUMBER = np.uint64((1 << 56) - 1)
_SLACK = 16  # short texts are written as two whole words

_ZERO, _ONE, _THREE, _FOUR, _FIVE, _EIGHT, _BYTE = (np.uint64(i) for i in (0, 1, 3, 4, 5, 8, 255))
_FIFTY_SIX, _SIXTY = np.uint64(56), np.uint64(60)
_HALF, _LOW_HALF, _TOP = np.uint64(32), np.uint64(0xFFFF_FFFF), np.uint64(1 << 63)
_DASH = np.uint64(ord("-"))
_EACH = np.uint64(0x0101_0101_0101_0101)
_LOW_DIGITS, _HIGH_DIGITS = np.uint64(0x0F0F_0F0F_0F0F_0F0F), np.uint64(0xF0F0_F0F0_F0F0_F0F0)
_SIXES, _ZERO_SIGNS = np.uint64(0x0606_0606_0606_0606), np.uint64(0x3030_3030_3030_3030)
_LETTER_STEPS = np.uint64(ord("a") - ord("0") - 10)


@row_kernel
def _digits(word: np.uint64) -> np.uint64:
    """Return the values of 8 hex digits, a byte each: c & 15, and 9 more for a letter, whose bit 6 is set."""
    letters = (word >> np.uint64(6)) & _EACH
    return (word & _LOW_DIGITS) + letters + (letters << _THREE)  # 9·letters: a product of 64 bits is slow in vectors


@row_kernel
def _not_digits(word: np.uint64) -> np.uint64:
    """Return 0 if all 8 bytes are hex digits in lower case."""
    letters = (word >> np.uint64(6)) & _EACH
    digits = _digits(word)
    above_nine = ((digits + _SIXES) >> _FOUR) & _EACH
    signs = _ZERO_SIGNS + (letters << _FOUR) + (letters << _FIVE)  # 0x30 … for figures, 0x60 … for letters
    return (digits & _HIGH_DIGITS) | (above_nine ^ letters) | ((word & _HIGH_DIGITS) ^ signs)


@row_kernel
def _signs(digits: np.uint64) -> np.uint64:
    """Return the 8 hex digits of these values."""
    letters = ((digits + _SIXES) >> _FOUR) & _EACH
    return digits + _ZERO_SIGNS + letters * _LETTER_STEPS


@row_kernel
def _first_bytes(word: np.uint64, n: int) -> np.uint64:
    """Return the first n < 8 bytes of a word, the others 0."""
    return word & ((_ONE << np.uint64(8 * n)) - _ONE)


@kernel
def _pack_texts(
    data: NDArray[np.uint8],
    starts: NDArray[Any],
    ends: NDArray[Any],
    words: NDArray[np.uint64],
    others: NDArray[np.int32],
) -> int:
    """Write words, and the rows that are neither short nor UUIDs into others; return how many those are.

    Words are loaded whole; only in the last 15 bytes of data one byte at a time.
    """
    n_others, last_start = 0, len(data) - 16
    for i in range(len(words)):
        start = int(starts[i])
        length = int(ends[i]) - start
        if length <= SHORT:
            low, high = _ZERO, _ZERO
            if start <= last_start:
                low, high = load_u64(data, start), load_u64(data, start + 8)
                if length < 8:
                    low, high = _first_bytes(low, length), _ZERO
                else:
                    high = _first_bytes(high, length - 8)
            else:
                for b in range(length):
                    if b < 8:
                        low |= np.uint64(data[start + b]) << np.uint64(8 * b)
                    else:
                        high |= np.uint64(data[start + b]) << np.uint64(8 * b - 64)
            words[i, 0] = low
            words[i, 1] = high | np.uint64(length) << _FIFTY_SIX
            continue
        if length == UUID_LENGTH:
            first, last = load_u64(data, start), load_u64(data, start + 28)
            second = (load_u64(data, start + 9) & _LOW_HALF) | load_u64(data, start + 14) << _HALF
            third = (load_u64(data, start + 19) & _LOW_HALF) | load_u64(data, start + 24) << _HALF
            dashes = (load_u64(data, start + 8) ^ _DASH) | (load_u64(data, start + 13) ^ _DASH)
            dashes |= (load_u64(data, start + 18) ^ _DASH) | (load_u64(data, start + 23) ^ _DASH)
            wrong = _not_digits(first) | _not_digits(second) | _not_digits(third) | _not_digits(last) | (dashes & _BYTE)
            if wrong == _ZERO and _digits(third) & _EIGHT != _ZERO:
                words[i, 0] = _digits(first) | _digits(second) << _FOUR
                high = _digits(third) | _digits(last) << _FOUR
                words[i, 1] = high >> _FOUR | high << _SIXTY
                continue
        words[i, 0], words[i, 1] = _ZERO, NO_NUMBER
        others[n_others] = i
        n_others += 1
    return n_others


@kernel
def _measure(words: NDArray[np.uint64], numbered: NDArray[np.int32], lengths: NDArray[np.int32]) -> None:
    """Write the lengths of the texts; numbered int32[m] are those of the texts that have a number."""
    for i in range(len(words)):
        kind = words[i, 1] >> _FIFTY_SIX
        if words[i, 1] & _TOP != _ZERO:
            lengths[i] = UUID_LENGTH
        else:
            lengths[i] = numbered[words[i, 1] & _NUMBER] if kind == _NUMBERED else np.int32(kind)


@kernel
def _write_texts(
    words: NDArray[np.uint64],
    numbered: NDArray[np.uint8],
    numbered_starts: NDArray[np.int64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> None:
    """Write the texts one after the other. What a store writes too much the next text overwrites, or it is slack."""
    for i in range(len(words)):
        low, high, start = words[i, 0], words[i, 1], starts[i]
        if high & _TOP != _ZERO:
            high = high << _FOUR | high >> _SIXTY
            second, third = _signs((low >> _FOUR) & _LOW_DIGITS), _signs(high & _LOW_DIGITS)
            store_u64(out, start, _signs(low & _LOW_DIGITS))
            store_u64(out, start + 8, _DASH | (second & _LOW_HALF) << _EIGHT)
            store_u64(out, start + 13, _DASH | second >> _HALF << _EIGHT)
            store_u64(out, start + 18, _DASH | (third & _LOW_HALF) << _EIGHT)
            store_u64(out, start + 23, _DASH | third >> _HALF << _EIGHT)
            store_u64(out, start + 28, _signs((high >> _FOUR) & _LOW_DIGITS))
        elif high >> _FIFTY_SIX == _NUMBERED:
            place, length = numbered_starts[high & _NUMBER], np.int64(lengths[i])
            if place + length + 8 <= len(numbered):
                for b in range(0, length, 8):
                    store_u64(out, start + b, load_u64(numbered, place + b))
            else:
                for b in range(length):
                    out[start + b] = numbered[place + b]
        else:
            store_u64(out, start, low)
            store_u64(out, start + 8, high)


def pack_texts(data: NDArray[np.uint8], starts: Places, ends: Places, words: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Write the words of texts data[starts[i] : ends[i]]; return the rows that need a number, ascending.

    data uint8[m]; starts, ends: both int32 or both int64[n], inside data; words uint64[n, 2].
    """
    others = np.empty(len(words), dtype=np.int32)
    return others[: _pack_texts(readonly(data), readonly(starts), readonly(ends), words, others)]


@kernel
def _put_numbers(words: NDArray[np.uint64], rows: NDArray[np.int32], numbers: NDArray[np.int32]) -> None:
    for j in range(len(rows)):
        words[np.uint64(rows[j]), 1] = np.uint64(numbers[j]) | _NUMBERED << _FIFTY_SIX


def put_numbers(words: NDArray[np.uint64], rows: NDArray[np.int32], numbers: NDArray[np.int32]) -> None:
    """Make numbers[j] the words of row rows[j]; the low one is 0 already. One store, so that threads may read."""
    _put_numbers(words, readonly(rows), readonly(numbers))


def unpack_texts(keys: WideKeys, numbered: ByteKeys, run: Run = run_serially) -> ByteKeys:
    """Return the texts without gaps; numbered are those that have a number, by number.

    Every block is written to memory of its own first: what its last stores write too much would be another's.
    """
    n = len(keys.words)
    words, lengths = readonly(keys.words), np.empty(n, dtype=np.int32)
    data, known, known_lengths = readonly(numbered.data), readonly(numbered.starts), readonly(numbered.lengths)
    run([partial(_measure, words[a:b], known_lengths, lengths[a:b]) for a, b in blocks(n)])
    ends = np.cumsum(lengths, dtype=np.int64)
    starts = ends - lengths
    out = np.empty(int(ends[-1]) if n else 0, dtype=np.uint8)

    def write(a: int, b: int) -> None:
        first, stop = int(starts[a]), int(ends[b - 1])
        own = np.empty(stop - first + _SLACK, dtype=np.uint8)
        _write_texts(words[a:b], data, known, readonly(starts[a:b] - first), readonly(lengths[a:b]), own)
        out[first:stop] = own[: stop - first]

    run([partial(write, *block) for block in blocks(n)])
    return ByteKeys(out, starts, lengths)
