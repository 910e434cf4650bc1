"""Counting by candidates: the exact customers whatever the hashes are, and every customer's rows in their order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels._jit import readonly
from kernels.hashing import ByteKeys, FixedKeys, hash_keys
from kernels.records import PURCHASE, Batch
from kernels.tagged import TaggedTable


def naive_sums(ids: list[int], amounts: list[float]) -> dict[int, tuple[int, float]]:
    sums: dict[int, tuple[int, float]] = {}
    for customer, amount in zip(ids, amounts, strict=True):
        count, total = sums.get(customer, (0, 0.0))
        sums[customer] = count + 1, total + amount
    return sums


def counted(table: TaggedTable, ids: list[int], amounts: list[float], hashing: str, cut: int) -> None:
    bits = np.array(ids, dtype=np.uint64)
    hashes = hash_keys(FixedKeys(bits), 3)
    if hashing == "equal":
        hashes[:] = np.uint64((1 << 64) - 1)  # one tag, and the last bucket as its home
    elif hashing == "few":
        hashes &= np.uint64(0xF003)
    actions, ticks = np.full(len(ids), PURCHASE, dtype=np.uint8), np.zeros(len(ids), dtype=np.int64)
    batch = Batch(readonly(actions), readonly(ticks), readonly(np.array(amounts)))
    for start in range(0, len(ids), cut):
        rows = np.arange(start, min(len(ids), start + cut), dtype=np.int32)
        assert not table.count(FixedKeys(bits), hashes, readonly(rows), batch, 0)


def found(table: TaggedTable) -> dict[int, tuple[int, float]]:
    n = table.n_keys
    sums = table.records["low"][:n].copy().view(np.float64)
    keys: Any = table.keys()
    assert len(set(keys.bits.tolist())) == n
    counts = table.records["frequency"][:n].tolist()
    return dict(zip(keys.bits.tolist(), zip(counts, sums.tolist(), strict=True), strict=True))


@given(
    st.lists(st.integers(0, 30) | st.integers(0, (1 << 64) - 1), min_size=1, max_size=120),
    st.sampled_from([1, 7, 120]),
    st.sampled_from(["seeded", "equal", "few"]),
)
@settings(max_examples=200, deadline=None)
def test_every_customer_gets_its_own_rows_in_order(ids: list[int], cut: int, hashing: str) -> None:
    amounts = [0.1 * i - 3.0 for i in range(len(ids))]  # sums depend on the order
    table = TaggedTable()
    counted(table, ids, amounts, hashing, cut)
    assert found(table) == naive_sums(ids, amounts)


@pytest.mark.parametrize(("hashing", "n"), [("seeded", 200_000), ("few", 3_000)])
def test_growth_within_a_batch_keeps_every_row(hashing: str, n: int) -> None:
    random = np.random.default_rng(2)
    ids, amounts = random.integers(0, n // 3, n).tolist(), random.normal(size=n).tolist()
    table = TaggedTable()
    counted(table, ids, amounts, hashing, n)
    assert found(table) == naive_sums(ids, amounts)
    assert table.nbytes < 100 * table.n_keys


def test_one_table_holds_one_kind_of_key() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    keys = ByteKeys(nothing.view(np.uint8), nothing, nothing.astype(np.int32))
    with pytest.raises(TypeError, match="keys: found ByteKeys"):
        TaggedTable().number(keys, nothing.view(np.uint64), nothing.astype(np.int32))
