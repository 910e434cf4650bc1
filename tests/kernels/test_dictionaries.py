"""Looking up a dictionary's entries: as if each row's text had been packed or numbered by itself."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.dictionaries import Entries, look_up, spans
from kernels.hashing import EntryKeys, n_keys
from kernels.interning import Interner
from kernels.keys import FixedKeys, WideKeys, take_keys
from kernels.texts import unpack_texts

from .text_inputs import TEXTS, arrays_of, texts_in


def texts_of(keys: FixedKeys | EntryKeys, rows: list[int], interner: Interner) -> list[str]:
    """Return the texts behind these rows' keys."""
    if isinstance(keys, EntryKeys):
        return texts_in(unpack_texts(WideKeys(keys.words[keys.entries[rows]]), interner.texts()))
    return texts_in(take_keys(interner.texts(), keys.bits[rows].view(np.int64)))  # type: ignore[arg-type]


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(("place", "index"), [(np.int32, np.int64), (np.int64, np.int32)])
@given(data=st.data(), words=st.lists(TEXTS, max_size=12), n_shards=st.integers(1, 2))
@settings(max_examples=80, deadline=None)
def test_rows_have_the_keys_of_their_texts(
    wide: bool, place: Any, index: Any, data: st.DataObject, words: list[str], n_shards: int
) -> None:
    interner = Interner(n_shards)
    twice = words + words  # two entries may be the same text
    keys_by_text: dict[str, Any] = {}
    for _ in range(2):  # the second time as a dictionary of its own
        entries = Entries(*arrays_of(twice, place, b"before", b"after"), interner, wide)
        for _ in range(2):
            valid = st.tuples(st.integers(0, max(len(twice) - 1, 0)), st.just(bool(words)))
            missing = st.tuples(st.integers(np.iinfo(index).min, np.iinfo(index).max), st.just(False))
            rows = data.draw(st.lists(valid | missing, max_size=30))
            indices = np.array([i for i, _ in rows], dtype=index)
            keep = np.array([there for _, there in rows], dtype=np.bool_)
            keys = entries.keys_of(indices, None if keep.all() else keep)
            assert n_keys(keys) == len(rows)
            kept = np.flatnonzero(keep).tolist()
            wanted = [twice[int(i)] for i in indices[keep]]
            assert texts_of(keys, kept, interner) == wanted
            for row, text in zip(kept, wanted, strict=True):
                own = keys.words[keys.entries] if isinstance(keys, EntryKeys) else keys.bits
                key = own[row].tolist()
                assert keys_by_text.setdefault(text, key) == key


@pytest.mark.parametrize("wide", [False, True])
def test_entries_that_no_kept_row_uses_are_not_held(wide: bool) -> None:
    interner, long = Interner(), "long text " * 1_000
    entries = Entries(*arrays_of([long + str(i) for i in range(50)], np.int32), interner, wide)
    before = interner.text_bytes
    entries.keys_of(np.arange(50, dtype=np.int32), np.zeros(50, dtype=np.bool_))
    assert interner.text_bytes == before
    entries.keys_of(np.array([7, 7], dtype=np.int32))
    assert before < interner.text_bytes < before + 2 * len(long)


@pytest.mark.parametrize("wide", [False, True])
def test_threads_look_up_at_the_same_time(wide: bool) -> None:
    interner, texts = Interner(2), [f"customer {i:020d}" for i in range(20_000)]
    entries = Entries(*arrays_of(texts, np.int32), interner, wide)
    found: dict[int, Any] = {}

    def work(thread: int) -> None:
        found[thread] = entries.keys_of(np.roll(np.arange(20_000, dtype=np.int32), thread * 5_000))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for thread, keys in found.items():
        back = texts_of(keys, list(range(20_000)), interner)
        assert back == texts[-thread * 5_000 :] + texts[: -thread * 5_000] if thread else back == texts


def test_spans_of_nothing() -> None:
    assert spans(np.zeros(1, np.int32), np.array([0, 5, -1], np.int32))[0].tolist() == [0, 0, 0]
    assert spans(np.array([0, 3, 9]), np.array([1, 0, -1, 2]))[1].tolist() == [6, 3, 3, 3]


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_codes_and_numbers_are_looked_up_by_entry(index: Any) -> None:
    indices = np.array([2, 0, 0, 9, -1], dtype=index)
    for greatest, kind in ((7, np.int8), (127, np.int8), (128, np.int16), (32_767, np.int16), (32_768, np.int32)):
        found, has_unused = look_up(np.array([greatest, 5, -2], dtype=np.int32), indices)
        assert (found.dtype, found.tolist(), has_unused) == (kind, [-2, *[greatest] * 4], True)
    found, has_unused = look_up(np.array([7, 8, -2], dtype=np.int32), indices[1:3])
    assert (found.tolist(), has_unused) == ([7, 7], False)
    found, has_unused = look_up(np.arange(20_000, dtype=np.int32) % 5, indices)
    assert (found.dtype, found.tolist(), has_unused) == (np.int32, [2, 0, 0, 4, 0], False)  # not copied for few rows
    assert look_up(np.zeros(0, dtype=np.int32), indices)[0].tolist() == [-1] * 5
    interner = Interner()
    entries = Entries(*arrays_of(["a", "b", "a"], np.int32, b"", b""), interner, False)
    numbers = entries.numbers_of(indices)
    assert numbers.dtype == np.int8
    assert numbers.tolist() == entries.keys_of(indices)[0].tolist() == [0, 0, 0, 0, 0]
    assert entries.numbers_of(np.array([1], dtype=index)).tolist() == [1]
    assert Entries(*arrays_of([], np.int32, b"", b""), interner, False).numbers_of(indices).tolist() == [-1] * 5


class _WrittenMeanwhile(np.ndarray[Any, np.dtype[np.int32]]):
    """Codes of which another thread writes one once their greatest is known."""

    def max(self, *arguments: Any, **options: Any) -> Any:
        found = super().max(*arguments, **options)
        self[0] = 300
        return found


def test_codes_that_another_thread_writes_meanwhile_are_whole() -> None:
    codes = np.array([1, 2], dtype=np.int32).view(_WrittenMeanwhile)
    assert look_up(codes, np.array([0, 1], dtype=np.int32))[0].tolist() in ([1, 2], [300, 2])
