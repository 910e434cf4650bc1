"""Distinct pairs against a Python set."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import pairs
from kernels.pairs import PairSet

from .aggregation_inputs import I64

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(-2, 2) | st.sampled_from([I64.min, I64.max])), max_size=80)


@given(PAIRS, st.integers(0, 1 << 64), st.sampled_from([1, 7, 80]))
@settings(max_examples=200, deadline=None)
def test_tells_which_pairs_are_new(values: list[tuple[int, int]], seed: int, cut: int) -> None:
    held, seen = PairSet(seed), set()
    for start in range(0, len(values), cut):
        part = values[start : start + cut]
        is_new = np.full(len(part), 9, dtype=np.uint8)
        held.add(np.array([a for a, _ in part], dtype=np.int32), np.array([b for _, b in part], dtype=np.int64), is_new)
        for pair, new in zip(part, is_new.tolist(), strict=True):
            assert new == (pair not in seen)
            seen.add(pair)
    numbers, occasion_values = held.export()
    assert held.n_pairs == len(seen) == len(numbers)
    assert set(zip(numbers.tolist(), occasion_values.tolist(), strict=True)) == seen


def test_growth_and_equal_hashes(monkeypatch: object) -> None:
    random = np.random.default_rng(1)
    numbers = random.integers(0, 3_000, 50_000).astype(np.int32)
    values = random.integers(-5, 5, 50_000)
    held, is_new = PairSet(), np.empty(50_000, dtype=np.uint8)
    held.add(numbers, values, is_new)
    expected = len(set(zip(numbers.tolist(), values.tolist(), strict=True)))
    assert held.n_pairs == expected == is_new.sum()
    assert held.nbytes < 100 * expected
    held.add(numbers, values, is_new)
    assert not is_new.any()


def test_pairs_of_one_hash_are_told_apart() -> None:
    held = PairSet()
    held._start = held._multiplier = np.uint64(0)  # every hash is 0
    numbers, values = np.repeat(np.arange(30, dtype=np.int32), 30), np.tile(np.arange(30), 30)
    is_new = np.empty(900, dtype=np.uint8)
    held.add(numbers, values, is_new)
    assert is_new.all()
    held.add(numbers, values, is_new)
    assert not is_new.any()
    assert pairs.PairSet().n_pairs == 0
