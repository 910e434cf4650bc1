"""Texts become numbers and come back, in whatever types and pieces they arrive."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kernels.accumulators import MISSING, NO_CODE
from kernels.keys import FixedKeys
from proto.limits import Limits
from service.text_codes import TextCodes, codes_of

KINDS = [pa.utf8(), pa.large_utf8(), pa.dictionary(pa.int8(), pa.utf8())]
COLUMN = st.lists(st.none() | st.sampled_from(["", "a", "北", "more than a word of eight bytes"]), max_size=8)


@given(st.lists(st.tuples(st.sampled_from(KINDS), COLUMN), max_size=4))
def test_a_text_has_one_number_in_every_type_and_batch(columns: list[tuple[pa.DataType, list[str | None]]]) -> None:
    codes = TextCodes(Limits())
    known: dict[str, int] = {}
    for kind, texts in columns:
        array = pa.array(texts, kind)
        for text, code, narrow in zip(texts, codes.of(array).tolist(), codes.narrow(array).tolist(), strict=True):
            if text is None:
                assert (code, narrow) == (MISSING, NO_CODE)
            else:
                assert known.setdefault(text, code) == code == narrow
    assert len(set(known.values())) == len(known)
    assert codes.texts(np.array(list(known.values()), np.int64)) == list(known)


def test_integers_are_their_own_numbers() -> None:
    array = pa.array([7, None, -1])
    keys = FixedKeys(np.array([7, 0, -1]).view(np.uint64))
    assert codes_of(keys, array).tolist() == [7, MISSING, -1]
    assert codes_of(keys, array.fill_null(0)).tolist() == [7, 0, -1]
