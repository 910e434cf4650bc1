"""Every format, whole and in pieces, gives what pyarrow gives."""

import contextlib
import gzip
import io
import json
from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.media import Media
from proto.options import SegmentOptions
from proto.schemas import Roles, assign
from service.readers import decode_whole, open_reader

LIMITS = Limits()
IDS = ["00123", "b", "c", "b", "é"]
TIMES = ["2026-01-01T10:00:00Z", "2026-01-02T10:00:00.5Z", "2026-01-03T10:00:00+02:00", "2026-01-04T00:00:00Z", None]
AMOUNTS = [1.5, -2.0, None, 4.0, 5.0]
MODEL = {"format_version": 1}


def wanted(names: Sequence[str], model: Any) -> Roles:
    return assign(names, SegmentOptions())


def table(n: int = 5) -> pa.Table:
    stamps = pa.array([1_767_261_600_000_000 + i for i in range(n)], pa.timestamp("us", "UTC"))
    ids = pa.array([f"{i % 7:05}" for i in range(n)], pa.utf8())
    return pa.table(
        {
            "note": pa.array(["ignored"] * n),
            "customer_id": ids,
            "timestamp": stamps,
            "amount": pa.array([i / 4 for i in range(n)]),
            "order_id": ids.dictionary_encode(),
        }
    )


