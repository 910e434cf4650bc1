"""What a Parquet file declares, read from its footer and its page headers before pyarrow sees it.

pyarrow allocates what a page declares, up to 2 GiB, and takes a kilobyte for each column chunk of a footer that spends
three bytes on it; some contradictions in a footer end the process. Layout: parquet.thrift of the Parquet format.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from proto.errors import ErrorCode, RequestError
from proto.limits import Limits, over
from proto.thrift_compact import I32, I64, Damaged, Reader, TooMany, structure, structures

__all__ = ["Chunk", "Footer", "Group", "Pages", "check_pages", "read_footer"]

MAX_CHUNKS = 131_072
"""Column chunks in a footer: 8 MiB have no room for more that say anything."""
_CHUNK_WEIGHT = 8  # of a kilobyte each, to 100 bytes of the other items
_MAX_ITEMS = MAX_CHUNKS * _CHUNK_WEIGHT
_HEADER_BYTES = 1_024
_DATA, _INDEX, _DICTIONARY, _DATA_V2 = range(4)
_DELTA_BYTE_ARRAY = 7

_CHUNK = {3: structure({5: I64, 6: I64, 7: I64, 9: I64, 11: I64})}
_FILE = {2: structures({}), 3: I64, 4: structures({1: structures(_CHUNK, _CHUNK_WEIGHT), 3: I64})}
_PAGE = {
    1: I32,
    2: I32,
    3: I32,
    5: structure({1: I32, 2: I32}),
    7: structure({1: I32}),
    8: structure({1: I32, 4: I32, 5: I32, 6: I32}),
}


class Chunk(NamedTuple):
    """One column of a row group."""

    n_values: int
    plain_bytes: int
    stored_bytes: int
    start: int
    """Of its first page, in the file."""


class Group(NamedTuple):
    """One row group."""

    n_rows: int
    chunks: list[Chunk]


class Footer(NamedTuple):
    """What a file declares of itself."""

    n_rows: int
    groups: list[Group]


class Pages(NamedTuple):
    """What the pages of a column chunk declare."""

    plain_bytes: int
    shares_prefixes: bool
    """Whether a text may repeat the start of the one before it: a few bytes can then stand for a long text each."""


def _damaged(what: object) -> RequestError:
    return RequestError(
        ErrorCode.MALFORMED_BODY, f"The Parquet file is damaged: {what}. Write it again, or send it as Arrow."
    )


def read_footer(data: bytes, limits: Limits) -> Footer:
    """The footer (without its length and the magic).

    RequestError(LIMIT_EXCEEDED) where it declares more than allowed, MALFORMED_BODY where it contradicts itself.
    """
    try:
        found = Reader(data, _MAX_ITEMS).read(_FILE)
        groups = [_group(group) for group in found[4]]
        n_rows: int = found[3]
    except TooMany as error:
        raise over("the number of items in the footer", error.found, _MAX_ITEMS, "Write larger row groups.") from None
    except (Damaged, IndexError, KeyError) as error:
        raise _damaged(f"its footer cannot be read ({_why(error)})") from None
    if n_rows > limits.max_rows:
        raise over("max_rows", n_rows, limits.max_rows, "Send fewer rows.")
    if any(group.n_rows < 0 for group in groups) or sum(group.n_rows for group in groups) != n_rows:
        raise _damaged(f"it declares {n_rows:,} rows, and others in its row groups")
    if any(chunk.n_values < 0 or chunk.plain_bytes < 0 for group in groups for chunk in group.chunks):
        raise _damaged("a column has a negative size")
    return Footer(n_rows, groups)


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"field {error} is missing"
    return str(error) if isinstance(error, Damaged) else "it is cut"


def _group(found: dict[int, Any]) -> Group:
    return Group(found[3], [_chunk(chunk[3]) for chunk in found[1]])


def _chunk(found: dict[int, int]) -> Chunk:
    data, dictionary = found[9], found.get(11, 0)
    return Chunk(found[5], found[6], found[7], dictionary if 0 < dictionary < data else data)


def check_pages(read: Callable[[int, int], bytes], end: int, chunk: Chunk, limits: Limits) -> Pages:
    """Walks the page headers of a column chunk; `read(start, size)` gives bytes of the file, whose pages end at `end`.

    RequestError(LIMIT_EXCEEDED) where a page becomes more than one message may be, MALFORMED_BODY where pages do not
    lie within their chunk.
    """
    at, behind = chunk.start, chunk.start + chunk.stored_bytes
    if not 4 <= at <= behind <= end:
        raise _damaged("a column does not lie within the file")
    n_values = plain_bytes = 0
    shares_prefixes = False
    while at < behind and n_values < chunk.n_values:
        header, size = _page(read, at, behind, limits)
        at += size
        kind, plain, stored = header[1], header[2], header[3]
        plain_bytes += plain
        if plain_bytes > limits.max_message_bytes:
            raise over("max_message_bytes", plain_bytes, limits.max_message_bytes, "Write smaller row groups.")
        if plain < 0 or stored < 0 or at + stored > behind:
            raise _damaged("a page does not lie within its column")
        at += stored
        if kind == _DICTIONARY:
            if not 0 <= _field(header, 7, 1) <= plain:
                raise _damaged("a dictionary declares more values than it has bytes")
        elif kind in (_DATA, _DATA_V2):
            place, encoding = (5, 2) if kind == _DATA else (8, 4)
            n = _field(header, place, 1)
            if n < 0 or n > chunk.n_values - n_values:
                raise _damaged("a page declares more values than its column has")
            if kind == _DATA_V2:
                levels = _field(header, 8, 5), _field(header, 8, 6)
                if min(levels) < 0 or sum(levels) > min(stored, plain):
                    raise _damaged("the levels of a page do not lie within it")
            n_values += n
            shares_prefixes |= _field(header, place, encoding) == _DELTA_BYTE_ARRAY
    return Pages(plain_bytes, shares_prefixes)


def _field(header: dict[int, Any], part: int, field: int) -> int:
    try:
        value: int = header[part][field]
    except KeyError:
        raise _damaged("a page header is incomplete") from None
    return value


def _page(read: Callable[[int, int], bytes], at: int, behind: int, limits: Limits) -> tuple[dict[int, Any], int]:
    """(page header, its size); statistics in it may be long."""
    size = _HEADER_BYTES
    while True:
        reader = Reader(read(at, min(size, behind - at)), _HEADER_BYTES)
        try:
            header = reader.read(_PAGE)
        except IndexError:
            if size >= min(behind - at, limits.max_metadata_bytes):
                raise _damaged("a page header is cut") from None
            size *= 16
            continue
        except Damaged as error:
            raise _damaged(f"a page header cannot be read ({error})") from None
        if not {1, 2, 3} <= set(header):
            raise _damaged("a page header is incomplete")
        return header, reader.at
