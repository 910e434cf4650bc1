"""Ids of every type as a table's keys and back, batch by batch, dictionaries shared, replaced and extended."""

import itertools
import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.hashing import EntryKeys, RowKeys
from kernels.keys import ByteKeys, FixedKeys, Keys, WideKeys, concatenate_keys, take_keys
from proto.errors import RequestError
from proto.limits import Limits
from service import identities
from service.columns import find_holes, id_column
from service.identities import Identities
from tests.kernels.text_inputs import TEXTS
from tests.service.arrays import sliced

TEXT_TYPES = [
    pa.utf8(),
    pa.large_utf8(),
    pa.dictionary(pa.int8(), pa.utf8()),
    pa.dictionary(pa.uint32(), pa.large_utf8()),
]
KINDS: dict[str, type[Any]] = {"fixed": FixedKeys, "wide": WideKeys, "bytes": ByteKeys}
ids = st.lists(TEXTS | st.none(), max_size=20)


def keys_and_ids(identities: Identities, batches: list[pa.Array]) -> tuple[list[Any], list[Any]]:
    """Return each kept row's key as a plain value, and its id."""
    keys, wanted, parts = [], [], []
    for array in batches:
        keep = find_holes({"customer_id": array}, ()).keep
        found = _keys(identities.keys_of(array, keep))
        assert isinstance(found, KINDS[identities.kind])
        rows = np.arange(len(array)) if keep is None else np.flatnonzero(keep)
        parts.append(take_keys(found, rows))
        wanted += [text for text in array.to_pylist() if text is not None]
    restored = id_column(identities.restore(concatenate_keys(parts)), batches[0].type)
    assert restored.to_pylist() == wanted
    for part in parts:
        keys += _plain(part)
    return keys, wanted


def _keys(keys: RowKeys) -> Keys:
    return WideKeys(keys.words[keys.entries]) if isinstance(keys, EntryKeys) else keys


