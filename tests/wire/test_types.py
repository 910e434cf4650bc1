"""Every type a sender may use: ids, times and amounts come back as they came, and mean what they meant."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.wire.server import table_of
from tests.wire.shop import post, rows_of, summary_of, transactions

CHUNKED = pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
TIMES = [f"2026-01-{1 + i:02d}" for i in range(20)]
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
TEXTS = ["a", "é", "客户", "😀", "", "a\0b", "x" * 1000, "00123", "123", "e\u0301", " a", "客户😀é" * 40]


def purchases(ids: list[Any]) -> list[tuple[Any, str, float]]:
    return [(who, TIMES[i % 20], 1.0 + i) for i, who in enumerate(ids)]


@CHUNKED
@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_integer_ids_come_back_in_their_type(client: httpx.Client, kind: pa.DataType, chunked: bool) -> None:
    bits = kind.bit_width
    low, high = (0, 2**bits - 1) if str(kind).startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    ids = [low, high, 0, 1, high - 1, low + 1, high // 2, high]
    table = table_of(post(client, "segment", transactions(purchases(ids), ids=kind), k=3, chunked=chunked))
    assert table.schema.field("customer_id").type == kind
    assert table["customer_id"].to_pylist() == list(dict.fromkeys(ids))  # in order of first appearance
    assert dict(zip(table["customer_id"].to_pylist(), table["monetary"].to_pylist(), strict=True))[high] == 2.0 + 8.0


@CHUNKED
@pytest.mark.parametrize(
    ("kind", "back"),
    [
        (pa.utf8(), pa.utf8()),
        (pa.large_utf8(), pa.large_utf8()),
        (pa.string_view(), pa.utf8()),
        (pa.dictionary(pa.int8(), pa.utf8()), pa.utf8()),
        (pa.dictionary(pa.uint32(), pa.large_utf8()), pa.large_utf8()),
    ],
    ids=str,
)
def test_text_ids_of_every_utf8_width(
    client: httpx.Client, kind: pa.DataType, back: pa.DataType, chunked: bool
) -> None:
    rows = purchases([*TEXTS, *reversed(TEXTS)])
    table = transactions(rows)
    ids = table.column("customer_id").combine_chunks()
    plain = ids.cast(kind.value_type).dictionary_encode() if pa.types.is_dictionary(kind) else ids
    table = table.set_column(0, "customer_id", plain.cast(kind))
    reply = table_of(post(client, "segment", table, k=4, chunked=chunked))
    assert reply.schema.field("customer_id").type == back
    assert reply["customer_id"].to_pylist() == TEXTS
    assert set(reply["frequency"].to_pylist()) <= {1, 2}


@CHUNKED
def test_uuid_ids(client: httpx.Client, chunked: bool) -> None:
    ids = [uuid.UUID(int=i * 2**90 + i).bytes for i in range(10)]
    table = transactions(purchases([*ids, ids[0]]), ids=pa.binary(16))
    reply = table_of(post(client, "segment", table, k=3, chunked=chunked))
    assert reply.schema.field("customer_id").type == pa.binary(16)
    assert reply["customer_id"].to_pylist() == ids


@CHUNKED
@pytest.mark.parametrize("delta", [False, True], ids=["replaced", "delta"])
def test_a_dictionary_that_changes_between_batches(client: httpx.Client, delta: bool, chunked: bool) -> None:
    """The same index means another customer once the dictionary is replaced, or more customers once it grows."""
    words = [["ann", "ben"], ["ann", "ben", "cem"] if delta else ["cem", "ann"], ["ann", "ben", "cem", "dee"]]
    indices = [[0, 1, 0], [0, 1, 1], [3, 2, 0]]
    expected: dict[str, float] = {}
    sink = pa.BufferOutputStream()
    schema = pa.schema(
        [
            ("customer_id", pa.dictionary(pa.int32(), pa.utf8())),
            ("timestamp", pa.date32()),
            ("amount", pa.float64()),
        ]
    )
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=delta)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for batch, (names, numbers) in enumerate(zip(words, indices, strict=True)):
            amounts = [10.0**batch + number for number in numbers]
            for number, amount in zip(numbers, amounts, strict=True):
                expected[names[number]] = expected.get(names[number], 0.0) + amount
            days = [dt.date(2026, 1, 1 + batch + number) for number in numbers]
            columns = [
                pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int32()), pa.array(names)),
                pa.array(days),
                pa.array(amounts),
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    stats = writer.stats
    assert (stats.num_dictionary_deltas > 0) is delta
    assert (stats.num_replaced_dictionaries > 0) is not delta
    reply = post(client, "segment", sink.getvalue().to_pybytes(), k=2, chunked=chunked)
    assert {who: row["monetary"] for who, row in rows_of(reply).items()} == expected


# Times


@CHUNKED
@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_dates_count_in_whole_days(client: httpx.Client, kind: pa.DataType, chunked: bool) -> None:
    rows = [
        ("ann", "2026-01-01", 1.0),
        ("ann", "2026-01-01", 2.0),
        ("ann", "2026-01-04", 3.0),
        ("ben", "1969-12-30", 4.0),
    ]
    fields = "customer_id,recency_days,frequency,tenure_days,first_at,last_at"
    reply = post(client, "segment", transactions(rows, times=kind), fields=fields, chunked=chunked)
    table = table_of(reply)
    assert table.schema.field("first_at").type == kind
    assert rows_of(reply) == {
        "ann": {
            "customer_id": "ann",
            "recency_days": 0.0,
            "frequency": 2,  # the lines of a day are one occasion
            "tenure_days": 3.0,
            "first_at": dt.date(2026, 1, 1),
            "last_at": dt.date(2026, 1, 4),
        },
        "ben": {
            "customer_id": "ben",
            "recency_days": 56 * 365.0 + 14 + 3 + 2,
            "frequency": 1,
            "tenure_days": 56 * 365.0 + 14 + 3 + 2,
            "first_at": dt.date(1969, 12, 30),
            "last_at": dt.date(1969, 12, 30),
        },
    }
    assert summary_of(reply)["as_of"] == "2026-01-04"


def test_as_of_a_time_is_its_date_where_dates_are_sent(client: httpx.Client) -> None:
    rows = [("ann", "2026-01-01", 1.0), ("ben", "2026-01-04", 3.0), ("ben", "2026-01-05", 3.0)]
    # 23:30Z on the 4th is the 5th in Berlin, inclusive
    for as_of, tz, last in (("2026-01-04T23:30:00Z", "UTC", 4), ("2026-01-04T23:30:00Z", "Europe/Berlin", 5)):
        reply = post(client, "segment", transactions(rows, times=pa.date32()), as_of=as_of, tz=tz)
        assert summary_of(reply)["as_of"] == f"2026-01-0{last}"
        assert rows_of(reply)["ann"]["recency_days"] == last - 1
        assert summary_of(reply)["counts"]["rows_after_as_of"] == 5 - last


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai"])
def test_timestamps_of_every_unit_are_the_same_instants(client: httpx.Client, unit: str, zone: str | None) -> None:
    kind = pa.timestamp(unit, zone)
    reply = post(client, "segment", transactions(times=kind), k=3, fields="customer_id,recency_days,frequency,last_at")
    assert table_of(reply).schema.field("last_at").type == kind
    found = rows_of(reply)
    assert {who: (row["recency_days"], row["frequency"]) for who, row in found.items()} == {
        "ann": (10.0, 2),
        "ben": (69.5, 1),
        "cem": (0.0, 2),
        "dee": (None, 0),
    }
    assert found["dee"]["last_at"] is None


@CHUNKED
def test_a_day_that_only_one_zone_has(client: httpx.Client, chunked: bool) -> None:
    """Samoa had no 30 December 2011: the 29th ended at 10:00Z, and then it was the 31st."""
    rows = [
        ("ann", "2011-12-30T09:00:00", 1.0),
        ("ann", "2011-12-30T11:00:00", 2.0),
        ("ben", "2011-12-30T00:00:00", 3.0),
        ("ben", "2011-12-30T09:59:59", 4.0),
    ]
    table = transactions(rows)
    expected = {"UTC": (1, 1), "Pacific/Apia": (2, 1)}
    for tz, (ann, ben) in expected.items():
        found = rows_of(post(client, "segment", table, occasion="day", tz=tz, chunked=chunked))
        assert (found["ann"]["frequency"], found["ben"]["frequency"]) == (ann, ben)
    # The day that Apia skipped ends where it would have begun.
    for tz, late in (("UTC", 0), ("Pacific/Apia", 1)):
        reply = post(client, "segment", table, as_of="2011-12-30", tz=tz, chunked=chunked)
        assert summary_of(reply)["counts"]["rows_after_as_of"] == late


def test_days_are_those_of_the_zone_in_winter_and_summer(client: httpx.Client) -> None:
    rows = [
        ("ann", "2026-03-28T23:30:00", 1.0),  # Berlin: 00:30 on the 29th, winter time
        ("ann", "2026-03-29T21:30:00", 2.0),  # Berlin: 23:30 on the 29th, summer time
        ("ann", "2026-03-29T22:30:00", 3.0),  # Berlin: 00:30 on the 30th
        ("ben", "2026-03-29T12:00:00", 3.0),
    ]
    for tz, days in (
        ("UTC", 2),
        ("Europe/Berlin", 2),
        ("Asia/Shanghai", 2),
        ("America/New_York", 2),
        ("Asia/Tokyo", 2),
    ):
        local = {
            (dt.datetime.fromisoformat(row[1] + "+00:00")).astimezone(zoneinfo.ZoneInfo(tz)).date()
            for row in rows
            if row[0] == "ann"
        }
        found = rows_of(post(client, "segment", transactions(rows), occasion="day", tz=tz))
        assert found["ann"]["frequency"] == len(local) == days


# Amounts


@CHUNKED
@pytest.mark.parametrize("precision", [12, 38])
def test_decimals_are_exact(client: httpx.Client, precision: int, chunked: bool) -> None:
    kind = pa.decimal128(precision, 2)
    rows = [("ann", TIMES[i % 20], Decimal("0.10")) for i in range(1000)] + [("ben", TIMES[3], Decimal("-0.07"))]
    rows += [("ben", TIMES[4], Decimal("1234567890.12"))]
    table = table_of(post(client, "segment", transactions(rows, amounts=kind), k=2, chunked=chunked))
    assert table.schema.field("monetary").type == pa.decimal128(38, 2)
    assert table["monetary"].to_pylist() == [Decimal("100.00"), Decimal("1234567890.05")]


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_integer_amounts_are_summed_as_integers(client: httpx.Client, kind: pa.DataType) -> None:
    rows = [("ann", TIMES[i % 20], 100) for i in range(300)] + [("ben", TIMES[3], 7)]
    table = table_of(post(client, "segment", transactions(rows, amounts=kind), k=2))
    assert table.schema.field("monetary").type == pa.int64()
    assert table["monetary"].to_pylist() == [30_000, 7]


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()], ids=str)
def test_float_amounts_are_summed_in_row_order(client: httpx.Client, kind: pa.DataType) -> None:
    amounts = pa.array([0.1 * i for i in range(50)], kind).to_pylist()
    rows = [("ann", TIMES[i % 20], amount) for i, amount in enumerate(amounts)] + [("ben", TIMES[3], 1.0)]
    table = table_of(post(client, "segment", transactions(rows, amounts=kind), k=2))
    total = 0.0
    for amount in amounts:
        total += amount
    assert table["monetary"].to_pylist() == [total, 1.0]
