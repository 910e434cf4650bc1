"""The filter of `where=`: a small language of comparisons, read into a tree that the service evaluates per batch.

    expression = term { "or" term }
    term       = factor { "and" factor }
    factor     = "not" factor | "(" expression ")" | comparison
    comparison = column ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) value
               | column [ "not" ] "in" "(" value { "," value } ")"
               | column "is" [ "not" ] "null"
    column     = bare word, or text in quotes or backquotes
    value      = bare word, or text in quotes

Words are separated by white space where nothing else does; keywords may be written in any case, and a quote inside
quotes is doubled. What a bare value means (a number, a date, a text) the type of its column decides.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

from proto.errors import ErrorCode, RequestError

__all__ = [
    "MAX_CHARACTERS",
    "MAX_DEPTH",
    "MAX_VALUES",
    "All",
    "Comparison",
    "Either",
    "Expression",
    "Not",
    "Operator",
    "Value",
    "column_kinds",
    "columns_of",
    "number_of",
    "parse_where",
    "source_of",
]

MAX_CHARACTERS = 4096
MAX_DEPTH = 32
MAX_VALUES = 1000

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "is null"]


class Value(NamedTuple):
    """One value as it was written, and where: `position` counts characters from 1."""

    text: str
    quoted: bool
    position: int


class Comparison(NamedTuple):
    """A column against its values: one, several for `in`, none for `is null`."""

    column: str
    operator: Operator
    values: tuple[Value, ...]
    position: int


class Not(NamedTuple):
    inner: Expression


class All(NamedTuple):
    """True when all parts are."""

    parts: tuple[Expression, ...]


class Either(NamedTuple):
    """True when one of the parts is."""

    parts: tuple[Expression, ...]


Expression = Comparison | Not | All | Either


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<mark>[(),])
    | (?P<operator><=|>=|!=|<>|==|[=<>≤≥≠])
    | (?P<single>'(?:[^']|'')*')
    | (?P<double>"(?:[^"]|"")*")
    | (?P<back>`(?:[^`]|``)*`)
    | (?P<word>[^\s(),=<>!≤≥≠'"`]+)
    | (?P<end>$)
    )""",
    re.VERBOSE,
)
_OPERATORS: dict[str, Operator] = {"==": "=", "<>": "!=", "≠": "!=", "≤": "<=", "≥": ">="}
_KEYWORDS = ("and", "or", "not", "in", "is", "null")
_NUMBER = re.compile(r"[+-]?(?:\d{1,60}(?:\.\d{0,60})?|\.\d{1,60})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d.*)?", re.ASCII)


def _wrong(text: str, position: int, found: str, wanted: str, remedy: str = "") -> RequestError:
    return RequestError(
        ErrorCode.BAD_OPTION,
        f"where= cannot be read at character {position}: found {found}, wanted {wanted}. {remedy}".strip(),
        option="where",
        position=position,
        found=found,
        wanted=wanted,
    )


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            position = len(text) - len(rest) + 1
            if rest[0] in "'\"`":
                raise _wrong(text, position, f"a {rest[0]} without its end", f"another {rest[0]} behind the text")
            raise _wrong(text, position, repr(rest[0]), "=, !=, <, <=, >, >=, in or is")
        kind = str(match.lastgroup)
        word, position = match[kind], match.start(kind) + 1
        yield _Token(kind, word, position)
        if kind == "end":
            return
        at = match.end()


