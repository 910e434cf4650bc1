"""Random numbers that are the same in every release of every library: splitmix64 as a counter.

    number i of stream s = mix(state(seed, s) + (i + 1) · γ),  γ = 2^64 / golden ratio

Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014), with Vigna's mixing
constants. A counter needs no loop, so numpy does it, and kernels take the numbers as an array; one that needs a few
at a time, again and again, writes them itself.
"""

import numpy as np
from numpy.typing import NDArray

from kernels._jit import kernel
from kernels._types import Floats, Ints

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64's finaliser of each word: a bijection in which every bit depends on every bit."""
    words = (words ^ (words >> np.uint64(30))) * _MIX1
    words = (words ^ (words >> np.uint64(27))) * _MIX2
    return words ^ (words >> np.uint64(31))


def _state(seed: int) -> NDArray[np.uint64]:
    return _mix(np.array([seed % 2**64], dtype=np.uint64) + _GAMMA)


def words(seed: int, stream: int, n: int) -> NDArray[np.uint64]:
    """Return n random words (uint64[n]) of one stream; seed and stream are any integers, taken modulo 2^64."""
    start = _mix(_state(seed) + np.array([stream % 2**64], dtype=np.uint64))
    return _mix(start + np.arange(1, n + 1, dtype=np.uint64) * _GAMMA)


def uniforms(seed: int, stream: int, n: int) -> Floats:
    """Return n numbers in [0, 1), float64[n], each a multiple of 2^-53."""
    return (words(seed, stream, n) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def state_of(seed: int) -> np.uint64:
    """Return what `fill_uniforms` takes for a seed."""
    return np.uint64(_state(seed)[0])


@kernel
def _mix_word(word: np.uint64) -> np.uint64:
    """Return `_mix` of one word."""
    word = (word ^ (word >> np.uint64(30))) * _MIX1
    word = (word ^ (word >> np.uint64(27))) * _MIX2
    return word ^ (word >> np.uint64(31))


@kernel
def fill_uniforms(state: np.uint64, stream: np.uint64, out: Floats) -> None:
    """Write `uniforms` of a stream of the seed with this state to out f64[n]."""
    word = _mix_word(state + stream)
    for i in range(len(out)):
        word += _GAMMA
        out[i] = np.float64(np.int64(_mix_word(word) >> np.uint64(11))) * 2.0**-53


def sample_order(seed: int, stream: int, n: int, m: int) -> Ints:
    """Return min(m, n) different numbers of 0 … n - 1 in random order, int64[min(m, n)]; all of them when m >= n.

    Those whose word is smallest, in the order of the words, which all differ because mixing is a bijection.
    """
    keys = words(seed, stream, n)
    chosen = np.arange(n)
    if n > 2 * m:
        # words are uniform: those below 1.1 m / n of the range are almost surely enough, and far fewer than n to sort
        likely = np.flatnonzero(keys < np.uint64(int(2**64 * (1.1 * m / n))))
        chosen = likely if len(likely) >= m else chosen
    return chosen[np.argsort(keys[chosen])][:m]
