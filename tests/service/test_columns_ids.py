"""Ids of every type there and back: integers, text, dictionaries, UUIDs; slices throughout."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.keys import ByteKeys, FixedKeys, Keys, take_keys
from service.columns import find_holes, id_column, is_fixed_id, keys_of
from tests.service.arrays import INTEGERS, bounds, check_kind, sliced, texts_of

TEXTS = [pa.utf8(), pa.large_utf8()]
texts = st.text(max_size=12)


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
@given(data=st.data(), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=12)
def test_integer_ids_come_back(kind: pa.DataType, data: st.DataObject, left: int, right: int) -> None:
    ids = data.draw(st.lists(bounds(kind), max_size=20))
    array = sliced(pa.array(ids, kind), left, right)
    keys = keys_of(array)
    check_kind(keys)
    assert is_fixed_id(kind)
    assert isinstance(keys, FixedKeys)
    assert [int(bits) for bits in keys.bits] == [i % 2**64 for i in ids]
    back = id_column(take_keys(keys), kind)
    back.validate(full=True)
    assert back.type == kind
    assert back.to_pylist() == ids


@pytest.mark.parametrize("kind", TEXTS, ids=str)
@given(ids=st.lists(texts, max_size=20), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=20)
def test_text_ids_come_back(kind: pa.DataType, ids: list[str], left: int, right: int) -> None:
    keys = keys_of(sliced(pa.array(ids, kind), left, right))
    check_kind(keys)
    assert not is_fixed_id(kind)
    assert texts_of(keys) == [i.encode() for i in ids]
    _check_text_back(keys, kind, ids)


def _check_text_back(keys: Keys, kind: pa.DataType, ids: list[str]) -> None:
    """All ids, and a range of them, as a column."""
    compact = take_keys(keys)
    assert isinstance(compact, ByteKeys)
    for first in (0, len(ids) // 2):
        rows = slice(first, max(first, len(ids) - 1) if first else len(ids))
        part = ByteKeys(compact.data, compact.starts[rows], compact.lengths[rows])
        back = id_column(part, kind)
        back.validate(full=True)
        assert back.type == (kind.value_type if pa.types.is_dictionary(kind) else kind)
        assert back.to_pylist() == ids[rows]


@pytest.mark.parametrize("index", INTEGERS, ids=str)
@given(data=st.data(), text=st.sampled_from(TEXTS), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=10)
def test_dictionary_ids_come_back_as_text(
    index: pa.DataType, text: pa.DataType, data: st.DataObject, left: int, right: int
) -> None:
    words = data.draw(st.lists(texts | st.none(), min_size=1, max_size=8))
    indices = data.draw(st.lists(st.integers(0, len(words) - 1) | st.none(), max_size=20))
    dictionary = sliced(pa.array(words, text), left, right)
    array = sliced(pa.DictionaryArray.from_arrays(pa.array(indices, index), dictionary), right, left)
    ids = [None if i is None else words[i] for i in indices]
    keys = keys_of(array)
    check_kind(keys)
    assert len(texts_of(keys)) == len(ids)
    assert [t for t, i in zip(texts_of(keys), ids, strict=True) if i is not None] == [
        i.encode() for i in ids if i is not None
    ]
    holes = find_holes({"customer_id": array}, ())
    missing = [i is None for i in ids]
    assert holes.dropped == sum(missing)
    if holes.keep is None:
        _check_text_back(keys, array.type, [i for i in ids if i is not None])
    else:
        assert holes.keep.tolist() == [not m for m in missing]
        assert holes.first_null == {"customer_id": missing.index(True)}


def test_nothing_but_missing_ids() -> None:
    for array in (
        pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), pa.array([], pa.utf8())),
        pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), pa.array([None], pa.utf8())),
        pa.nulls(2, pa.utf8()),
        pa.nulls(2, pa.int64()),
        pa.nulls(2, pa.binary(16)),
    ):
        assert find_holes({"customer_id": array}, ()).dropped == 2
        keys = keys_of(array)
        assert len(keys[-1]) == 2
        check_kind(keys)


def test_what_a_missing_index_points_at_does_not_matter() -> None:
    indices = pa.Array.from_buffers(
        pa.int32(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([1, 2**31 - 1, 0], np.int32))]
    )
    array = pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"]))
    texts_found = texts_of(keys_of(array))
    assert (texts_found[0], texts_found[2]) == (b"b", b"a")


@given(ids=st.lists(st.binary(min_size=16, max_size=16), max_size=20), left=st.integers(0, 3), right=st.integers(0, 3))
@settings(max_examples=12)
def test_uuids_come_back(ids: list[bytes], left: int, right: int) -> None:
    kind = pa.binary(16)
    keys = keys_of(sliced(pa.array(ids, kind), left, right))
    check_kind(keys)
    assert texts_of(keys) == ids
    compact = take_keys(keys)
    assert isinstance(compact, ByteKeys)
    for rows in (slice(0, len(ids)), slice(len(ids) // 2, len(ids))):
        back = id_column(ByteKeys(compact.data, compact.starts[rows], compact.lengths[rows]), kind)
        back.validate(full=True)
        assert back.to_pylist() == ids[rows]


@pytest.mark.parametrize("kind", [*INTEGERS, *TEXTS, pa.binary(16), pa.dictionary(pa.int32(), pa.utf8())], ids=str)
def test_no_ids_at_all(kind: pa.DataType) -> None:
    keys = keys_of(pa.array([], kind))
    check_kind(keys)
    back = id_column(keys, kind)
    assert len(back) == 0
    assert back.type == (kind.value_type if pa.types.is_dictionary(kind) else kind)


def test_a_range_of_ids_carries_only_its_own_bytes() -> None:
    keys = take_keys(keys_of(pa.array([f"customer {i:05}" for i in range(10_000)])))
    assert isinstance(keys, ByteKeys)
    back = id_column(ByteKeys(keys.data, keys.starts[:10], keys.lengths[:10]), pa.utf8())
    assert back.buffers()[2].size == 10 * len("customer 00000")
