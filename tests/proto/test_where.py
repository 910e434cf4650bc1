"""The filter language: what each text means, that a tree written out reads as the same tree, and where errors stand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ErrorCode, RequestError
from proto.where import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_VALUES,
    All,
    Comparison,
    Expression,
    Not,
    Value,
    column_kinds,
    columns_of,
    number_of,
    parse_where,
    source_of,
)


def bare(expression: Expression) -> Any:
    """The tree without positions, as nested tuples."""
    if isinstance(expression, Comparison):
        return (expression.column, expression.operator, *(value.text for value in expression.values))
    if isinstance(expression, Not):
        return ("not", bare(expression.inner))
    return ("and" if isinstance(expression, All) else "or", *map(bare, expression.parts))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a=1", ("a", "=", "1")),
        ("a==1", ("a", "=", "1")),
        ("a<>1", ("a", "!=", "1")),
        ("a≠1", ("a", "!=", "1")),
        ("a≤1", ("a", "<=", "1")),
        ("  a >= -1.5e3 ", ("a", ">=", "-1.5e3")),
        ("screen_inches>=60", ("screen_inches", ">=", "60")),
        ("region in (north,south)", ("region", "in", "north", "south")),
        ("region IN ('north east', \"it's\")", ("region", "in", "north east", "it's")),
        ("name='it''s'", ("name", "=", "it's")),
        ("a=1 or b=2 and c=3", ("or", ("a", "=", "1"), ("and", ("b", "=", "2"), ("c", "=", "3")))),
        ("(a=1 or b=2) and c=3", ("and", ("or", ("a", "=", "1"), ("b", "=", "2")), ("c", "=", "3"))),
        ("not a=1 and b=2", ("and", ("not", ("a", "=", "1")), ("b", "=", "2"))),
        ("not (a=1)", ("not", ("a", "=", "1"))),
        ("a not in (1)", ("not", ("a", "in", "1"))),
        ("a is null", ("a", "is null")),
        ("a Is Not Null", ("not", ("a", "is null"))),
        ("`order` = 1 and 'and' = 2", ("and", ("order", "=", "1"), ("and", "=", "2"))),
        ("at>=2026-01-31T12:00:00Z", ("at", ">=", "2026-01-31T12:00:00Z")),
        ("地区=北", ("地区", "=", "北")),
        ("a='null'", ("a", "=", "null")),
    ],
)
def test_what_a_text_means(text: str, tree: Any) -> None:
    assert bare(parse_where(text)) == tree


@pytest.mark.parametrize(
    ("text", "position", "found", "wanted"),
    [
        ("", 1, "the end", "column"),
        ("a", 2, "the end", "="),
        ("a=", 3, "the end", "number"),
        ("a b=1", 3, "'b'", "="),
        ("a=1 b=2", 5, "'b'", "and, or"),
        ("region=New York", 12, "'York'", "and, or"),
        ("(a=1", 5, "the end", ")"),
        ("a=1)", 4, "')'", "the end"),
        ("a in 1", 6, "'1'", "("),
        ("a in ()", 7, "')'", "number"),
        ("a in (1 2)", 9, "'2'", ","),
        ("a not = 1", 7, "'='", "in"),
        ("a is 3", 6, "'3'", "null"),
        ("a is not 3", 10, "'3'", "null"),
        ("a=null", 3, "'null'", "number"),
        ("and=1", 1, "'and'", "column"),
        ("a='b", 3, "a ' without its end", "another '"),
        ("a ! b", 3, "'!'", "="),
        ("a<'b' and", 10, "the end", "column"),
        ("not", 4, "the end", "column"),
    ],
)
def test_an_error_says_where_and_what(text: str, position: int, found: str, wanted: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_where(text)
    error = caught.value
    assert error.code == ErrorCode.BAD_OPTION
    assert error.facts["option"] == "where"
    assert error.facts["position"] == position
    assert error.facts["found"] == found
    assert wanted in error.facts["wanted"]
    assert f"at character {position}: found {found}" in error.detail


def test_limits() -> None:
    deep = "(" * MAX_DEPTH + "a=1" + ")" * MAX_DEPTH
    assert bare(parse_where(deep)) == ("a", "=", "1")
    for text in (f"({deep})", "not " * (MAX_DEPTH + 1) + "a=1"):
        with pytest.raises(RequestError, match="at most 32"):
            parse_where(text)
    assert len(parse_where("a in (" + ",".join(["1"] * MAX_VALUES) + ")").values) == MAX_VALUES
    with pytest.raises(RequestError, match="at most 1,000 values"):
        parse_where("a in (" + ",".join(["1"] * (MAX_VALUES + 1)) + ")")
    with pytest.raises(RequestError, match=r"5,000 characters"):
        parse_where("a=" + "1" * (5000 - 2))
    assert parse_where("a=" + "1" * (MAX_CHARACTERS - 2))


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
COMPARISONS = st.one_of(
    st.tuples(NAMES, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), NAMES),
    st.tuples(NAMES, st.just("in"), NAMES, NAMES),
    st.tuples(NAMES, st.just("is null")),
)
TREES = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.just("and"), inner, inner),
        st.tuples(st.just("or"), inner, inner),
    ),
    max_leaves=6,
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def written(tree: Any) -> str:
    """The tree as text, fully parenthesised and quoted."""
    if tree[0] == "not" and isinstance(tree[1], tuple):
        return f"not ({written(tree[1])})"
    if tree[0] in ("and", "or") and isinstance(tree[1], tuple):
        return f" {tree[0]} ".join(f"({written(part)})" for part in tree[1:])
    column, operator, *values = tree
    if operator == "is null":
        return f"{quoted(column)} is null"
    if operator == "in":
        return f"{quoted(column)} in ({', '.join(map(quoted, values))})"
    return f"{quoted(column)}{operator}{quoted(values[0])}"


@given(TREES)
def test_a_tree_written_out_reads_as_the_same_tree(tree: Any) -> None:
    assert bare(parse_where(written(tree))) == tree


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_where(text)
    except RequestError as error:
        position = error.facts["position"]
    else:
        position = 1
    assert 1 <= position <= len(text) + 1


def test_columns_and_what_they_are_compared_with() -> None:
    expression = parse_where(
        "a>1 and (b=x or a in (2, 3)) and c>=2026-01-31 and d=2026-01-31T00:00Z or e is null or a='1'"
    )
    assert list(columns_of(expression)) == ["a", "b", "c", "d", "e"]
    assert columns_of(expression)["b"] == 10
    assert column_kinds(expression) == {"a": "text", "b": "text", "c": "time", "d": "time", "e": "text"}
    assert column_kinds(parse_where("a>1 and a<2.5")) == {"a": "number"}


@pytest.mark.parametrize(
    ("text", "number"),
    [("60", 60), ("-1.5e2", -150), (".1", Fraction(1, 10)), ("5.", 5), ("1_0", None), ("٣", None), ("1e9999", None)],
)
def test_numbers_are_exact(text: str, number: Any) -> None:
    assert number_of(Value(text, False, 1)) == number
    assert number_of(Value(text, True, 1)) is None


def test_the_column_that_is_meant() -> None:
    names = ["sales_value", "region"]
    assert source_of("region", 1, names, {}) == "region"
    assert source_of("amount", 1, names, {"amount": "sales_value"}) == "sales_value"
    with pytest.raises(RequestError, match="perhaps 'region' is meant") as caught:
        source_of("regoin", 7, names, {})
    assert caught.value.code == ErrorCode.MISSING_COLUMN
    assert caught.value.facts["position"] == 7
