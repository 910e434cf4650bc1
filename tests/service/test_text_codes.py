"""Texts become numbers and come back, in whatever types and pieces they arrive."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.accumulators import MISSING, NO_CODE
from kernels.keys import FixedKeys
from proto.limits import Limits
from service import columns as cols
from service.text_codes import TextCodes, codes_of

KINDS = [pa.utf8(), pa.large_utf8(), pa.dictionary(pa.int8(), pa.utf8())]
COLUMN = st.lists(st.none() | st.sampled_from(["", "a", "北", "more than a word of eight bytes"]), max_size=8)


def narrow_of(codes: TextCodes, array: pa.Array) -> npt.NDArray[Any]:
    return codes.narrow(array, cols.validity(array))


@given(st.lists(st.tuples(st.sampled_from(KINDS), COLUMN), max_size=4))
def test_a_text_has_one_number_in_every_type_and_batch(columns: list[tuple[pa.DataType, list[str | None]]]) -> None:
    codes = TextCodes(Limits())
    known: dict[str, int] = {}
    for kind, texts in columns:
        array = pa.array(texts, kind)
        for text, code, narrow in zip(texts, codes.of(array).tolist(), narrow_of(codes, array).tolist(), strict=True):
            if text is None:
                assert (code, narrow) == (MISSING, NO_CODE)
            else:
                assert known.setdefault(text, code) == code == narrow
    assert len(set(known.values())) == len(known)
    assert codes.texts(np.array(list(known.values()), np.int64)) == list(known)


def test_narrow_numbers_stay_as_wide_as_they_became() -> None:
    codes = TextCodes(Limits())
    few, many = pa.array(["a", None, "b"]), pa.array([str(i) for i in range(300)])
    for array, kind in ((few, np.int8), (many, np.int16), (few.dictionary_encode(), np.int16)):
        numbers = narrow_of(codes, array)
        assert numbers.dtype == kind
        assert [MISSING if code == NO_CODE else code for code in numbers.tolist()] == codes.of(array).tolist()


def test_numbers_keep_their_width_while_another_thread_finds_narrow_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = TextCodes(Limits())
    lowered = property(lambda _: np.dtype(np.int8), lambda _, kind: None)  # at once, after every change
    monkeypatch.setattr(TextCodes, "_kind", lowered, raising=False)
    assert narrow_of(codes, pa.array([str(i) for i in range(300)])).tolist() == list(range(300))


def test_integers_are_their_own_numbers() -> None:
    array = pa.array([7, None, -1])
    keys = FixedKeys(np.array([7, 0, -1]).view(np.uint64))
    assert codes_of(keys, array).tolist() == [7, MISSING, -1]
    assert codes_of(keys, array.fill_null(0)).tolist() == [7, 0, -1]
