"""RFC 8785 canonical JSON, at the speed of orjson: the bytes behind a model's id, and behind a bundle's.

orjson writes them nearly: only floats that are whole or that need an exponent look otherwise (1.0 for 1, 1e16 for
10000000000000000), and keys with characters beyond U+FFFF may stand in another order. Numbers of the first kind are
written anew; for the second, and for whatever orjson refuses or would read back as something else (NaN, dates), the
plain writer decides. A sixth of its time: 0.8 ms for a model of 23 KB, and a bundle may hold a thousand.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
import rfc8785

__all__ = ["canonical_json"]

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_BEYOND_FFFF = re.compile(rb"[\xf0-\xf4]")  # such a character's first byte in UTF-8
_TEXT = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")')
_WITH_EXPONENT = re.compile(rb"-?\d++(?:\.\d++)?e[-+]?\d++")
_ENDS = (b",", b"]", b"}")


def _as_javascript(found: re.Match[bytes]) -> bytes:
    return rfc8785.dumps(float(found[0]))


def _numbers_anew(between: bytes) -> bytes:
    """What stands between two texts: whole numbers lose their .0, -0 its sign; those with exponents are rewritten."""
    if b".0" in between:
        for end in _ENDS:
            between = between.replace(b"-0.0" + end, b"0" + end).replace(b".0" + end, end)
    if b"e" not in between:
        return between
    pieces = between.split(b",")  # a search through all digits costs more than writing them
    return b",".join([_WITH_EXPONENT.sub(_as_javascript, piece) if b"e" in piece else piece for piece in pieces])


def canonical_json(content: dict[str, Any]) -> bytes:
    """The canonical JSON of an object, as `rfc8785.dumps` writes it; its CanonicalizationError where there is none."""
    try:
        text = orjson.dumps(content, option=_OPTIONS)
    except orjson.JSONEncodeError:
        return rfc8785.dumps(content)
    if _BEYOND_FFFF.search(text) or orjson.loads(text) != content:
        return rfc8785.dumps(content)
    parts = _TEXT.split(text)
    parts[::2] = [_numbers_anew(between) for between in parts[::2]]
    return b"".join(parts)