def arrow(data: pa.Table, metadata: dict[str, str] | None = None, rows: int = 2, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    schema = data.schema.with_metadata(metadata)
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in data.to_batches(rows):
            writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def parquet(data: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(data, sink, **options)
    return sink.getvalue()


CSV = (
    b"\xef\xbb\xbfcustomer_id,timestamp,amount,note\r\n00123,2026-01-01T10:00:00Z,1.5,x\r\n"
    b'"b",2026-01-02T10:00:00.5Z,-2,"two\nlines, ""quoted"""\r\nc,2026-01-03T10:00:00+02:00,,\r\n'
    b"b,2026-01-04T00:00:00Z, 4.0 ,\r\n\xc3\xa9,,5,\r\n"
)
COLUMNS = json.dumps(
    {"columns": {"customer_id": IDS, "timestamp": TIMES, "amount": AMOUNTS, "extra": [[], {}, 1, "a", None]}}
).encode()
ROWS = json.dumps(
    {
        "model": MODEL,
        "rows": [{"customer_id": i, "timestamp": t, "amount": a} for i, t, a in zip(IDS, TIMES, AMOUNTS, strict=True)],
    }
).encode()
BODIES = [
    (Media.ARROW, arrow(table())),
    (Media.ARROW, arrow(table(), compression="zstd")),
    (Media.ARROW, arrow(table(0))),
    (Media.JSON, COLUMNS),
    (Media.JSON, ROWS),
    (Media.CSV, CSV),
    (Media.PARQUET, parquet(table(300), row_group_size=70)),
]


def streamed(
    media: Media, body: bytes, cuts: Sequence[int] = (), encoding: str | None = None, limits: Limits = LIMITS
) -> tuple[pa.Schema, Any, list[pa.RecordBatch]]:
    reader = open_reader(media, wanted, limits, encoding)
    batches: list[pa.RecordBatch] = []
    try:
        for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True):
            for piece in reader.feed(memoryview(body)[a:b]):
                batches += reader.decode(piece)
        for piece in reader.finish():
            batches += reader.decode(piece)
        return reader.schema, reader.model, batches
    finally:
        reader.close()


@pytest.mark.parametrize(("media", "body"), BODIES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_whole_and_pieces_agree(media: Media, body: bytes, data: st.DataObject) -> None:
    encoding = data.draw(st.sampled_from([None, "gzip", "zstd"]))
    sent = body if encoding is None else gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    whole = decode_whole(media, sent, wanted, LIMITS, encoding)
    schema, model, batches = streamed(media, sent, cuts, encoding)
    assert (schema, model, batches) == (whole.schema, whole.model, whole.batches)


def test_arrow_gives_the_columns_that_play_a_part() -> None:
    whole = decode_whole(Media.ARROW, arrow(table(), {"segserve.model": "{}"}), wanted, LIMITS)
    expected = table().select(["customer_id", "timestamp", "amount", "order_id"])
    assert pa.Table.from_batches(whole.batches).equals(expected)
    assert whole.schema.names == table().schema.names
    assert whole.model == b"{}"


def test_dictionaries_may_change_between_batches() -> None:
    parts = [table(3), table(7).slice(3), table(9)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, parts[0].schema) as writer:
        for part in parts:
            writer.write_table(part)
    body = sink.getvalue().to_pybytes()
    _, _, batches = streamed(Media.ARROW, body, range(1, len(body), 50))
    expected = [batch.select(batches[0].schema.names) for batch in pa.ipc.open_stream(body)]
    assert batches == expected


def test_text_views_of_polars_become_text() -> None:
    frame = pl.DataFrame(
        {
            "customer_id": ["a", "an id that is too long to be inline", None],
            "timestamp": pl.Series([0, 1, 2], dtype=pl.Datetime("us")),
            "amount": [1.0, 2.0, 3.0],
            "order_id": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
        }
    )
    body = frame.write_ipc_stream(None).getvalue()
    for schema, batches in (decode_whole(Media.ARROW, body, wanted, LIMITS)[::3], streamed(Media.ARROW, body)[::2]):
        assert batches[0].column("customer_id").to_pylist() == frame["customer_id"].to_list()
        assert batches[0].column("order_id").to_pylist() == ["x", "y", "x"]
        assert schema.field("customer_id").type == pa.utf8()
        assert schema.field("order_id").type == pa.dictionary(pa.uint32(), pa.utf8())


def test_text_views_that_share_their_bytes_are_no_bomb() -> None:
    long = pa.py_buffer(b"x" * 1_000_000)
    view = (1_000_000).to_bytes(4, "little") + b"xxxx" + (0).to_bytes(4, "little") + (0).to_bytes(4, "little")
    views = pa.Array.from_buffers(pa.string_view(), 1000, [None, pa.py_buffer(view * 1000), long])
    data = pa.table(
        {"customer_id": views, "timestamp": pa.nulls(1000, pa.date32()), "amount": pa.nulls(1000, pa.int8())}
    )
    with pytest.raises(RequestError, match="max_message_bytes"):
        decode_whole(Media.ARROW, arrow(data, rows=1000), wanted, LIMITS)


def test_bad_offsets_and_indices_do_not_reach_the_kernels() -> None:
    offsets = pa.py_buffer(pa.array([0, 1_000_000, 5], pa.int32()).buffers()[1])
    bad = pa.Array.from_buffers(pa.utf8(), 2, [None, offsets, pa.py_buffer(b"hello")])
    data = pa.record_batch(
        [bad, pa.nulls(2, pa.date32()), pa.nulls(2, pa.int8())], ["customer_id", "timestamp", "amount"]
    )
    indices = pa.Array.from_buffers(pa.int8(), 2, [None, pa.py_buffer(b"\x00\x63")])
    coded = pa.DictionaryArray.from_arrays(indices, pa.array(["a"]), safe=False)
    for column in (bad, coded):
        sink = pa.BufferOutputStream()
        batch = data.set_column(0, "customer_id", column)
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        body = sink.getvalue().to_pybytes()
        for read in (
            lambda body=body: decode_whole(Media.ARROW, body, wanted, LIMITS),
            lambda body=body: streamed(Media.ARROW, body),
        ):
            with pytest.raises(RequestError) as caught:
                read()  # type: ignore[no-untyped-call]
            assert caught.value.code is ErrorCode.MALFORMED_BODY


@settings(max_examples=150, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3), lz4=st.booleans()
)
def test_damaged_arrow_never_escapes(flips: list[tuple[int, int]], lz4: bool) -> None:
    body = bytearray(arrow(table(), compression="lz4" if lz4 else None))
    for at, value in flips:
        body[at % len(body)] = value
    limits = Limits(max_message_bytes=1 << 20)
    for read in (
        lambda: decode_whole(Media.ARROW, bytes(body), wanted, limits),
        lambda: streamed(Media.ARROW, body, limits=limits),
    ):
        with contextlib.suppress(RequestError):
            read()


def test_csv_ids_stay_text() -> None:
    whole = decode_whole(Media.CSV, CSV, wanted, LIMITS)
    data = pa.Table.from_batches(whole.batches)
    assert data["customer_id"].to_pylist() == IDS
    assert data["amount"].to_pylist() == AMOUNTS
    assert data["timestamp"].type == pa.timestamp("us", "UTC")
    assert (
        data["timestamp"].to_pylist()
        == decode_whole(Media.JSON, COLUMNS, wanted, LIMITS).batches[0]["timestamp"].to_pylist()
    )
    assert whole.schema.field("note").type == pa.null()


def test_csv_in_many_pieces() -> None:
    lines = [f'{i:06},2026-01-01,{i / 8},"note {i}\nmore"' for i in range(60_000)]
    body = ("customer_id,timestamp,amount,note\n" + "\n".join(lines)).encode()
    _, _, batches = streamed(Media.CSV, body, range(65_536, len(body), 65_536))
    assert len(batches) > 1
    data = pa.Table.from_batches(batches)
    assert data["customer_id"].to_pylist() == [f"{i:06}" for i in range(60_000)]
    assert data["amount"].to_pylist() == [i / 8 for i in range(60_000)]
    assert data["timestamp"].type == pa.date32()


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"", ErrorCode.TRUNCATED_BODY, "empty"),
        (b"\n", ErrorCode.MALFORMED_BODY, "no header"),
        (b"customer_id;timestamp;amount\na;b;c\n", ErrorCode.MALFORMED_BODY, "commas"),
        (b"customer_id,timestamp,amount,amount\n", ErrorCode.MALFORMED_BODY, "2 times"),
        (b"customer_id,timestamp\n", ErrorCode.MISSING_COLUMN, "amount"),
        (b"customer_id,timestamp,amount\na,2026-01-01,1\nb,2026-01-01\n", ErrorCode.MALFORMED_BODY, "Row 2"),
        (b'customer_id,timestamp,amount\na,2026-01-01,1\nb,2026-01-01,"1,5"\n', ErrorCode.BAD_VALUE, "Row 2"),
        (b"customer_id,timestamp,amount\na,01.02.2026,1\n", ErrorCode.BAD_VALUE, "RFC 3339"),
        (b"customer_id,timestamp,amount\na,2026-01-01,1\nb,2026-01-01T00:00:00Z,1\n", ErrorCode.BAD_VALUE, "Row 2"),
        (b"customer_id,timestamp,amount\n\xff,2026-01-01,1\n", ErrorCode.MALFORMED_BODY, "UTF-8"),
        (b"\xff\xfec\0u\0", ErrorCode.MALFORMED_BODY, "UTF-16"),
        (b"PK\x03\x04....", ErrorCode.MALFORMED_BODY, "Excel"),
    ],
)
def test_csv_refusals(body: bytes, code: ErrorCode, says: str) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        decode_whole(Media.CSV, body, wanted, LIMITS)
    assert caught.value.code is code


