"""Bodies of a few bytes that declare a gigabyte, or become one."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from loadtests.fuzz.thrift import varint
from tests.wire.server import stream_of
from tests.wire.shop import ROWS, transactions

__all__ = [
    "ARROW_BOMBS",
    "ENCODED_BOMBS",
    "JSON_BOMBS",
    "PARQUET_BOMBS",
    "TEXT_BOMBS",
    "messages_that_grow",
]

GIGABYTE = 1 << 30


def patched(body: bytes, at: int, form: str, value: int) -> bytes:
    """The body with a number at a position replaced."""
    data = bytearray(body)
    struct.pack_into(form, data, at, value)
    return bytes(data)


# Arrow

PLAIN = stream_of(transactions())


def _compressed(codec: str = "zstd") -> bytes:
    table = transactions(ROWS * 50)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _batch_start(body: bytes) -> tuple[int, int, int]:
    """(where the metadata of the second message starts, where its body starts, how long that is)"""
    start = 8 + int.from_bytes(body[4:8], "little")
    message = pa.ipc.read_message(pa.py_buffer(body[start:]))
    return start + 8, start + 8 + int.from_bytes(body[start + 4 : start + 8], "little"), message.body.size


def a_message_of_a_gigabyte() -> bytes:
    metadata, body, size = _batch_start(PLAIN)
    at = PLAIN.index(struct.pack("<q", size), metadata, body)
    return patched(PLAIN, at, "<q", GIGABYTE)[: body + 100]


def metadata_of_a_gigabyte() -> bytes:
    return b"\xff\xff\xff\xff" + struct.pack("<i", GIGABYTE) + bytes(92)


def rows_of_a_terabyte() -> bytes:
    metadata, body, _ = _batch_start(PLAIN)
    at = PLAIN.index(struct.pack("<q", len(ROWS)), metadata, body)
    return patched(PLAIN, at, "<q", 1 << 40)


def a_compressed_buffer_of_a_gigabyte() -> bytes:
    body = _compressed()
    _, start, size = _batch_start(body)
    whole = pa.ipc.open_stream(body).read_next_batch()
    plain = whole.columns[0].buffers()[1].size
    return patched(body, body.index(struct.pack("<q", plain), start, start + size), "<q", GIGABYTE)


def messages_that_grow(n_messages: int) -> bytes:
    """Transactions in messages of a kilobyte that become 32 MB each: zeros, compressed. Nothing is wrong with them."""
    zeros = np.zeros(1_000_000, np.int64)
    times = pa.array(zeros, pa.timestamp("us"))
    table = pa.table({"customer_id": zeros, "timestamp": times, "amount": zeros * 1.0, "order_id": zeros})
    (batch,) = table.to_batches()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for _ in range(n_messages):
            writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def text_of_a_gigabyte() -> bytes:
    return _texts(pa.utf8(), np.array([0, 1, 2], np.int32), np.array([0, GIGABYTE, GIGABYTE], np.int32))


def text_that_goes_backwards() -> bytes:
    return _texts(pa.large_utf8(), np.array([0, 1, 2], np.int64), np.array([0, 1 << 40, 1], np.int64))


def _texts(kind: pa.DataType, good: Any, bad: Any) -> bytes:
    """Two customers whose texts lie where these offsets say."""
    body = stream_of(transactions([("a", *ROWS[0][1:]), ("b", *ROWS[1][1:])], ids=kind))
    assert body.count(good.tobytes()) == 1
    return body.replace(good.tobytes(), bad.tobytes())


def an_index_outside_its_dictionary() -> bytes:
    indices = pa.array([2**30, -1], pa.int32())
    ids = pa.DictionaryArray.from_arrays(indices, pa.array(["a"]), safe=False)
    return stream_of(transactions(ROWS[:2]).set_column(0, "customer_id", ids))


def views_outside_their_bytes() -> bytes:
    views = struct.pack("<i4sii", GIGABYTE, b"abcd", 7, GIGABYTE) * 2
    ids = pa.Array.from_buffers(pa.string_view(), 2, [None, pa.py_buffer(views)])
    return stream_of(transactions(ROWS[:2]).set_column(0, "customer_id", ids))


def ten_thousand_columns() -> bytes:
    table = transactions(ROWS[:1])
    return stream_of(pa.table({**{name: table[name] for name in table.column_names}, **_many_columns(table, 10_000)}))


def a_million_columns() -> bytes:
    """What the schema of a million columns starts with: its length."""
    field = pa.schema([("x", pa.int8())]).serialize().size - pa.schema([]).serialize().size
    return b"\xff\xff\xff\xff" + struct.pack("<i", 1_000_000 * field // 8 * 8) + bytes(1000)


def _many_columns(table: pa.Table, n: int) -> dict[str, Any]:
    return {f"x{i}": table["amount"] for i in range(n)}


def metadata_of_many_megabytes() -> bytes:
    return stream_of(transactions(), {b"note": b"x" * (9 << 20)})


def a_schema_again_and_again() -> bytes:
    end = 8 + int.from_bytes(PLAIN[4:8], "little")
    return PLAIN[:end] * 10_000


def dictionaries_without_end() -> bytes:
    ids = pa.array([f"customer {i}" for i in range(1000)]).dictionary_encode()
    table = pa.table(
        {"customer_id": ids, "timestamp": pa.nulls(1000, pa.date32()), "amount": pa.nulls(1000, pa.int8())}
    )
    body = stream_of(table)
    start = 8 + int.from_bytes(body[4:8], "little")
    _, data, size = _batch_start(body)
    return body[:start] + body[start : data + size] * 2000


_ONE = {"customer_id": ["a"], "timestamp": pa.array([0], pa.date32()), "amount": [1.0]}
_NESTED = {
    "list": pa.array([[1]]),
    "struct": pa.array([{"a": 1}]),
    "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    "fixed_list": pa.array([[1.0]], pa.list_(pa.float64(), 1)),
    "union": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]),
    "run_ends": pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array([1.5])),
    "extension_uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16], pa.binary(16))),
    "dictionary_of_numbers": pa.array([1]).dictionary_encode(),
    "interval": pa.array([pa.MonthDayNano([1, 2, 3])]),
    "list_view": pa.array([[1]], pa.list_view(pa.int64())),
}

ARROW_BOMBS: dict[str, tuple[Any, int, str]] = {
    "a message of 1 GB": (a_message_of_a_gigabyte, 413, "limit_exceeded"),
    "metadata of 1 GB": (metadata_of_a_gigabyte, 413, "limit_exceeded"),
    "2**40 rows": (rows_of_a_terabyte, 413, "limit_exceeded"),
    "a compressed buffer of 1 GB": (a_compressed_buffer_of_a_gigabyte, 413, "limit_exceeded"),
    "text of 1 GB": (text_of_a_gigabyte, 400, "malformed_body"),
    "text that goes backwards": (text_that_goes_backwards, 400, "malformed_body"),
    "an index outside its dictionary": (an_index_outside_its_dictionary, 400, "malformed_body"),
    "views outside their bytes": (views_outside_their_bytes, 400, "malformed_body"),
    "10,000 columns": (ten_thousand_columns, 413, "limit_exceeded"),
    "1,000,000 columns": (a_million_columns, 413, "limit_exceeded"),
    "metadata of 9 MB": (metadata_of_many_megabytes, 413, "limit_exceeded"),
    "a schema 10,000 times": (a_schema_again_and_again, 400, "malformed_body"),
    "a dictionary 2,000 times": (dictionaries_without_end, 422, "no_customers"),
    **{
        f"a column of {name}": (lambda array=array: stream_of(pa.table({**_ONE, "x": array})), 422, "unsupported_type")
        for name, array in _NESTED.items()
    },
}

# Parquet


def parquet_of(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def _zeros(n: int, **options: Any) -> bytes:
    """Zeros, of which a page of some kilobytes holds gigabytes."""
    columns = {"customer_id": np.zeros(n, np.int64), "timestamp": pa.array(np.zeros(n, np.int64), pa.timestamp("us"))}
    return parquet_of(pa.table({**columns, "amount": np.zeros(n)}), use_dictionary=False, row_group_size=n, **options)


def pages_of_zeros() -> bytes:
    return _zeros(12_000_000, compression="zstd", data_page_size=GIGABYTE, write_statistics=False)


def pages_of_zeros_that_say_little() -> bytes:
    """The same; its footer says that the columns are small."""
    body = pages_of_zeros()
    length = int.from_bytes(body[-8:-4], "little")
    pages, footer = body[: -8 - length], body[-8 - length : -8]
    group = pq.read_metadata(io.BytesIO(body)).row_group(0)
    for size in {group.column(i).total_uncompressed_size for i in range(3)}:
        told = b"\x16" + varint(2 * size)
        assert told in footer
        footer = footer.replace(told, b"\x16" + b"\x94" + b"\x80" * (len(told) - 3) + b"\0")
    return pages + footer + length.to_bytes(4, "little") + b"PAR1"


def a_footer_of_column_chunks() -> bytes:
    """Column chunks of 11 bytes, which take a kilobyte each in memory."""
    n = 700_000
    chunk = b"\x3c\x56\x02\x16\x02\x16\x02\x26\x08\0\0"
    group = b"\x19\xfc" + varint(n) + chunk * n + b"\x26\x02\0"
    footer = b"\x15\x04\x19\x1c\x48\x01a\x15\0\0\x16\x02\x19\x1c" + group + b"\0"
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def statistics_that_contradict_the_schema() -> bytes:
    """Ended the process: the histogram of levels is that of an optional column."""
    body = parquet_of(transactions())
    optional = b"\x25\x02\x18\x0bcustomer_id"
    assert optional in body
    return body.replace(optional, b"\x25\x00\x18\x0bcustomer_id")


def _with_number(body: bytes, at: int, value: int) -> bytes:
    """The body with the number of thrift's that starts at a position replaced."""
    end = at
    while body[end] > 127:
        end += 1
    return body[:at] + varint(2 * value) + body[end + 1 :]