def _plain(keys: Keys) -> list[Any]:
    if isinstance(keys, ByteKeys):
        data = keys.data.tobytes()
        return [data[s : s + n] for s, n in zip(keys.starts, keys.lengths, strict=True)]
    return [tuple(np.atleast_1d(key).tolist()) for key in keys[0]]


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
@pytest.mark.parametrize("count_rows", [True, False])
@given(batches=st.lists(ids, min_size=1, max_size=4), n_shards=st.integers(1, 3), left=st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_texts_have_one_key_each_and_come_back(
    kind: pa.DataType, count_rows: bool, batches: list[list[str | None]], n_shards: int, left: int
) -> None:
    own = Identities(kind, count_rows=count_rows, limits=Limits(), n_shards=n_shards)
    arrays = [sliced(pa.array(batch, _text(kind)), left, 1) for batch in batches]
    if pa.types.is_dictionary(kind):
        arrays = [array.dictionary_encode().cast(kind) for array in arrays]
    keys, wanted = keys_and_ids(own, arrays)
    by_text: dict[str, Any] = dict(zip(wanted, keys, strict=True))
    assert len(set(by_text.values())) == len(by_text)
    assert [by_text[text] for text in wanted] == keys
    plain = pa.array(list(by_text), _text(kind))  # a merged state has texts where the rows had a dictionary
    assert _plain(_keys(own.keys_of(plain))) == list(by_text.values())


def _text(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


@pytest.mark.parametrize("count_rows", [True, False])
def test_uuids_and_integers_stay_as_they_are(count_rows: bool) -> None:
    raw = [uuid.UUID(int=i).bytes for i in (0, 1, 2**127, 1)]
    own = Identities(pa.binary(16), count_rows=count_rows, limits=Limits())
    assert own.kind == ("wide" if count_rows else "bytes")
    keys, _ = keys_and_ids(own, [sliced(pa.array(raw, pa.binary(16)), 1, 1), pa.array([None, raw[1]], pa.binary(16))])
    assert [keys.index(key) for key in keys] == [0, 1, 2, 1, 1]
    own = Identities(pa.int16(), count_rows=count_rows, limits=Limits())
    assert own.kind == "fixed"
    assert keys_and_ids(own, [pa.array([-1, 5, None], pa.int16())])[0] == [(2**64 - 1,), (5,)]


def test_unaligned_uuids_are_words_of_aligned_memory() -> None:
    buffer = pa.py_buffer(b"\0" + b"0123456789abcdef" * 2).slice(1)
    array = pa.Array.from_buffers(pa.binary(16), 2, [None, buffer])
    keys = Identities(array.type, count_rows=True, limits=Limits()).keys_of(array)
    assert isinstance(keys, WideKeys)
    assert keys.words.flags.aligned
    assert keys.words.tobytes() == b"0123456789abcdef" * 2


@pytest.mark.parametrize("count_rows", [True, False])
@pytest.mark.parametrize("deltas", [True, False])
def test_dictionaries_of_a_stream(count_rows: bool, deltas: bool) -> None:
    """Shared by batches, extended by deltas, replaced."""
    words = ["a", "b", "a customer with a long name", "c" * 15, "c" * 16, "a", None]
    sink = pa.BufferOutputStream()
    kind = pa.dictionary(pa.int32(), pa.utf8())
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=deltas)
    with pa.ipc.new_stream(sink, pa.schema([("id", kind)]), options=options) as writer:
        for n, turned in itertools.product((2, 5, 7), (False, True) if not deltas else (False,)):
            dictionary = pa.array(words[:n][::-1] if turned else words[:n])
            for _ in range(2):
                array = pa.DictionaryArray.from_arrays(pa.array([*range(n), None], pa.int32()), dictionary)
                writer.write_batch(pa.record_batch([array], ["id"]))
    own = Identities(kind, count_rows=count_rows, limits=Limits())
    batches = [batch.column(0) for batch in pa.ipc.open_stream(sink.getvalue())]
    keys, wanted = keys_and_ids(own, batches)
    assert len(set(keys)) == len(set(wanted)) == 5
    assert len(set(zip(keys, wanted, strict=True))) == 5


def test_a_dictionary_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    entries = identities.Entries
    monkeypatch.setattr(identities, "Entries", lambda *a, **k: made.append(a) or entries(*a, **k))  # type: ignore[func-returns-value]
    dictionary = pa.array(["a", "b"])
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 50), dictionary)
    own = Identities(column.type, count_rows=True, limits=Limits())
    for start in range(0, 100, 10):
        own.keys_of(pa.record_batch([column], ["id"]).slice(start, 10).column(0))
    assert len(made) == 1
    for _ in range(20):  # an address that is used again is not taken for the dictionary that was there before
        text = uuid.uuid4().hex[:15]
        column = pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([text]))
        assert id_column(own.restore(_keys(own.keys_of(column))), column.type).to_pylist() == [text]


def test_a_dictionary_too_large_to_be_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "_MOST_ENTRIES", 2)
    kind = pa.dictionary(pa.int32(), pa.utf8())
    own = Identities(kind, count_rows=True, limits=Limits())
    small, large = ["b", "long" * 9], ["a", "b", "long" * 9, None]
    arrays = [
        pa.DictionaryArray.from_arrays(pa.array([*range(len(d)), None], pa.int32()), pa.array(d))
        for d in (large, small)
    ]
    keys, wanted = keys_and_ids(own, arrays)
    assert wanted == ["a", "b", "long" * 9, "b", "long" * 9]
    assert keys[1:3] == keys[3:]


@pytest.mark.parametrize("kind", TEXT_TYPES[1:3], ids=str)
def test_the_text_that_is_held_has_a_limit(kind: pa.DataType) -> None:
    limits = Limits(max_string_bytes=1 << 20)
    own = Identities(kind, count_rows=True, limits=limits)
    text = pa.array(["x" * 100_000 + str(i) for i in range(5)], _text(kind))
    own.keys_of(text)
    own.keys_of(text)
    with pytest.raises(RequestError, match="max_string_bytes"):
        own.keys_of(pa.array(["x" * 100_000 + str(i) for i in range(20)], _text(kind)))