def test_csv_without_rows() -> None:
    whole = decode_whole(Media.CSV, b"customer_id,timestamp,amount", wanted, LIMITS)
    assert whole.batches == []
    assert whole.schema.names == ["customer_id", "timestamp", "amount"]


def document(**columns: list[Any]) -> bytes:
    return json.dumps(
        {"columns": {"customer_id": ["a", "b"], "timestamp": ["2026-01-01"] * 2, "amount": [1, 2]} | columns}
    ).encode()


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"", ErrorCode.TRUNCATED_BODY, "empty"),
        (b'{"columns": {', ErrorCode.TRUNCATED_BODY, "too early"),
        (b"[1]", ErrorCode.MALFORMED_BODY, "a list"),
        (b"nope", ErrorCode.MALFORMED_BODY, "not JSON"),
        (b"{}", ErrorCode.MALFORMED_BODY, "neither"),
        (b'{"rows": [], "columns": {}}', ErrorCode.MALFORMED_BODY, "both"),
        (b'{"rows": [], "modle": {}}', ErrorCode.MALFORMED_BODY, "modle"),
        (b'{"rows": [{}, 1]}', ErrorCode.MALFORMED_BODY, "Row 2"),
        (b'{"rows": [], "model": 1}', ErrorCode.BAD_MODEL, "not a JSON object"),
        (b'{"columns": {"a": 1}}', ErrorCode.MALFORMED_BODY, "not a list"),
        (b"[" * 5000, ErrorCode.LIMIT_EXCEEDED, "lists and objects"),
        (b'{"rows":' + b"[" * 1000, ErrorCode.MALFORMED_BODY, "too deeply"),
        (document(amount=[1]), ErrorCode.MALFORMED_BODY, "differ in length"),
        (document(customer_id=["a", 1]), ErrorCode.WRONG_TYPE, "Row 2"),
        (document(customer_id=[True, False]), ErrorCode.WRONG_TYPE, "Row 1"),
        (document(customer_id=[1, 2.5]), ErrorCode.WRONG_TYPE, "Row 2"),
        (document(customer_id=[-1, 2**63]), ErrorCode.WRONG_TYPE, "Row 1"),
        (document(amount=[1, "2"]), ErrorCode.BAD_VALUE, "Row 2"),
        (document(amount=[1, True]), ErrorCode.BAD_VALUE, "Row 2"),
        (document(timestamp=["2026-01-01", 5]), ErrorCode.BAD_VALUE, "Row 2"),
        (document(timestamp=["2026-01-01T00:00:00", "2026-01-01"]), ErrorCode.BAD_VALUE, "Row 2"),
        (document(timestamp=["2026-01-01T00:00:00Z", "2026-01-01T00:00:00"]), ErrorCode.BAD_VALUE, "Row 2"),
        (document(timestamp=["2026-01-01", "2026-02-30"]), ErrorCode.BAD_VALUE, "2026-02-30"),
        (document(timestamp=["yesterday", "2026-02-30"]), ErrorCode.BAD_VALUE, "yesterday"),
    ],
)
def test_json_refusals(body: bytes, code: ErrorCode, says: str) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        decode_whole(Media.JSON, body, wanted, LIMITS)
    assert caught.value.code is code