def a_dictionary_of_two_billion() -> bytes:
    body = parquet_of(transactions(), compression="none", write_statistics=False)
    start = pq.read_metadata(io.BytesIO(body)).row_group(0).column(0).dictionary_page_offset
    return _with_number(body, body.index(b"\x4c\x15", start) + 2, 2**31 - 1)


def a_page_of_two_gigabytes() -> bytes:
    body = parquet_of(transactions(), compression="zstd", use_dictionary=False)
    start = pq.read_metadata(io.BytesIO(body)).row_group(0).column(0).data_page_offset
    assert body[start : start + 3] == b"\x15\0\x15"  # a data page, then its size
    return _with_number(body, start + 3, 2**31 - 1)


PARQUET_BOMBS: dict[str, tuple[Any, int, str]] = {
    "pages of zeros": (pages_of_zeros, 413, "limit_exceeded"),
    "pages of zeros that say little": (pages_of_zeros_that_say_little, 413, "limit_exceeded"),
    "a page of 2 GB": (a_page_of_two_gigabytes, 413, "limit_exceeded"),
    "a dictionary of 2 * 10**9 values": (a_dictionary_of_two_billion, 400, "malformed_body"),
    "700,000 column chunks": (a_footer_of_column_chunks, 413, "limit_exceeded"),
    "statistics that contradict the schema": (statistics_that_contradict_the_schema, 400, "malformed_body"),
    "a column of lists": (lambda: parquet_of(pa.table({**_ONE, "x": [[1]]})), 422, "unsupported_type"),
    "10,000 columns": (
        lambda: parquet_of(pa.table({**_ONE, **_many_columns(pa.table(_ONE), 10_000)})),
        413,
        "limit_exceeded",
    ),
}

