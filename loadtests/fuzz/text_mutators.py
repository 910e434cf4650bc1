"""JSON and CSV, wrong in the ways of JSON and CSV."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from loadtests.fuzz.havoc import HUGE, havoc

__all__ = ["mutated_csv", "mutated_json", "odd_value"]

_TEXTS = (
    *("", "\0", "名", "\ud83d\ude00", "x" * 5000, "=1+1", '"', "a\nb", "NaN", "null", "1e999", "-0", "\ufeff", " "),
    *("2026-01-02", "2026-13-45", "9999-12-31T23:59:59Z", "0000-01-01", "2026-01-02T25:00:00Z", "2262-04-12T00:00:00Z"),
    *("2026-01-02T09:00:00+99:99", "2016-12-31T23:59:60Z", "2026-01-02T09:00:00.123456789123Z", "-2026-01-02"),
)
_NUMBERS = ("1e999", "-1e999", "1e-400", "NaN", "Infinity", "0x10", "1" * 400, "1.", ".5", "-", "1e", "00", "1_0", "+1")
_CHUNKS = (
    *('{"a":', "[" * 50, "]" * 50, "}", ",", ":", '"', "\\u", '"\\ud800"', '"\\udc00\\ud800"', "\\x", "/*c*/", "nul"),
    *(
        "null",
        "true",
        "\ufeff",
        "\x00",
        "\x1f",
        '{"a":1,"a":2}',
        '"rows":[]',
        '"columns":{}',
        "[" * 3000,
        '{"k":' * 2000,
    ),
)


def odd_value(rng: random.Random, depth: int = 0) -> Any:
    """A value where another one was expected."""
    match rng.randrange(7 if depth < 3 else 4):
        case 0:
            return rng.choice((None, True, False, [], {}, [[]], [{}], {"a": {"b": []}}, [None], {"": ""}))
        case 1:
            return rng.choice(HUGE) * rng.choice((1, -1, 2**20))
        case 2:
            return rng.choice((1e308, -1e308, 5e-324, 1e-320, 0.0, -0.0, 1.5, 1e22, 2.0**63, 1e130, 1e200))
        case 3:
            return rng.choice(_TEXTS)
        case 4:
            return [odd_value(rng, depth + 1) for _ in range(rng.choice((1, 3, 30)))]
        case 5:
            return {rng.choice(_TEXTS): odd_value(rng, depth + 1) for _ in range(rng.choice((1, 3)))}
        case _:
            return rng.random()


def _changed(rng: random.Random, node: Any, depth: int = 0) -> Any:
    """The tree with one thing changed somewhere."""
    if not isinstance(node, dict | list) or not node or (depth and rng.random() < 0.15):
        return odd_value(rng)
    node = node.copy()
    place = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
    match rng.randrange(10):
        case 0:
            del node[place]
        case 1 if isinstance(node, dict):
            node[rng.choice((*_TEXTS, "rows", "columns", "model", "status"))] = odd_value(rng)
        case 2 if isinstance(node, list):
            node.insert(place, rng.choice((odd_value(rng), node[place])))
        case 3 if isinstance(node, list):
            node *= rng.choice((0, 2, 50))
        case _:
            node[place] = _changed(rng, node[place], depth + 1)
    return node


def _with_text(rng: random.Random, text: str, pieces: tuple[str, ...]) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(pieces) + text[at + rng.choice((0, 0, 1, 5, 40)) :]


def _with_number(rng: random.Random, text: str) -> str:
    """A number of the text written in a way that is none, or is too large."""
    digits = [i for i, letter in enumerate(text) if letter.isdigit()]
    if not digits:
        return text
    start = end = rng.choice(digits)
    while end < len(text) and (text[end].isdigit() or text[end] in ".e-+"):
        end += 1
    return text[:start] + rng.choice(_NUMBERS) + text[end:]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def mutated_json(rng: random.Random, document: Any, others: list[bytes]) -> bytes:
    """A document like this one, and wrong."""
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        document = _changed(rng, document)
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5)
    match rng.randrange(8):
        case 0:
            return havoc(rng, _encoded(text), others)
        case 1:
            return _encoded(_with_text(rng, text, _CHUNKS))
        case 2:
            return _encoded(_with_number(rng, text))
        case 3:
            return text.encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "latin-1")), "replace")
        case _:
            return _encoded(text)


_FIELDS: tuple[Callable[[random.Random, str], str], ...] = (
    lambda rng, field: rng.choice(_TEXTS),
    lambda rng, field: rng.choice(_NUMBERS),
    lambda rng, field: f'"{field}',
    lambda rng, field: f'"{field}"x',
    lambda rng, field: f'{field}""',
    lambda rng, field: '"' + field + "\n" * rng.choice((1, 30)) + '"',
    lambda rng, field: field + "," * rng.choice((1, 3, 5000)),
    lambda rng, field: field.replace(":", "."),
    lambda rng, field: "x" * rng.choice((10, 3000, 100_000)),
)


def mutated_csv(rng: random.Random, text: str, others: list[bytes]) -> bytes:
    """A sheet like this one, and wrong."""
    lines = text.split("\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(lines))
        fields = lines[at].split(",")
        place = rng.randrange(len(fields))
        match rng.randrange(8):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, rng.choice(lines))
            case 2:
                lines[at] = ",".join([*fields[:place], *fields[place + 1 :]])
            case _:
                fields[place] = rng.choice(_FIELDS)(rng, fields[place])
                lines[at] = ",".join(fields)
        lines = lines or [""]
    data = _encoded(rng.choice(("\n", "\n", "\r\n", "\r", "\n\n")).join(lines))
    match rng.randrange(6):
        case 0:
            return havoc(rng, data, others)
        case 1:
            return data.replace(b",", rng.choice((b";", b"\t", b"\0", b", ", b",\xff")))
        case 2:
            return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-8-sig", "gb18030")), "replace")
        case _:
            return data
