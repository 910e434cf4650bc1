"""Documents read where they lie, against orjson: the same numbers and texts, or nothing at all."""

import re
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.json_columns import MAX_COLUMNS, JsonColumns, read_columns

PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
SPACES = st.sampled_from(["", " ", "\n", "\t ", "\r\n"])
PLAIN_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters='"\\{[', exclude_categories=["Cc"]), max_size=9)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.one_of(
    FLOATS.map(repr),
    st.floats(-1e4, 1e4).map(lambda value: repr(round(value, 2))),
    st.floats(1e-7, 1e-3).map(lambda value: f"{value:.12f}"),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,18})\.[0-9]{1,28}", fullmatch=True),
    # Half way between two float64 numbers, where what is even wins.
    st.integers(2**52, 2**53 - 1).map(lambda i: f"{(2 * i + 1) // 10}.{(2 * i + 1) % 10}"),
    st.integers(2**53, 2**54 - 1).map(lambda i: f"{(2 * i + 1) * 5 // 10}.{(2 * i + 1) * 5 % 10}"),
)


def shortest(value: float) -> str:
    return orjson.dumps(value).decode()


def is_plain(number: str) -> bool:
    """Whether the kernel is to read it: no exponent, 19 digits and 27 of them behind the point at most."""
    if not PLAIN_NUMBER.fullmatch(number):
        return False
    whole, point, decimals = number.partition(".")
    digits = (whole + decimals).lstrip("-").lstrip("0")
    return len(digits) <= 19 and len(decimals) <= 27 if point else number != "-0" and -(2**63) < int(number) < 2**63


def read(document: bytes) -> JsonColumns | None:
    """What the kernel reads, compared with what orjson does."""
    found = read_columns(document)
    if found is None:
        return None
    loaded = orjson.loads(document)
    names = orjson.loads(b"[" + found.key + b"]")
    assert list(loaded) == ["columns"]
    assert set(loaded["columns"]) == set(names)
    for j, name in enumerate(names):
        if names.count(name) == 1:
            compare(document, found, j, loaded["columns"][name])
    return found


def compare(document: bytes, found: JsonColumns, j: int, wanted: list[Any]) -> None:
    n, kinds = found.n, set(map(type, wanted))
    assert n == len(wanted)
    values, words = found.values[j * n : (j + 1) * n], found.words[j * n : (j + 1) * n]
    start, end = found.span(j)
    text = document[start:end]
    assert orjson.loads(b"[" + text + b"]") == wanted
    assert found.holds_numbers(j) is (str not in kinds)
    assert found.holds_texts(j) is (kinds == {str})
    assert found.holds_ids(j) is (len(kinds) == 1 and float not in kinds)
    if found.holds_numbers(j):
        assert values.tobytes() == struct.pack(f"{n}d", *wanted)
        assert found.is_shortest(j) is (
            text.decode() == ",".join(map(shortest, values.tolist())) and kinds == {float}
        ) or any(len(repr(abs(value)).lstrip("0.").replace(".", "")) > 15 for value in wanted)
    if kinds == {int}:
        assert words.tolist() == wanted
    if kinds == {str}:
        assert len(set(words.tolist())) == len(set(wanted))
    if found.is_compact(j) and found.holds_ids(j):
        assert text == orjson.dumps(wanted)[1:-1]


@settings(deadline=None, max_examples=100)
@given(st.lists(NUMBERS, min_size=1, max_size=8), SPACES, SPACES)
def test_numbers(numbers: list[str], before: str, after: str) -> None:
    text = ",".join(f"{before}{number}{after}" for number in numbers)
    document = f'{after}{{"columns"{before}:{after}{{ "a" :{before}[{text}]{after}}}{before}}}{after}'.encode()
    found = read(document)
    assert (found is not None) is all(map(is_plain, numbers))
    if found is not None:
        assert found.is_compact(0) is (before == after == "")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(PLAIN_TEXTS, st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=9))
def test_texts_and_columns(rows: list[tuple[str, int, float]]) -> None:
    ids, some, values = (list(column) for column in zip(*rows, strict=True))
    found = read(orjson.dumps({"columns": {"id": ids, "名": some, "v": [value + 0.001 for value in values]}}))
    assert found is not None
    assert found.key == '"id","名","v"'.encode()


@pytest.mark.parametrize(
    "value",
    [
        *("", "null", "true", "-", "+1", "01", "-01", "00", "1.", ".5", "1e5", "1.5E2", "-0", "[]", "{}", "1 2", "1,"),
        *(",1", '"', '"a\\n"', '"\x01"', '"["', '"{"', "9223372036854775808", "-9223372036854775808", "1_0", "0x1"),
        *("12345678901234567890.5", "1.0000000000000000000", "0." + "0" * 27 + "1", "NaN", "'a'", "\x00", "1\x00"),
    ],
)
def test_what_is_not_plain(value: str) -> None:
    assert read_columns(f'{{"columns":{{"a":[{value}]}}}}'.encode()) is None
    assert read_columns(f'{{"columns":{{"a":[1,{value},2.5]}}}}'.encode()) is None


@pytest.mark.parametrize(
    "document",
    [
        *(
            "",
            "{}",
            "[]",
            '{"columns"',
            '{"columns":',
            '{"columns":{',
            '{"columns":{}}',
            '{"columns":[]}',
            '{"rows":[]}',
        ),
        *('{"columns":{"a":[1]}', '{"columns":{"a":[1]}}}', '{"columns":{"a":[1]},"model":1}', '{"column":{"a":[1]}}'),
        *('{"columns":{"a":[1],}}', '{"columns":{"a":[1] "b":[1]}}', '{"columns":{"a":1}}', '{"columnsx:{"a":[1]}}'),
        *(
            '{"columns":{"a":[1,2],"b":[1]}}',
            '{"columns":{"a":[1],"b":[1,2]}}',
            '{"columns":{"a\\n":[1]}}',
            '{"columns"',
        ),
        '{"columns":{' + ",".join(f'"{i}":[1]' for i in range(MAX_COLUMNS + 1)) + "}}",
        '{"columns":{"' + "a" * 4_095 + '":[1]}}',
    ],
)
def test_other_documents(document: str) -> None:
    assert read_columns(document.encode()) is None


def test_a_cut_document_is_none() -> None:
    document = b' { "columns" : { "a" : [ 1.5, 123456789.123 ] , "b" : [ "x", "y" ] } } '
    assert read(document) is not None
    for end in range(len(document) - 1):
        assert read_columns(document[:end]) is None


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ("0.0,-0.0,1.5,100.25", True),
        ("0.00001,123456789012345.0", False),
        ("0.00001,12345678901234.5", True),
        ("0.000009", False),
        ("1.50", False),
        ("0.00", False),
        ("1.0,2", False),
        ("1.0, 2.0", False),
        ("0.1234567890123456", False),
        ("0.000123456789012345", True),
    ],
)
def test_which_texts_are_the_shortest(values: str, wanted: bool) -> None:
    found = read(f'{{"columns":{{"a":[{values}]}}}}'.encode())
    assert found is not None
    assert found.is_shortest(0) is wanted
