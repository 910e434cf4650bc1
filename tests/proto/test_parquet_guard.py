"""What a Parquet file declares agrees with what pyarrow says of it, and is refused where it is too much or untrue."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.fuzz.thrift import varint
from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.parquet_guard import MAX_CHUNKS, Chunk, check_pages, read_footer

LIMITS = Limits()
TABLE = pa.table({"a": range(500), "b": [f"text {i % 50}" for i in range(500)], "c": [None, 1.5] * 250})


def file_of(**options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, **options)
    return sink.getvalue()


def footer_of(body: bytes) -> bytes:
    return body[-8 - int.from_bytes(body[-8:-4], "little") : -8]


def page(
    kind: int, plain: int, content: bytes, *, n: int = 1, encoding: int = 0, levels: tuple[int, int] = (0, 0)
) -> bytes:
    """A page with its header."""
    head = b"\x15" + varint(2 * kind) + b"\x15" + varint(2 * plain) + b"\x15" + varint(2 * len(content))
    told = b"\x15" + varint(2 * n)
    if kind == 0:
        part = b"\x2c" + told + b"\x15" + varint(2 * encoding) + b"\0"
    elif kind == 2:
        part = b"\x4c" + told + b"\0"
    else:
        part = b"\x5c" + told + b"\x35" + varint(2 * encoding)
        part += b"".join(b"\x15" + varint(2 * level) for level in levels) + b"\0"
    return head + part + b"\0" + content


def checked(pages: bytes, n_values: int, limits: Limits = LIMITS) -> Any:
    body = b"PAR1" + pages
    chunk = Chunk(n_values, 0, len(pages), 4)
    return check_pages(lambda start, size: body[start : start + size], len(body), chunk, limits)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_what_pyarrow_wrote_is_declared_as_pyarrow_says(version: str, dictionary: bool, compression: str) -> None:
    body = file_of(
        row_group_size=200,
        data_page_version=version,
        use_dictionary=dictionary,
        compression=compression,
        data_page_size=100,
        write_page_index=True,
    )
    footer, told = read_footer(footer_of(body), LIMITS), pq.read_metadata(io.BytesIO(body))
    assert (footer.n_rows, len(footer.groups)) == (500, 3)
    for i, group in enumerate(footer.groups):
        assert group.n_rows == told.row_group(i).num_rows
        for j, chunk in enumerate(group.chunks):
            column = told.row_group(i).column(j)
            assert chunk.n_values == column.num_values
            assert (chunk.plain_bytes, chunk.stored_bytes) == (
                column.total_uncompressed_size,
                column.total_compressed_size,
            )
            pages = check_pages(lambda start, size: body[start : start + size], len(body), chunk, LIMITS)
            assert 0 < pages.plain_bytes < chunk.plain_bytes  # which counts the headers too
            assert not pages.shares_prefixes


def test_long_statistics_and_shared_prefixes() -> None:
    sink = io.BytesIO()
    texts = pa.table({"a": ["x" * 3000, "y" * 3000]})
    pq.write_table(
        texts,
        sink,
        use_dictionary=False,
        column_encoding={"a": "DELTA_BYTE_ARRAY"},
        data_page_version="1.0",
        data_page_size=10,
    )
    body = sink.getvalue()
    chunk = read_footer(footer_of(body), LIMITS).groups[0].chunks[0]
    assert check_pages(lambda start, size: body[start : start + size], len(body), chunk, LIMITS).shares_prefixes


def test_pages_are_added_up_until_all_values_are_there() -> None:
    pages = page(2, 10, b"d" * 5) + page(0, 20, b"1" * 6, n=3) + page(3, 30, b"2" * 7, n=4, levels=(1, 2))
    assert checked(pages + page(1, 0, b"index"), 7).plain_bytes == 60
    assert checked(pages + b"padding", 7).plain_bytes == 60
    with pytest.raises(RequestError, match="max_message_bytes"):
        checked(pages, 7, Limits(max_message_bytes=59))


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        (page(0, 2**31 - 1, b""), "max_message_bytes"),
        (page(2, 100, b"", n=101), "dictionary"),
        (page(2, 100, b"", n=2**31 - 1), "dictionary"),
        (page(0, 10, b"x" * 10, n=10), "more values"),
        (page(3, 10, b"x" * 10, levels=(6, 5)), "levels"),
        (page(0, 10, b"x" * 10)[:-1], "within its column"),
        (page(0, 10, b"")[:-1], "cut"),
        (page(0, 10, b"").replace(b"\x2c", b"\x1c"), "incomplete"),
        (b"\0" * 9, "incomplete"),
        (b"\xff" * 9, "cannot be read"),
        (b"\xf8\xff\xff\xff\xff\x0f", "cut"),
        (page(0, 1, b"").replace(b"\x15\x02", b"\x15\x01", 1), "within its column"),
    ],
)
def test_a_page_that_declares_too_much_is_refused(pages: bytes, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        checked(pages, 2)


@pytest.mark.parametrize("place", [(0, 5), (3, 5), (4, 50), (4, -1), (2**62, 5), (-5, 5)])
def test_a_chunk_lies_within_the_file(place: tuple[int, int]) -> None:
    with pytest.raises(RequestError, match="within the file"):
        check_pages(lambda start, size: b"", 20, Chunk(1, 0, place[1], place[0]), LIMITS)


def chunks(n_groups: int, n_chunks: int, rows: bytes = b"\x02") -> bytes:
    """A footer of row groups of one row, of column chunks as short as can be."""
    chunk = b"\x3c\x56\x02\x16\x02\x16\x02\x26\x08\0\0"
    group = b"\x19\xfc" + varint(n_chunks) + chunk * n_chunks + b"\x26" + rows + b"\0"
    return b"\x2c\0\x16" + varint(2 * n_groups) + b"\x19\xfc" + varint(n_groups) + group * n_groups + b"\0"


def test_a_footer_of_many_column_chunks_is_refused() -> None:
    footer = chunks(3, 5).replace(b"\x2c\0", b"\x29\x0c", 1)
    assert [len(group.chunks) for group in read_footer(footer, LIMITS).groups] == [5, 5, 5]
    assert read_footer(footer, LIMITS).groups[0].chunks[0] == Chunk(1, 1, 1, 4)
    with pytest.raises(RequestError, match="items in the footer") as caught:
        read_footer(chunks(1, MAX_CHUNKS + 1).replace(b"\x2c\0", b"\x29\x0c", 1), LIMITS)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


@pytest.mark.parametrize("rows", [b"\x04", b"\x01"])
def test_a_footer_whose_rows_do_not_add_up_is_refused(rows: bytes) -> None:
    with pytest.raises(RequestError, match="rows"):
        read_footer(chunks(2, 1, rows).replace(b"\x2c\0", b"\x29\x0c", 1), LIMITS)


FOOTER = footer_of(file_of())


@given(st.integers(0, len(FOOTER) - 1), st.integers(0, 255))
def test_a_damaged_footer_is_read_or_refused(at: int, byte: int) -> None:
    with contextlib.suppress(RequestError):
        footer = read_footer(FOOTER[:at] + bytes([byte]) + FOOTER[at + 1 :], LIMITS)
        assert all(chunk.n_values >= 0 for group in footer.groups for chunk in group.chunks)
