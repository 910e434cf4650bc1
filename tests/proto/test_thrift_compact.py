"""Thrift's compact protocol: what is wanted is found behind everything else, and what is no structure is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.fuzz.thrift import varint
from proto.thrift_compact import I32, I64, Damaged, Reader, structure, structures


def zigzag(value: int) -> bytes:
    return varint(2 * value if value >= 0 else -2 * value - 1)


def field(number: int, kind: int, content: bytes, previous: int = 0) -> bytes:
    return bytes([(number - previous) << 4 | kind]) + content


# One field of every type, all to be skipped, before the wanted one.
OTHERS = b"".join(
    [
        field(1, 1, b""),
        field(2, 2, b"", 1),
        field(3, 3, b"\x7f", 2),
        field(4, 7, bytes(8), 3),
        field(5, 8, b"\x03abc", 4),
        field(6, 9, b"\x28" + b"\x01a\x02bc", 5),  # a list of two texts
        field(7, 10, b"\xf5\x10" + zigzag(300) * 16, 6),  # a set of 16 numbers
        field(8, 11, b"\x01\x85" + b"\x01k" + zigzag(-7), 7),  # a map of a text to a number
        field(9, 12, field(1, 5, zigzag(9)) + b"\0", 8),
        field(10, 11, b"\0", 9),  # an empty map has no types
        field(11, 9, b"\x21\x01\x02", 10),  # a list of truth values takes a byte for each
    ]
)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1))
def test_numbers_are_found_behind_all_other_fields(small: int, large: int) -> None:
    data = OTHERS + field(12, 5, zigzag(small), 11) + b"\x06" + zigzag(200) + zigzag(large) + b"\0" + b"rest"
    reader = Reader(data, 100)
    assert reader.read({12: I32, 200: I64}) == {12: small, 200: large}
    assert data[reader.at :] == b"rest"


def test_structures_and_lists_of_them_keep_what_is_wanted() -> None:
    inner = field(1, 5, zigzag(4)) + field(2, 8, b"\x01x", 1) + b"\0"
    data = field(1, 12, inner) + field(2, 9, b"\x3c" + inner * 3, 1) + b"\0"
    wanted = {1: structure({1: I32}), 2: structures({1: I32})}
    assert Reader(data, 3).read(wanted) == {1: {1: 4}, 2: [{1: 4}] * 3}
    with pytest.raises(Damaged, match="items"):
        Reader(data, 2).read(wanted)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (field(1, 5, zigzag(1)) + b"\x05\x02" + zigzag(2) + b"\0", "twice"),
        (field(1, 6, zigzag(1)) + b"\0", "type"),
        (field(1, 5, varint(2**32)) + b"\0", "32 bits"),
        (field(1, 5, b"\xff" * 12) + b"\0", "too long"),
        (field(2, 14, b""), "no type 14"),
        (field(2, 0, b""), "no type 0"),
        (field(2, 12, b"\x1c" * 40), "deeply"),
        (field(2, 9, b"\x19" * 40), "deeply"),
        (field(2, 9, b"\xfc\xff\xff\xff\xff\x0f"), "items"),
        (field(3, 9, b"\x15\x02"), "items of type"),
        (field(3, 5, b"\x02"), "structure"),
    ],
)
def test_what_could_be_read_in_two_ways_or_never_ends_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Damaged, match=why):
        Reader(data, 1000).read({1: I32, 3: structures({})})


@given(st.binary(max_size=60))
def test_any_bytes_end_in_a_structure_or_an_error(data: bytes) -> None:
    with contextlib.suppress(Damaged, IndexError):
        Reader(data, 100).read({1: I32, 2: structure({1: I64}), 3: structures({1: I32})})


@pytest.mark.parametrize("end", range(len(OTHERS)))
def test_a_cut_structure_is_an_index_error(end: int) -> None:
    with pytest.raises(IndexError):
        Reader(OTHERS[:end], 100).read({})
