"""Parquet files, damaged in their footer, in their page headers, and in their pages."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.fuzz.arrow_mutators import odd_stream
from loadtests.fuzz.havoc import havoc, number
from loadtests.fuzz.thrift import read_varint, varint, varints_of

__all__ = ["file_of", "mutated", "with_footer"]


def file_of(table: pa.Table, **options: Any) -> bytes:
    """The table as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue().to_pybytes())


def random_options(rng: random.Random) -> dict[str, Any]:
    """How to write a file: codecs, encodings, page forms."""
    options: dict[str, Any] = {
        "compression": rng.choice(("none", "snappy", "gzip", "zstd", "lz4", "brotli")),
        "data_page_version": rng.choice(("1.0", "2.0")),
        "row_group_size": rng.choice((3, 20, 1000)),
        "data_page_size": rng.choice((64, 4096, 1 << 20)),
        "write_statistics": rng.random() < 0.7,
        "write_page_index": rng.random() < 0.2,
        "write_page_checksum": rng.random() < 0.2,
        "store_schema": rng.random() < 0.7,
        "use_dictionary": rng.random() < 0.6,
    }
    if not options["use_dictionary"] and rng.random() < 0.5:
        options["column_encoding"] = {
            "customer_id": rng.choice(("PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY")),
            "timestamp": rng.choice(("PLAIN", "DELTA_BINARY_PACKED")),
            "amount": rng.choice(("PLAIN", "BYTE_STREAM_SPLIT")),
        }
    return options


def with_footer(pages: bytes, footer: bytes) -> bytes:
    """A file of these pages (with the magic before them) and this footer."""
    return pages + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def _split(body: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(body[-8:-4], "little")
    return body[: -8 - length], body[-8 - length : -8]


def _renumbered(rng: random.Random, data: bytes, start: int = 0) -> bytes:
    """The structure at `start` with some of its numbers changed; what follows moves along."""
    places, _ = varints_of(data, start)
    for begin, end, zigzag in sorted(rng.sample(places, min(len(places), rng.choice((1, 1, 2, 3)))), reverse=True):
        value = read_varint(data, begin)[0]
        value = number(rng, value >> 1 if zigzag else value)
        data = data[:begin] + varint((value << 1) ^ (value >> 63) if zigzag else value) + data[end:]
    return data


def _page_renumbered(rng: random.Random, body: bytes) -> bytes:
    """One page header changed, its length kept where that is possible, so that the others stay where they are."""
    metadata = pq.read_metadata(pa.BufferReader(body))
    if metadata.num_row_groups == 0:
        return havoc(rng, body)
    group = metadata.row_group(rng.randrange(metadata.num_row_groups))
    column = group.column(rng.randrange(group.num_columns))
    at = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
    try:
        places, _ = varints_of(body, at)
    except ValueError:  # a chunk without pages, say
        return havoc(rng, body)
    begin, end, zigzag = rng.choice(places)
    value = read_varint(body, begin)[0]
    value = number(rng, value >> 1 if zigzag else value)
    new = varint((value << 1) ^ (value >> 63) if zigzag else value)
    if rng.random() < 0.7 and len(new) < end - begin:
        new = bytes([*(byte | 128 for byte in new), *[128] * (end - begin - len(new) - 1), 0])
    return body[:begin] + new + (body[end:] if rng.random() < 0.5 else body[begin + len(new) :])


def mutated(rng: random.Random, table: pa.Table, others: list[bytes]) -> bytes:
    """A Parquet file, and wrong."""
    try:
        if rng.random() < 0.1:
            table = pa.ipc.open_stream(odd_stream(rng)).read_all()
            table.validate(full=True)  # pyarrow crashes on writing what is not valid
        body = file_of(table, **random_options(rng))
    except (pa.ArrowException, OSError, ValueError):
        body = rng.choice(others)
    choice = rng.random()
    if choice < 0.05:
        return body
    if choice < 0.35:
        return havoc(rng, body, others)
    pages, footer = _split(body)
    if choice < 0.65:
        return with_footer(pages, _renumbered(rng, footer))
    if choice < 0.75:
        return with_footer(pages, havoc(rng, footer, most=2))
    if choice < 0.8:
        return with_footer(havoc(rng, pages), footer)
    return _page_renumbered(rng, body)