def test_json_ids_and_times() -> None:
    def column(name: str, **columns: list[Any]) -> pa.Array:
        return decode_whole(Media.JSON, document(**columns), wanted, LIMITS).batches[0].column(name)

    assert column("customer_id", customer_id=[1, None]).type == pa.int64()
    assert column("customer_id", customer_id=[1, 2**64 - 1]).to_pylist() == [1, 2**64 - 1]
    assert column("customer_id", customer_id=[None, None]).type == pa.utf8()
    assert column("amount", amount=[1, 2**60 + 1]).to_pylist() == [1.0, float(2**60 + 1)]
    nanos = column("timestamp", timestamp=["2026-01-01T00:00:00.123456789Z", "2026-01-01t00:00:00z"])
    assert nanos.cast(pa.int64()).to_pylist() == [1_767_225_600_123_456, 1_767_225_600_000_000]
    assert column("timestamp", timestamp=["2026-01-01T00:00:00", None]).type == pa.timestamp("us")
    assert column("timestamp").type == pa.date32()
    whole = decode_whole(Media.JSON, ROWS, wanted, LIMITS)
    assert (whole.shape, whole.model) == ("rows", MODEL)


def test_parquet_reads_what_it_needs() -> None:
    data = table(300).replace_schema_metadata({"segserve.model": "{}"})
    whole = decode_whole(Media.PARQUET, parquet(data, row_group_size=70), wanted, LIMITS)
    names = whole.batches[0].schema.names
    assert sorted(names) == ["amount", "customer_id", "order_id", "timestamp"]
    read = pa.Table.from_batches(
        [
            pa.record_batch([c.cast(pa.utf8()) if pa.types.is_dictionary(c.type) else c for c in b.columns], names)
            for b in whole.batches
        ]
    )
    assert read.equals(data.set_column(4, "order_id", data["order_id"].cast(pa.utf8())).select(names))
    assert whole.model == b"{}"


