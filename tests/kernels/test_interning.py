"""Numbers of texts: one for each distinct text, the same in every thread, and every text comes back."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.interning import Interner
from kernels.keys import ByteKeys, take_keys

from .text_inputs import TEXTS, arrays_of, texts_in


def keys_of(texts: list[str]) -> ByteKeys:
    data, offsets = arrays_of(texts, np.int64)
    return ByteKeys(data, offsets[:-1], np.diff(offsets).astype(np.int32))


@given(st.lists(st.lists(TEXTS, max_size=20), max_size=4), st.integers(1, 3), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_a_text_keeps_its_number(batches: list[list[str]], n_shards: int, seed: int) -> None:
    interner = Interner(n_shards, seed)
    numbers: dict[str, int] = {}
    for batch in batches:
        for text, number in zip(batch, interner.number(keys_of(batch)).tolist(), strict=True):
            assert numbers.setdefault(text, number) == number
    assert len(set(numbers.values())) == len(numbers)
    back = take_keys(interner.texts(), np.array(list(numbers.values()), dtype=np.int64))
    assert isinstance(back, ByteKeys)
    assert texts_in(back) == list(numbers)


@pytest.mark.parametrize("n_shards", [1, 4])
def test_threads_agree(n_shards: int) -> None:
    interner, texts = Interner(n_shards), [f"customer {i % 5_000:020d}" for i in range(20_000)]
    found: dict[int, list[int]] = {}

    def work(thread: int) -> None:
        turned = texts[thread * 997 :] + texts[: thread * 997]
        numbers = interner.number(keys_of(turned)).tolist()
        found[thread] = numbers[-thread * 997 :] + numbers[: -thread * 997] if thread else numbers

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(numbers == found[0] for numbers in found.values())
    assert len(set(found[0])) == 5_000
    assert interner.text_bytes == 5_000 * len(texts[0])
