"""What is written, read back by pyarrow, polars, json and csv."""

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import RequestError
from proto.framing import ArrowFramer
from proto.limits import Limits
from proto.media import Media, Shape
from service.writers import encode

LABELS = pa.array(["important_value", 'general_winback, "x"'])
ID = "9f1b0379-db65-4534-8b2e-08e34d52aa10"


def batch(n: int, **columns: pa.Array) -> pa.RecordBatch:
    codes = pa.array([i % 2 for i in range(n)], pa.int16())
    labels = pa.DictionaryArray.from_arrays(codes, LABELS)
    usual = {
        "customer_id": pa.array([f"00{i}" for i in range(n)], pa.utf8()),
        "recency_days": pa.array([None if i == 1 else i / 3 for i in range(n)], pa.float64()),
        "frequency": pa.array(range(n), pa.int64()),
        "segment_id": pa.array([i - 1 for i in range(n)], pa.int32()),
        "segment": labels,
        "rfm_class": labels,
    }
    return pa.record_batch(usual | columns)


def encoded(media: Media, batches: list[pa.RecordBatch], shape: Shape = "columns", **options: Any) -> bytes:
    schema = batches[0].schema if batches else batch(0).schema
    figures = {"rows_in": 12, "customers_out": sum(b.num_rows for b in batches)}
    pieces = list(encode(media, shape, schema, iter(batches), **(figures | options)))
    assert all(pieces)
    return b"".join(pieces)


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 5), max_size=4), rows_in=st.integers(0, 2**40))
def test_arrow_round_trip(sizes: list[int], rows_in: int) -> None:
    batches = [batch(n) for n in sizes]
    body = encoded(Media.ARROW, batches, summary=b'{"a":1}', model=b"{}", rows_in=rows_in)
    reader = pa.ipc.open_stream(body)
    assert reader.schema.equals(batch(0).schema)
    assert reader.schema.metadata == {b"segserve.summary": b'{"a":1}', b"segserve.model": b"{}"}
    for expected in batches:
        assert reader.read_next_batch().equals(expected)
    last, metadata = reader.read_next_batch_with_custom_metadata()
    assert last.num_rows == 0
    assert dict(metadata) == {
        b"status": b"complete",
        b"rows_in": str(rows_in).encode(),
        b"customers_out": str(sum(sizes)).encode(),
    }
    with pytest.raises(StopIteration):
        reader.read_next_batch()
    assert body.endswith(b"\xff\xff\xff\xff\0\0\0\0")


def test_messages_are_those_of_a_stream_writer() -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch(3).schema) as writer:
        writer.write_batch(batch(3))
        writer.write_batch(batch(0), custom_metadata={"status": "complete"})
    framers = ArrowFramer(Limits()), ArrowFramer(Limits())
    ours = framers[0].feed(encoded(Media.ARROW, [batch(3)]))
    assert [frame.kind for frame in ours] == [frame.kind for frame in framers[1].feed(sink.getvalue().to_pybytes())]


def test_long_replies_are_sent_batch_by_batch() -> None:
    batches = [batch(5), batch(3), batch(2000)]
    pieces = list(encode(Media.ARROW, "rows", batches[0].schema, batches, rows_in=1, customers_out=70_000))
    assert len(pieces) == 4
    assert pa.ipc.open_stream(b"".join(pieces)).read_all().to_batches()[:3] == batches
    kinds = [frame.kind for frame in ArrowFramer(Limits()).feed(b"".join(pieces))]
    assert kinds == ["schema", "dictionary", "dictionary", "batch", "batch", "batch", "batch"]


def test_polars_reads_it() -> None:
    frame = pl.read_ipc_stream(encoded(Media.ARROW, [batch(3), batch(2)]))
    assert frame["segment"].to_list()[:2] == LABELS.to_pylist()
    assert frame.height == 5


def test_labels_may_change_between_batches() -> None:
    other = pa.DictionaryArray.from_arrays(pa.array([0], pa.int16()), pa.array(["new"]))
    batches = [batch(2), batch(1, segment=other, rfm_class=other)]
    read = pa.ipc.open_stream(encoded(Media.ARROW, batches)).read_all()
    assert read["segment"].to_pylist() == [*LABELS.to_pylist(), "new"]


def test_without_dictionaries() -> None:
    plain = pa.record_batch({"customer_id": pa.array([1, 2])})
    assert pa.ipc.open_stream(encoded(Media.ARROW, [plain])).read_all().to_batches() == [plain]


@pytest.mark.parametrize("shape", ["columns", "rows"])
@pytest.mark.parametrize("sizes", [[], [0], [3], [2, 0, 3]])
def test_json(shape: Shape, sizes: list[int]) -> None:
    batches = [batch(n) for n in sizes]
    reply = json.loads(encoded(Media.JSON, batches, shape, summary=b'{"a":1}', model=b'{"b":2}'))
    table = pa.Table.from_batches(batches, batch(0).schema)
    assert reply.pop("summary") == {"a": 1}
    assert reply.pop("model") == {"b": 2}
    assert list(reply.items())[-1] == ("status", "complete")
    assert reply[shape] == (table.to_pydict() if shape == "columns" else table.to_pylist())


EXACT = {
    "decimal": (pa.array([Decimal("123456789012345678901234567890.25"), None], pa.decimal128(38, 2)), None),
    "uuid": (pa.array([bytes.fromhex(ID.replace("-", "")), None], pa.binary(16)), ID),
    "zoned": (
        pa.array([dt.datetime(2026, 1, 31, 12, 0, 0, 250_000), None], pa.timestamp("ms")).cast(
            pa.timestamp("ms", "Europe/Berlin")
        ),
        "2026-01-31T12:00:00.250Z",
    ),
    "naive": (pa.array([dt.datetime(2026, 1, 31), None], pa.timestamp("s")), "2026-01-31T00:00:00"),
    "date32": (pa.array([dt.date(2026, 1, 31), None], pa.date32()), "2026-01-31"),
    "date64": (pa.array([dt.date(2026, 1, 31), None], pa.date64()), "2026-01-31"),
    "uint64": (pa.array([2**64 - 1, None], pa.uint64()), 2**64 - 1),
    "nan": (pa.array([float("nan"), None], pa.float64()), None),
    "text": (pa.array(['a\n"b",', None], pa.large_utf8()), 'a\n"b",'),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("shape", ["columns", "rows"])
def test_values_in_text(name: str, shape: Shape) -> None:
    array, expected = EXACT[name]
    batches = [pa.record_batch({"v": array})]
    body = encoded(Media.JSON, batches, shape)
    values = json.loads(body, parse_float=Decimal)[shape]
    values = values["v"] if shape == "columns" else [row["v"] for row in values]
    assert values == ([Decimal("123456789012345678901234567890.25"), None] if name == "decimal" else [expected, None])
    rows = list(csv.reader(io.StringIO(encoded(Media.CSV, batches).decode(), newline="")))
    text = "123456789012345678901234567890.25" if name == "decimal" else "" if expected is None else str(expected)
    assert rows[:2] == [["v"], [text] if text else []]


def test_csv() -> None:
    body = encoded(Media.CSV, [batch(2), batch(0), batch(3)], summary=b"{}")
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    assert [row["customer_id"] for row in rows] == ["000", "001", "000", "001", "002"]
    assert [row["segment"] for row in rows[:2]] == LABELS.to_pylist()
    assert rows[1]["recency_days"] == ""
    assert float(rows[4]["recency_days"]) == 2 / 3


def test_parquet_is_not_written() -> None:
    with pytest.raises(RequestError):
        encoded(Media.PARQUET, [batch(1)])