def test_a_parquet_body_that_does_not_stay_in_memory() -> None:
    data = pa.table(
        {
            "customer_id": pa.array(range(200_000)),
            "timestamp": pa.array(range(200_000), pa.timestamp("us")),
            "amount": pa.array([i / 7 for i in range(200_000)]),
        }
    )
    body = parquet(data)
    assert len(body) > 1 << 20
    _, _, batches = streamed(Media.PARQUET, body, range(65_536, len(body), 65_536))
    assert pa.Table.from_batches(batches).equals(data)


def test_parquet_bombs_and_damage() -> None:
    data = pa.table(
        {
            "customer_id": ["x" * 1_000_000] * 1000,
            "timestamp": pa.nulls(1000, pa.date32()),
            "amount": pa.nulls(1000, pa.int8()),
        }
    )
    whole = decode_whole(Media.PARQUET, parquet(data), wanted, LIMITS)
    assert whole.batches[0].column("customer_id").nbytes < 10_000_000
    body = parquet(table(1000), compression="none")
    with pytest.raises(RequestError, match="Row group 1"):
        decode_whole(Media.PARQUET, body, wanted, Limits(max_message_bytes=1000))
    with pytest.raises(RequestError, match="max_rows"):
        decode_whole(Media.PARQUET, body, wanted, Limits(max_rows=10))
    for end in (0, 3, 11, len(body) // 2, len(body) - 1):
        with pytest.raises(RequestError) as caught:
            decode_whole(Media.PARQUET, body[:end], wanted, LIMITS)
        assert caught.value.code is ErrorCode.TRUNCATED_BODY
    with pytest.raises(RequestError, match="not Parquet"):
        decode_whole(Media.PARQUET, b"customer_id", wanted, LIMITS)
    with pytest.raises(RequestError):
        decode_whole(Media.PARQUET, body[:-40] + b"\xff" * 32 + body[-8:], wanted, LIMITS)


def test_encodings() -> None:
    small = Limits(max_body_bytes=3_000_000, max_message_bytes=3_000_000)
    with pytest.raises(RequestError, match="gzip, zstd") as caught:
        open_reader(Media.CSV, wanted, LIMITS, "br")
    assert caught.value.code is ErrorCode.UNSUPPORTED_MEDIA_TYPE
    for encoding, pack in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
        two = pack(CSV[:100]) + pack(CSV[100:])
        assert decode_whole(Media.CSV, two, wanted, LIMITS, encoding) == decode_whole(Media.CSV, CSV, wanted, LIMITS)
        for end in (0, 5, len(two) - 1):
            with pytest.raises(RequestError) as caught:
                streamed(Media.CSV, two[:end], encoding=encoding)
            assert caught.value.code is ErrorCode.TRUNCATED_BODY
        with pytest.raises(RequestError, match="cannot be decompressed"):
            streamed(Media.CSV, CSV, encoding=encoding)
        bomb = pack(b"x" * 30_000_000)
        for read in (
            lambda b=bomb, e=encoding: streamed(Media.CSV, b, encoding=e, limits=small),
            lambda b=bomb, e=encoding: decode_whole(Media.CSV, b, wanted, small, e),
        ):
            with pytest.raises(RequestError) as caught:
                read()  # type: ignore[no-untyped-call]
            assert caught.value.code is ErrorCode.LIMIT_EXCEEDED
