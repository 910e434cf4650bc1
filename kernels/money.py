"""Exact sums of money in 128 bits, for integer and decimal amounts.

    sum = high · 2⁶⁴ + low,  low unsigned, high signed (two's complement; the layout of Arrow's decimal128)

Float amounts are added as they are; the two kinds share one record, whose low word then holds the float's bits.
Amount arrays are float64[n], or int64[n, 1] (integers), or int64[n, 2] (decimals: low, high). Which of the first two
branches a kernel takes is decided when it is compiled, by the number of dimensions.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kernels._jit import bits_float, float_bits, kernel, readonly, row_kernel

Amounts = NDArray[np.float64] | NDArray[np.int64]

_LOW_64 = 0xFFFF_FFFF_FFFF_FFFF
_LARGEST = 10**38 - 1  # of a decimal128
_LARGEST_LOW = np.uint64(_LARGEST & _LOW_64)
_LARGEST_HIGH = np.uint64(_LARGEST >> 64)


@row_kernel
def is_refund(amounts: Any, i: int) -> bool:
    """Tell whether amount i is below zero."""
    if amounts.ndim == 1:
        return bool(amounts[i] < 0.0)
    return bool(amounts[i, amounts.shape[1] - 1] < 0)


@row_kernel
def is_zero(amounts: Any, i: int) -> bool:
    """Tell whether amount i is zero."""
    if amounts.ndim == 1:
        return bool(amounts[i] == 0.0)
    return bool(amounts[i, 0] == 0 and amounts[i, amounts.shape[1] - 1] == 0)


@row_kernel
def plus_amount(low: np.int64, high: np.int64, amounts: Any, i: int) -> tuple[np.int64, np.int64, bool]:
    """Return the words of the sum (low, high) and amount i, and whether that left 128 bits."""
    if amounts.ndim == 1:
        return float_bits(bits_float(low) + amounts[i]), high, False
    amount_low, amount_high = amounts[i, 0], amounts[i, amounts.shape[1] - 1]
    if amounts.shape[1] == 1:
        amount_high >>= 63  # the sign
    new_low = np.uint64(low) + np.uint64(amount_low)
    new_high = high + amount_high + (1 if new_low < np.uint64(low) else 0)
    return np.int64(new_low), new_high, bool(((high ^ new_high) & (amount_high ^ new_high)) < 0)


@row_kernel
def add_amount(records: NDArray[np.void], number: int, amounts: Any, i: int) -> bool:
    """Add amount i to the customer's sum; tell whether the sum left 128 bits."""
    low, high, overflow = plus_amount(records[number]["low"], records[number]["high"], amounts, i)
    records[number]["low"] = low
    if amounts.ndim == 2:
        records[number]["high"] = high
    return overflow


@row_kernel
def get_sum(record: Any, sums: Any, i: int) -> None:
    """Write the record's sum to sums[i]."""
    if sums.ndim == 1:
        sums[i] = bits_float(record["low"])
    else:
        sums[i, 0] = record["low"]
        sums[i, 1] = record["high"]


@row_kernel
def _magnitude(low: np.int64, high: np.int64) -> tuple[np.uint64, np.uint64]:
    """Return (low, high) of the absolute value."""
    if high >= 0:
        return np.uint64(low), np.uint64(high)
    negated = ~np.uint64(low) + np.uint64(1)
    carry = np.uint64(1) if negated == np.uint64(0) else np.uint64(0)
    return negated, ~np.uint64(high) + carry


@row_kernel
def _to_float(low: np.uint64, high: np.uint64) -> float:
    """Return high · 2⁶⁴ + low, rounded once: the 64 leading bits, the last one set where any bit was cut off."""
    shift = np.uint64(0)
    factor = 1.0
    while shift < np.uint64(64) and high >> shift != np.uint64(0):
        shift += np.uint64(1)
        factor *= 2.0
    if shift == np.uint64(0):
        return float(low)
    if shift == np.uint64(64):
        return float(high | np.uint64(low != np.uint64(0))) * factor
    leading = high << (np.uint64(64) - shift) | low >> shift
    cut = low & ((np.uint64(1) << shift) - np.uint64(1))
    return float(leading | np.uint64(cut != np.uint64(0))) * factor


@kernel
def _sums_to_float(sums: NDArray[np.int64], power: float, out: NDArray[np.float64]) -> None:
    for i in range(len(sums)):
        low, high = _magnitude(sums[i, 0], sums[i, 1])
        value = _to_float(low, high) / power
        out[i] = -value if sums[i, 1] < 0 else value


def sums_to_float(sums: NDArray[np.int64], scale: int) -> NDArray[np.float64]:
    """Return float64[n]: sums int64[n, 2] (low, high) divided by 10^scale."""
    out = np.empty(len(sums), dtype=np.float64)
    _sums_to_float(readonly(sums), float(f"1e{abs(scale)}") if scale >= 0 else 1.0, out)
    if scale < 0:
        out *= float(f"1e{-scale}")
    return out


@kernel
def _all_fit(sums: NDArray[np.int64], decimal: bool) -> bool:
    for i in range(len(sums)):
        if decimal:
            low, high = _magnitude(sums[i, 0], sums[i, 1])
            if high > _LARGEST_HIGH or (high == _LARGEST_HIGH and low > _LARGEST_LOW):
                return False
        elif sums[i, 1] != sums[i, 0] >> 63:
            return False
    return True


def sums_fit(sums: NDArray[np.int64], kind: Literal["int64", "decimal38"]) -> bool:
    """Tell whether every one of sums int64[n, 2] (low, high) is an int64, or a decimal of 38 digits."""
    return bool(_all_fit(readonly(sums), kind == "decimal38"))
