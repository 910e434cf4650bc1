from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.packing import WORD_BYTES, Packed, pack, packed_places, repacked


def naive_values(packed: Packed) -> dict[str, list[int]]:
    """Each column's values, read byte by byte from where they are said to be; unsigned."""
    found, (places, n_words) = {}, packed_places(packed.sizes)
    assert n_words == len(packed.words)
    for name, size, (word, place) in zip(packed.names, packed.sizes, places, strict=True):
        rows = [int(row).to_bytes(WORD_BYTES, "little") for row in packed.words[word].tolist()]
        found[name] = [int.from_bytes(row[place * size : (place + 1) * size], "little") for row in rows]
    return found


@given(st.lists(st.sampled_from([1, 2, 4]), min_size=1, max_size=12), st.integers(0, 5), st.randoms())
def test_columns_lie_side_by_side(sizes: list[int], n: int, random: Any) -> None:
    columns = {
        str(i): np.array([random.randrange(-1, 100) for _ in range(n)], dtype=f"i{size}")
        for i, size in enumerate(sizes)
    }
    packed = pack(columns)
    assert packed.sizes == tuple(sizes)
    assert naive_values(packed) == {
        name: values.view(f"u{values.itemsize}").tolist() for name, values in columns.items()
    }
    wider = tuple(max(size, random.choice([1, 2, 4])) for size in sizes)
    again = repacked(packed, wider)
    wide = {name: values.astype(f"i{size}") for (name, values), size in zip(columns.items(), wider, strict=True)}
    assert again.sizes == wider
    assert naive_values(again) == naive_values(pack(wide))


@pytest.mark.parametrize(
    ("sizes", "places", "n_words"),
    [
        ([1] * 9, [*((0, i) for i in range(8)), (1, 0)], 2),
        ([4, 1, 2, 4, 4], [(2, 0), (0, 0), (1, 0), (2, 1), (3, 0)], 4),
    ],
)
def test_a_word_has_values_of_one_size(sizes: list[int], places: list[tuple[int, int]], n_words: int) -> None:
    assert packed_places(sizes) == (places, n_words)