# JSON and CSV

JSON_BOMBS: dict[str, tuple[Any, int, str]] = {
    "100,000 lists deep": (lambda: b"[" * 100_000, 413, "limit_exceeded"),
    "900 lists deep": (lambda: b'{"rows":' + b"[" * 900 + b"]" * 900 + b"}" + b" " * 15_000, 400, "malformed_body"),
    "100,000 keys": (
        lambda: b'{"rows":[{' + b",".join(b'"%d":0' % i for i in range(100_000)) + b"}]}",
        413,
        "limit_exceeded",
    ),
    "1,000,000 columns": (
        lambda: b'{"columns":{' + b",".join(b'"%d":[]' % i for i in range(1_000_000)) + b"}}",
        413,
        "limit_exceeded",
    ),
    "one key 100,000 times": (
        lambda: b'{"rows":[{' + b",".join([b'"customer_id":"a"'] * 100_000) + b"}]}",
        422,
        "missing_column",
    ),
    "100,000 small rows": (lambda: b'{"rows":[' + b",".join([b'{"a":1}'] * 100_000) + b"]}", 413, "limit_exceeded"),
    "a number of 100,000 digits": (
        lambda: b'{"rows":[{"customer_id":' + b"9" * 100_000 + b"}]}",
        400,
        "malformed_body",
    ),
    "half a surrogate pair": (lambda: b'{"rows":[{"customer_id":"\\ud800"}]}', 400, "malformed_body"),
    "NaN": (lambda: b'{"rows":[{"amount":NaN}]}', 400, "malformed_body"),
}

_HEADER = b"customer_id,timestamp,amount\n"
TEXT_BOMBS: dict[str, tuple[Any, int, str]] = {
    "1,000,000 columns": (lambda: b",".join(b"%d" % i for i in range(1_000_000)) + b"\n", 413, "limit_exceeded"),
    "1,000,000 commas": (lambda: _HEADER + b"," * 1_000_000 + b"\n", 400, "malformed_body"),
    "a quote that never ends": (lambda: _HEADER + b'"' + b"x" * 3_000_000, 400, "truncated_body"),
    "zeros": (lambda: bytes(3_000_000), 400, "malformed_body"),
    "line ends": (lambda: _HEADER + b"\n" * 3_000_000, 422, "no_customers"),
}

# Content-Encoding


def _gzip_zeros(n_bytes: int) -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    return b"".join([squeeze.compress(block) for _ in range(n_bytes >> 20)]) + squeeze.flush()


def gzip_of_zeros() -> bytes:
    """A gigabyte, as members that follow one another."""
    return _gzip_zeros(32 << 20) * 32


def zstd_blocks_of_one_byte() -> bytes:
    """Run-length blocks: 128 KiB of four bytes each, in frames without their size."""
    block = (2 | (1 << 17) << 3).to_bytes(3, "little") + b"\0"
    last = (3 | 1 << 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x58" + block * 8192 + last


ENCODED_BOMBS: dict[str, tuple[Any, str]] = {
    "gzip of zeros": (gzip_of_zeros, "gzip"),
    "gzip in gzip": (lambda: gzip.compress(gzip_of_zeros()), "gzip"),
    "zstd frames of zeros": (lambda: zstandard.compress(bytes(1 << 20)) * 1024, "zstd"),
    "zstd blocks of one byte": (zstd_blocks_of_one_byte, "zstd"),
}