class _Parser:
    """Reads the tokens from left to right, one rule of the grammar a method."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0
        self._n_values = 0

    def whole(self) -> Expression:
        expression = self._expression()
        if self._next.kind != "end":
            remedy = "Text with spaces or commas is put into quotes." if self._next.kind == "word" else ""
            raise self._found("and, or, or the end", remedy)
        return expression

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _found(self, wanted: str, remedy: str = "") -> RequestError:
        token = self._next
        found = "the end" if token.kind == "end" else repr(token.text[:60])
        return _wrong(self._text, token.position, found, wanted, remedy)

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _is(self, keyword: str) -> bool:
        return self._next.kind == "word" and self._next.text.lower() == keyword

    def _takes(self, text: str) -> bool:
        """Takes the next token if it is this keyword or mark."""
        if self._is(text) or (self._next.kind == "mark" and self._next.text == text):
            self._at += 1
            return True
        return False

    def _expression(self) -> Expression:
        parts = [self._term()]
        while self._takes("or"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _term(self) -> Expression:
        parts = [self._factor()]
        while self._takes("and"):
            parts.append(self._factor())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _factor(self) -> Expression:
        nested = self._is("not") or self._next.text == "("
        if not nested:
            return self._comparison()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._found(f"at most {MAX_DEPTH} parentheses and nots inside each other")
        if self._takes("not"):
            inner: Expression = Not(self._factor())
        else:
            self._take()
            inner = self._expression()
            if not self._takes(")"):
                raise self._found("and, or, or )")
        self._depth -= 1
        return inner

    def _comparison(self) -> Expression:
        token = self._next
        if token.kind not in ("word", "single", "double", "back") or _is_keyword(token):
            raise self._found("the name of a column", "A column called like that is put into quotes.")
        column, position = _unquoted(self._take()), token.position
        if self._takes("is"):
            negated = self._takes("not")
            if not self._takes("null"):
                raise self._found("null" if negated else "null or not null")
            return _maybe_not(Comparison(column, "is null", (), position), negated)
        negated = self._takes("not")
        if self._takes("in"):
            return _maybe_not(Comparison(column, "in", self._list(), position), negated)
        if negated or self._next.kind != "operator":
            raise self._found("in" if negated else "=, !=, <, <=, >, >=, in or is")
        written = self._take().text
        operator = _OPERATORS.get(written, written)
        return Comparison(column, operator, (self._value(),), position)  # type: ignore[arg-type]

    def _list(self) -> tuple[Value, ...]:
        if not self._takes("("):
            raise self._found("( and a list of values")
        values = [self._value()]
        while self._takes(","):
            values.append(self._value())
        if not self._takes(")"):
            raise self._found(", or )", "Text with spaces is put into quotes.")
        return tuple(values)

    def _value(self) -> Value:
        token = self._next
        if token.kind not in ("word", "single", "double") or _is_keyword(token):
            remedy = "For missing values write: is null." if self._is("null") else ""
            raise self._found("a number, a date, a word, or text in quotes", remedy)
        self._n_values += 1
        if self._n_values > MAX_VALUES:
            raise self._found(f"at most {MAX_VALUES:,} values in all")
        self._take()
        return Value(_unquoted(token), token.kind != "word", token.position)


def _is_keyword(token: _Token) -> bool:
    return token.kind == "word" and token.text.lower() in _KEYWORDS


def _unquoted(token: _Token) -> str:
    if token.kind == "word":
        return token.text
    quote = token.text[0]
    return token.text[1:-1].replace(quote * 2, quote)


def _maybe_not(comparison: Comparison, negated: bool) -> Expression:
    return Not(comparison) if negated else comparison


@functools.lru_cache(maxsize=256)
def parse_where(text: str) -> Expression:
    """The tree of a filter; RequestError says what was found and wanted, and at which character (from 1)."""
    if len(text) > MAX_CHARACTERS:
        raise RequestError(
            ErrorCode.BAD_OPTION,
            f"where= has {len(text):,} characters, more than the {MAX_CHARACTERS:,} that are read. Shorten it, or "
            "filter before you send.",
            option="where",
            found=len(text),
            wanted=MAX_CHARACTERS,
        )
    return _Parser(text).whole()


def _comparisons(expression: Expression) -> Iterator[Comparison]:
    if isinstance(expression, Comparison):
        yield expression
    elif isinstance(expression, Not):
        yield from _comparisons(expression.inner)
    else:
        for part in expression.parts:
            yield from _comparisons(part)


def columns_of(expression: Expression) -> dict[str, int]:
    """The columns a filter names, each with the first character of its first mention."""
    found: dict[str, int] = {}
    for comparison in _comparisons(expression):
        found.setdefault(comparison.column, comparison.position)
    return found


def number_of(value: Value) -> Fraction | None:
    """The number a bare value stands for, exactly; None where it is none."""
    return Fraction(value.text) if not value.quoted and _NUMBER.fullmatch(value.text) else None


def column_kinds(expression: Expression) -> dict[str, Literal["number", "time", "text"]]:
    """What each column is compared with, for formats without types: number or time where all values are, else text."""
    values: dict[str, list[Value]] = {}
    for comparison in _comparisons(expression):
        values.setdefault(comparison.column, []).extend(comparison.values)
    kinds: dict[str, Literal["number", "time", "text"]] = {}
    for column, theirs in values.items():
        if theirs and all(number_of(value) is not None for value in theirs):
            kinds[column] = "number"
        elif theirs and all(_TIME.fullmatch(value.text) for value in theirs):
            kinds[column] = "time"
        else:
            kinds[column] = "text"
    return kinds


def source_of(column: str, position: int, names: Sequence[str], mapping: Mapping[str, str]) -> str:
    """The sender's column that a filter means: one of that name, or the one `columns=` gives that name.

    RequestError(MISSING_COLUMN) says where it stands, and which one may be meant.
    """
    if column in names:
        return column
    mapped = mapping.get(column)
    if mapped is not None and mapped in names:
        return mapped
    near = difflib.get_close_matches(column[:100], names[:1000], 1)
    shown = ", ".join(repr(name[:100]) for name in names[:20]) or "no columns"
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    raise RequestError(
        ErrorCode.MISSING_COLUMN,
        f"where= names the column {column[:100]!r} at character {position}, which is not in the data"
        f"{f'; perhaps {near[0]!r} is meant' if near else ''}. The data has {shown}{more}.",
        option="where",
        column=column,
        position=position,
        found=list(names[:50]),
        wanted=column,
    )
