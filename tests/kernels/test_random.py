import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels.random import fill_uniforms, sample_order, state_of, uniforms, words

M64 = 2**64 - 1


def naive_mix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & M64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & M64
    return z ^ (z >> 31)


def naive_words(seed, stream, n):
    gamma = 0x9E3779B97F4A7C15
    start = naive_mix((naive_mix((seed + gamma) & M64) + stream) & M64)
    return [naive_mix((start + i * gamma) & M64) for i in range(1, n + 1)]


@given(st.integers(-(2**70), 2**70), st.integers(-5, 2**40), st.integers(0, 20))
def test_is_splitmix64(seed, stream, n):
    assert words(seed, stream, n).tolist() == naive_words(seed % 2**64, stream, n)


def test_first_words_are_those_of_the_published_generator():
    # splitmix64 from state 1234567, as printed by its author's test vectors
    assert [naive_mix((1234567 + i * 0x9E3779B97F4A7C15) & M64) for i in (1, 2)] == [
        6457827717110365317,
        3203168211198807973,
    ]


def test_uniforms_lie_in_the_unit_interval_evenly():
    u = uniforms(3, 0, 100_000)
    assert u.min() >= 0.0
    assert u.max() < 1.0
    counts = np.bincount((u * 10).astype(int), minlength=10)
    assert abs(counts - 10_000).max() < 500


@given(st.integers(-(2**70), 2**70), st.integers(0, 2**64 - 1), st.integers(0, 20))
def test_a_kernel_writes_the_same_numbers(seed, stream, n):
    out = np.empty(n)
    fill_uniforms(state_of(seed), np.uint64(stream), out)
    assert out.tobytes() == uniforms(seed, stream, n).tobytes()


def test_streams_and_seeds_differ_and_a_longer_stream_only_adds():
    assert not np.array_equal(words(0, 0, 5), words(0, 1, 5))
    assert not np.array_equal(words(0, 0, 5), words(1, 0, 5))
    assert np.array_equal(words(7, 2, 9)[:5], words(7, 2, 5))


def test_sample_is_the_start_of_a_permutation():
    everyone = sample_order(5, -1, 10_000, 10_000)
    assert sorted(everyone.tolist()) == list(range(10_000))
    for m in (0, 1, 100, 4_999, 9_999, 20_000):
        assert np.array_equal(sample_order(5, -1, 10_000, m), everyone[:m])
    assert len(sample_order(5, -1, 0, 10)) == 0
