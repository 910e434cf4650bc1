"""The same bytes as the plain writer's, whatever is written, and the same refusals."""

from __future__ import annotations

import datetime as dt
import enum
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proto.canonical import canonical_json

numbers = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**60), 2**60).map(float)
    | st.builds(lambda digits, exponent: digits * 10.0**exponent, st.integers(-9999, 9999), st.integers(-30, 30))
)
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text('"\\,:[]{}0.e\n\x00\x1f\x7fé￿𝄞', max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(texts, values, max_size=5))
@settings(max_examples=300)
@example({"a": ["1.0", ':1.0,"', "\\", '\\"1e16,2.0', 1.0], '"1.0,': -0.0})
@example({"￿": 1, "𝄞": 2})
def test_the_bytes_are_those_of_the_plain_writer(content: dict[str, Any]) -> None:
    assert canonical_json(content) == rfc8785.dumps(content)


@given(st.lists(numbers, min_size=1, max_size=50))
@example([0.0, -0.0, 1.0, -1.0, 10.0, 0.1, 1.05, 100.0, 1.000001, 20.02])
@example([9007199254740993.0, 1e15, 1e16, 1.5e16, 1e20, 123456789012345680000.0, 1e21, 1.5e21, 1e22, -1e300])
@example([1e-4, 1e-5, 1.5e-5, 1e-6, 1.5e-6, 1e-7, 1.5e-7, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308])
def test_numbers_are_as_javascript_writes_them(found: list[float]) -> None:
    assert canonical_json({"n": found, "one": found[0]}) == rfc8785.dumps({"n": found, "one": found[0]})


class _Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**53, -(2**64), 10**400, {1: 2}, "\ud800", dt.date(2026, 1, 1), _Colour.RED, object(), b"x"],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_canonical_form_is_refused_as_ever(value: Any) -> None:
    with pytest.raises(rfc8785.CanonicalizationError) as plain:
        rfc8785.dumps({"a": [value]})
    with pytest.raises(type(plain.value)):
        canonical_json({"a": [value]})


def test_tuples_are_lists() -> None:
    assert canonical_json({"a": (1.0, True)}) == b'{"a":[1,true]}'
