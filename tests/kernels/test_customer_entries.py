"""Rows of a dictionary's entries: the customers of their texts, whatever is known of entries when they come."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.customer_entries import code_bits, hash_entries
from kernels.dictionaries import Entries
from kernels.hashing import EntryKeys, WideKeys, hash_keys
from kernels.interning import Interner
from kernels.parts import Room, hash_and_list
from kernels.rfm import Customers, Occasion, Plan, Prepared, Refunds, RfmTable, Rows
from kernels.texts import unpack_texts

from .aggregation_inputs import I64
from .text_inputs import TEXTS, arrays_of, texts_in

ZONE = np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
PLAN = Plan(Occasion.ROW, Refunds.NET, I64.min, I64.max, 1, *ZONE, "float", False, None, True)


def naive(texts: list[str], amounts: list[float]) -> dict[str, tuple[int, int, float]]:
    found: dict[str, tuple[int, int, float]] = {}
    for i, text in enumerate(texts):
        first, n, total = found.get(text, (i, 0, 0.0))
        found[text] = first, n + (amounts[i] >= 0), total + amounts[i]
    return found


def told(customers: Customers, interner: Interner) -> dict[str, tuple[int, int, float]]:
    assert isinstance(customers.keys, WideKeys)
    texts = texts_in(unpack_texts(customers.keys, interner.texts()))
    columns = (column.tolist() for column in (customers.first_row, customers.frequency, customers.sums))
    return dict(zip(texts, zip(*columns, strict=True), strict=True))


@given(st.data(), st.lists(TEXTS, min_size=1, max_size=9), st.sampled_from([1, 2, 3, 5]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_text_gets_its_own_rows_in_order(
    data: st.DataObject, words: list[str], n_shards: int, prepared_before: bool
) -> None:
    interner, table = Interner(), RfmTable(PLAN, n_shards, 7)
    texts, amounts = [], []
    waiting: list[Prepared] = []
    for _ in range(data.draw(st.integers(1, 3))):  # dictionaries
        twice = data.draw(st.permutations(words + words))  # two entries may be the same text
        entries = Entries(*arrays_of(twice, np.int32, b"before", b"after"), interner, True)
        for _ in range(data.draw(st.integers(1, 3))):
            indices = data.draw(st.lists(st.integers(0, len(twice) - 1), min_size=1, max_size=30))
            keep = np.array([data.draw(st.integers(0, 5)) > 0 for _ in indices], dtype=np.bool_)
            own = [0.1 * (len(amounts) + i) - 1.0 for i in range(len(indices))]
            keys = entries.keys_of(np.array(indices, dtype=np.int32), keep)
            rows = Rows(keys, np.zeros(len(indices), dtype=np.int64), np.array(own), keep=keep)
            batch = table.prepare(rows, len(texts))
            texts += [twice[i] if there else "" for i, there in zip(indices, keep, strict=True)]
            amounts += [amount if there else np.nan for amount, there in zip(own, keep, strict=True)]
            waiting.append(batch)
            if not prepared_before:
                for thunk in table.entering([batch]):
                    thunk()
    if prepared_before:  # nothing is known of any entry when the rows are parted
        for thunk in table.entering(waiting):
            thunk()
    kept = [i for i, amount in enumerate(amounts) if not np.isnan(amount)]
    expected: dict[str, Any] = {
        text: (kept[first], n, total)
        for text, (first, n, total) in naive([texts[i] for i in kept], [amounts[i] for i in kept]).items()
    }
    found = told(table.finish(), interner)
    assert list(found.items()) == list(expected.items())


@pytest.mark.parametrize("n_shards", [1, 2, 3])
def test_growth_keeps_what_is_known(n_shards: int) -> None:
    n, random = 4_000, np.random.default_rng(4)
    entries = Entries(*arrays_of([f"c{i}" for i in range(n)], np.int32), Interner(), True)
    table = RfmTable(PLAN, n_shards)
    for number in range(3):
        indices = random.integers(0, n, 3_000).astype(np.int32)
        table.add(Rows(entries.keys_of(indices), np.zeros(3_000, dtype=np.int64), np.ones(3_000)), 3_000 * number)
    keys = entries.keys_of(np.arange(n, dtype=np.int32))
    assert np.count_nonzero(keys.codes >= 0) == table.n_customers  # type: ignore[union-attr]
    assert sum(table.finish().frequency.tolist()) == 9_000


def test_a_code_has_as_many_bits_as_tell_the_shard() -> None:
    assert [code_bits(n) for n in (1, 2, 3, 64, 65)] == [0, 1, 2, 6, 7]


@pytest.mark.parametrize("n_shards", [1, 2, 3, 7, 64])
def test_rows_that_are_known_go_to_the_shard_of_their_code(n_shards: int) -> None:
    words = np.arange(40, dtype=np.uint64).reshape(20, 2)
    entries, bits = np.arange(20, dtype=np.int32), code_bits(n_shards)
    codes = np.array([i << bits | i % n_shards if i % 2 else -1 for i in range(20)], dtype=np.int32)
    for array in (entries, codes):
        array.flags.writeable = False
    keys = EntryKeys(words, entries, codes, codes.copy())
    listed = hash_and_list(keys, 3, n_shards, None, Room(True).take(20, n_shards))
    hashes = np.empty(20, dtype=np.uint64)
    hash_entries(keys, 3, n_shards, hashes)
    unknown = slice(0, 20, 2)
    assert hashes[unknown].tolist() == hash_keys(WideKeys(words[unknown]), 3).tolist()
    for shard, part in enumerate(listed):
        own = (part & np.uint64(0xFFFF_FFFF)).tolist()
        assert {i % n_shards for i in own if i % 2} <= {shard}
        assert [i for i in own if i % 2 == 0] == [
            i for i in range(0, 20, 2) if (int(hashes[i]) >> 32) * n_shards >> 32 == shard
        ]
