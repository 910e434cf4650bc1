"""log(1 + x) for x >= 0, without a branch, so that a loop over it becomes vector code.

    1 + x = 2^k (1 + f),  sqrt(1/2) <= 1 + f < sqrt(2)
    log(1 + x) = k ln 2 + log(1 + f) + c / (1 + x),  c = what rounding 1 + x lost
    s = f / (2 + f),  log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2))

Source: FreeBSD's msun `s_log1p.c` (fdlibm), whose error is below 1 ulp; R is its degree-7 polynomial. Its
branches became selections, and k becomes a float through the mantissa bits, which AVX2 can do and a 64-bit
conversion cannot. The C library's log1p differs between machines and numpy's between vector body and tail; this
one is the same everywhere.
"""

from kernels._jit import bits_float, float_bits, kernel

LARGEST = 1e300  # larger arguments enter as this: nothing overflows, and no purchase comes near

_LN2_HI = 6.93147180369123816490e-01
_LN2_LO = 1.90821492927058770002e-10
_R1 = 6.666666666666735130e-01
_R2 = 3.999999999940941908e-01
_R3 = 2.857142874366239149e-01
_R4 = 2.222219843214978396e-01
_R5 = 1.818357216161805012e-01
_R6 = 1.531383769920937332e-01
_R7 = 1.479819860511658591e-01

_TO_HALF_ROOT = 0x3FF0000000000000 - 0x3FE6A09E00000000  # moves the seam between exponents to sqrt(1/2)
_HALF_ROOT_BITS = 0x3FE6A09E00000000
_MANTISSA = 0x000FFFFFFFFFFFFF
_POSITIVE = 0x7FFFFFFFFFFFFFFF
_TWO52_BITS = 0x4330000000000000
_TWO52_AND_BIAS = 4503599627370496.0 + 1023.0


@kernel
def log1p(x: float) -> float:
    """log(1 + x) of one float64 x >= 0 (NaN stays NaN; x above `LARGEST` counts as that)."""
    x = LARGEST if x > LARGEST else x  # written so that NaN stays
    u = 1.0 + x
    shifted = (float_bits(u) + _TO_HALF_ROOT) & _POSITIVE  # the sign is known: a logical shift, which AVX2 has
    biased = shifted >> 52
    k = bits_float(biased | _TWO52_BITS) - _TWO52_AND_BIAS
    reduced = bits_float((shifted & _MANTISSA) + _HALF_ROOT_BITS)

    lost = 1.0 - (u - x) if x > 1.0 else x - (u - 1.0)
    f = reduced - 1.0 if k > 0.0 else x  # below sqrt(2) - 1 nothing needs to be reduced, nor is anything lost
    c = lost / u if k > 0.0 else 0.0

    half = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (_R2 + w * (_R4 + w * _R6))
    odd = z * (_R1 + w * (_R3 + w * (_R5 + w * _R7)))
    value = s * (half + (even + odd)) + (k * _LN2_LO + c) - half + f + k * _LN2_HI
    return x if x != x else value
