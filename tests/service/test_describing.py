"""The sample of a fit: the customers with the smallest hashes, in hash order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.describing import by_hash


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(2**64 - 9, 2**64 - 1), unique=True), st.integers(1, 20))
def test_the_smallest_in_order(hashes: list[int], most: int) -> None:
    found = by_hash(np.array(hashes, dtype=np.uint64), most)
    assert found.tolist() == sorted(range(len(hashes)), key=hashes.__getitem__)[:most]


@pytest.mark.parametrize("most", [1, 1_000, 99_999, 100_000])
def test_many_that_are_spread_evenly(most: int) -> None:
    hashes = np.random.default_rng(1).permutation(np.arange(100_000, dtype=np.uint64)) << np.uint64(47)
    assert by_hash(hashes, most).tolist() == np.argsort(hashes)[:most].tolist()
