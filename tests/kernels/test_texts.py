"""Packing: equal texts have equal words, different texts different ones, and every text comes back."""

import re
import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import _run
from kernels.keys import WideKeys
from kernels.texts import pack_texts, put_numbers, unpack_texts

from .aggregation_inputs import keys_of, run_on_pool
from .text_inputs import TEXTS, UUIDS, arrays_of, texts_in

PACKED_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89a-f][0-9a-f]{3}-[0-9a-f]{12}")


def needs_number(text: str) -> bool:
    return len(text.encode()) > 15 and not PACKED_UUID.fullmatch(text)


def packed(texts: list[str], dtype: Any, before: bytes = b"", after: bytes = b"") -> tuple[Any, list[int], list[str]]:
    """Return (words, rows that need a number, the texts by number), the numbers put."""
    data, offsets = arrays_of(texts, dtype, before, after)
    words = np.empty((len(texts), 2), dtype=np.uint64)
    rows = pack_texts(data, offsets[:-1], offsets[1:], words)
    numbers: dict[str, int] = {}
    put_numbers(words, rows, np.array([numbers.setdefault(texts[i], len(numbers)) for i in rows], dtype=np.int32))
    return words, rows.tolist(), list(numbers)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@given(texts=st.lists(TEXTS, max_size=30), before=st.binary(max_size=20), after=st.binary(max_size=20))
@settings(max_examples=300, deadline=None)
def test_words_stand_for_texts(dtype: Any, texts: list[str], before: bytes, after: bytes) -> None:
    words, rows, numbered = packed(texts, dtype, before, after)
    assert rows == [i for i, text in enumerate(texts) if needs_number(text)]
    pairs = [tuple(pair) for pair in words.tolist()]
    assert len(set(pairs)) == len(set(texts))
    assert len(set(zip(pairs, texts, strict=True))) == len(set(texts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_run, "BLOCK", 5)
        back = unpack_texts(WideKeys(words), keys_of([*numbered, "x"]), run_on_pool(2))  # type: ignore[arg-type]
    assert texts_in(back) == texts
    assert len(back.data) == sum(len(text.encode()) for text in texts)


def test_every_length_at_the_end_of_the_data() -> None:
    """A word is never read behind the data."""
    for length in range(17):
        for before in range(17):
            text = "abcdefghijklmnopq"[:length]
            words, rows, _ = packed([text], np.int32, b"\xff" * before)
            assert rows == ([0] if length > 15 else [])
            if length <= 15:
                assert (
                    int(words[0, 0]) | int(words[0, 1]) << 64 == int.from_bytes(text.encode(), "little") | length << 120
                )


@given(UUIDS, st.integers(0, 35), st.integers(0, 127))
@settings(max_examples=1500, deadline=None)
def test_only_uuids_are_packed_as_such(text: str, place: int, sign: int) -> None:
    changed = text[:place] + chr(sign) + text[place + 1 :]
    _, rows, _ = packed([changed, text], np.int32)
    assert rows == [0] * needs_number(changed)


def test_a_short_text_and_a_number_and_a_uuid_never_meet() -> None:
    highest, lowest = str(uuid.UUID(int=2**128 - 1)), "00000000-0000-0000-8000-000000000000"
    words, rows, _ = packed(["", "\0" * 15, "\xff" * 7, "x" * 16, highest, lowest], np.int64)
    assert rows == [3]
    assert [int(high) >> 56 for high in words[:, 1]] == [0, 15, 14, 16, 0xFF, 0x80]


def test_nothing_to_pack() -> None:
    words, rows, _ = packed([], np.int32)
    assert rows == []
    assert texts_in(unpack_texts(WideKeys(words), keys_of(["x"]))) == []  # type: ignore[arg-type]
