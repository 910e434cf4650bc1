"""Columns that are missing, of a wrong type, or with values nobody can use: the answer names column and row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.wire.server import stream_of, table_of
from tests.wire.shop import ROWS, post, refused, rows_of, summary_of, transactions

CHUNKED = pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
NAN, INF = float("nan"), float("inf")


def with_column(name: str, values: list[Any] | pa.Array) -> pa.Table:
    table = transactions()
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values))


@CHUNKED
@pytest.mark.parametrize("name", ["customer_id", "timestamp", "amount"])
def test_a_missing_column_names_what_came_and_the_remedy(client: httpx.Client, name: str, chunked: bool) -> None:
    table = transactions().rename_columns([f"their_{n}" if n == name else n for n in transactions().column_names])
    problem = refused(post(client, "segment", table, input="transactions", chunked=chunked), 422, "missing_column")
    assert problem["column"] == name
    assert problem["option"] == "columns"
    assert problem["found"] == table.column_names
    assert f"their_{name}" in problem["detail"]
    assert f"columns={name}:their_{name}" in problem["detail"]


def test_a_table_that_is_neither_kind_is_told_both_remedies(client: httpx.Client) -> None:
    problem = refused(post(client, "segment", pa.table({"id": [1], "city": ["x"]})), 422, "missing_column")
    assert "'id', 'city'" in problem["detail"]
    assert "columns=" in problem["detail"]
    assert "features=" in problem["detail"]


def test_a_mapping_to_a_column_that_is_not_there_guesses_which_is_meant(client: httpx.Client) -> None:
    table = transactions().rename_columns(["household_id", "timestamp", "amount"])
    reply = post(client, "segment", table, columns="customer_id:houshold_id")
    problem = refused(reply, 422, "missing_column")
    assert problem["option"] == "columns"
    assert problem["column"] == "houshold_id"
    assert "household_id" in problem["detail"]
    reply = post(client, "segment", table, columns="customer_id:household_id", k=3)
    assert set(rows_of(reply)) == {"ann", "ben", "cem", "dee"}


def test_a_column_that_is_there_twice_is_refused(client: httpx.Client) -> None:
    table = transactions().append_column("amount", pa.array([1.0] * len(ROWS)))
    problem = refused(post(client, "segment", table), 400, "malformed_body")
    assert problem["column"] == "amount"
    assert problem["found"] == 2


@CHUNKED
@pytest.mark.parametrize(
    ("name", "values", "found", "wanted"),
    [
        ("timestamp", ["2026-01-01"] * 8, "string", "a timestamp or a date"),
        ("timestamp", [1_700_000_000] * 8, "int64", "a timestamp or a date"),
        ("amount", ["12,50"] * 8, "string", "decimal128"),
        ("amount", [True] * 8, "bool", "decimal128"),
        ("customer_id", [1.5] * 8, "double", "an integer"),
        ("customer_id", [b"x"] * 8, "binary", "an integer"),
    ],
)
def test_a_wrong_type_names_column_found_and_wanted(
    client: httpx.Client, name: str, values: list[Any], found: str, wanted: str, chunked: bool
) -> None:
    problem = refused(
        post(client, "segment", with_column(name, values), input="transactions", chunked=chunked), 422, "wrong_type"
    )
    assert problem["column"] == name
    assert problem["found"] == found
    assert wanted in problem["wanted"]
    assert "Cast it" in problem["detail"]


@pytest.mark.parametrize(
    "values", [[[1]] * 8, [{"a": 1}] * 8, pa.array([1] * 8).dictionary_encode()], ids=["list", "struct", "dictionary"]
)
def test_a_nested_column_is_refused_though_it_plays_no_part(client: httpx.Client, values: Any) -> None:
    table = transactions().append_column("basket", pa.array(values) if isinstance(values, list) else values)
    problem = refused(post(client, "segment", table), 422, "unsupported_type")
    assert problem["column"] == "basket"


def test_columns_that_play_no_part_are_ignored(client: httpx.Client) -> None:
    table = transactions(city=["Köln"] * 8, store=[None, 2, 3, 4, 5, 6, 7, 8])
    plain = table_of(post(client, "segment", transactions(), k=3))
    assert table_of(post(client, "segment", table, k=3)).equals(plain)


HOLED = {
    "customer_id": [None if i in (2, 5) else f"c{i}" for i in range(8)],
    "timestamp": [None if i in (2, 5) else i * 10**15 for i in range(8)],
    "amount": [None if i in (2, 5) else float(i) for i in range(8)],
}


def holed(name: str) -> pa.Table:
    return with_column(name, pa.array(HOLED[name], transactions().schema.field(name).type))


@CHUNKED
@pytest.mark.parametrize("name", list(HOLED))
def test_nulls_name_column_count_and_first_row(client: httpx.Client, name: str, chunked: bool) -> None:
    problem = refused(post(client, "segment", holed(name), chunked=chunked), 422, "nulls")
    assert (problem["column"], problem["count"], problem["row"]) == (name, 2, 3)
    assert name in problem["detail"]
    assert "nulls=drop" in problem["detail"]


def test_the_row_of_a_null_counts_through_all_batches(client: httpx.Client) -> None:
    body = stream_of(pa.concat_tables([transactions(), holed("amount")]), max_rows=2)
    for chunked in (False, True):
        problem = refused(post(client, "segment", body, chunked=chunked), 422, "nulls")
        assert problem["row"] == 8 + 3


@CHUNKED
@pytest.mark.parametrize("name", list(HOLED))
def test_dropped_nulls_are_counted(client: httpx.Client, name: str, chunked: bool) -> None:
    reply = post(client, "segment", holed(name), nulls="drop", chunked=chunked, k=2)
    counts = summary_of(reply)["counts"]
    assert counts["rows_in"] == 8
    assert counts["rows_with_nulls"] == {name: 2}
    assert counts["rows_used"] == 6
    kept = [i for i in range(8) if i not in (2, 5)]
    monetary = sum(row["monetary"] for row in rows_of(reply).values())
    assert monetary == sum(transactions().column("amount")[i].as_py() if name != "amount" else i for i in kept)


def test_nulls_are_counted_under_the_senders_name(client: httpx.Client) -> None:
    table = holed("amount").rename_columns(["customer_id", "timestamp", "paid"])
    problem = refused(post(client, "segment", table, columns="amount:paid"), 422, "nulls")
    assert problem["column"] == "paid"
    reply = post(client, "segment", table, columns="amount:paid", nulls="drop", k=2)
    assert summary_of(reply)["counts"]["rows_with_nulls"] == {"paid": 2}


def test_nulls_in_columns_without_a_part_do_not_matter(client: httpx.Client) -> None:
    table = transactions(order_id=[None] * 4 + [1] * 4)
    assert post(client, "segment", table, occasion="row", k=3).status_code == 200
    problem = refused(post(client, "segment", table), 422, "nulls")
    assert (problem["column"], problem["count"], problem["row"]) == ("order_id", 4, 1)


@CHUNKED
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()], ids=str)
def test_amounts_that_are_not_finite(client: httpx.Client, bad: float, kind: pa.DataType, chunked: bool) -> None:
    amounts = [1.0, 2.0, 3.0, bad, 5.0, 6.0, bad, 8.0]
    table = with_column("amount", pa.array(amounts, kind))
    problem = refused(post(client, "segment", table, chunked=chunked), 422, "not_finite")
    assert (problem["column"], problem["count"], problem["row"]) == ("amount", 2, 4)
    assert "amount" in problem["detail"]
    reply = post(client, "segment", table, nulls="drop", chunked=chunked, k=2)
    assert summary_of(reply)["counts"]["rows_not_finite"] == 2
    assert sum(row["monetary"] for row in rows_of(reply).values()) == 25.0


@pytest.mark.parametrize("bad", [NAN, INF])
def test_features_that_are_not_finite_name_the_column(client: httpx.Client, bad: float) -> None:
    table = pa.table({"customer_id": [1, 2, 3], "visits": [1.0, 2.0, 3.0], "their_spend": [1.0, bad, 3.0]})
    options: dict[str, Any] = {"features": "visits,spend", "columns": "spend:their_spend", "k": 2}
    problem = refused(post(client, "segment", table, **options), 422, "not_finite")
    assert (problem["column"], problem["count"], problem["row"]) == ("their_spend", 1, 2)
    assert "their_spend" in problem["detail"]
    reply = post(client, "segment", table, nulls="drop", **options)
    assert summary_of(reply)["counts"]["rows_not_finite"] == 1
    assert set(rows_of(reply)) == {1, 3}


MAX_INT = 2**63 - 1


@CHUNKED
@pytest.mark.parametrize(
    ("amounts", "room"),
    [
        (pa.array([MAX_INT, 1], pa.int64()), "64-bit integer"),
        (pa.array([-MAX_INT, -MAX_INT], pa.int64()), "64-bit integer"),
        (pa.array([Decimal(9 * 10**37), Decimal(9 * 10**37)], pa.decimal128(38, 0)), "38 digits"),
        (pa.array([1e308, 1e308], pa.float64()), "64-bit float"),
    ],
    ids=["int64", "int64 below", "decimal", "float"],
)
def test_a_sum_that_overflows_names_the_column(
    client: httpx.Client, amounts: pa.Array, room: str, chunked: bool
) -> None:
    table = transactions([("ann", "2026-01-01", 1.0), ("ann", "2026-01-02", 1.0)])
    table = table.set_column(2, "amount", amounts)
    problem = refused(post(client, "segment", table, chunked=chunked), 422, "overflow")
    assert problem["column"] == "amount"
    assert room in problem["detail"]


def test_the_largest_sum_that_fits_is_exact(client: httpx.Client) -> None:
    rows = [("ann", "2026-01-01", MAX_INT - 1), ("ann", "2026-01-02", 1), ("ben", "2026-01-03", 5)]
    reply = post(client, "segment", transactions(rows, amounts=pa.int64()), k=2)
    assert rows_of(reply)["ann"]["monetary"] == MAX_INT


def test_one_amount_beyond_int64_names_column_and_row(client: httpx.Client) -> None:
    rows = [("ann", "2026-01-01", 1), ("ann", "2026-01-02", 2), ("ben", "2026-01-02", 2**64 - 1)]
    body = stream_of(transactions(rows, amounts=pa.uint64()), max_rows=2)
    problem = refused(post(client, "segment", body), 422, "overflow")
    assert (problem["column"], problem["row"]) == ("amount", 3)
    assert "decimal128" in problem["detail"]


@CHUNKED
@pytest.mark.parametrize("ids", [[7, 8, 7], ["x", "y", "x"]], ids=["integer", "text"])
def test_a_customer_who_is_there_twice_is_named_with_the_row(
    client: httpx.Client, ids: list[Any], chunked: bool
) -> None:
    table = pa.table({"customer_id": ids, "visits": [1, 2, 3]})
    for max_rows in (None, 1):
        body = stream_of(table, max_rows=max_rows)
        reply = post(client, "segment", body, features="visits", chunked=chunked)
        problem = refused(reply, 422, "duplicate_customer")
        assert (problem["column"], problem["row"], problem["found"]) == ("customer_id", 3, str(ids[0]))
        assert "one row per customer" in problem["detail"]


def test_refunds_error_names_the_first_refund(client: httpx.Client) -> None:
    problem = refused(post(client, "segment", transactions(), refunds="error"), 422, "refunds")
    assert problem["column"] == "amount"
    assert problem["row"] == 6
    assert "refunds=net" in problem["detail"]


@CHUNKED
def test_names_and_values_of_any_length_are_not_repeated_in_full(client: httpx.Client, chunked: bool) -> None:
    long = "n" * 100_000
    columns = pa.table({f"{long}{i}": [i] for i in range(8)})
    twice = pa.table({"customer_id": [long, long], "visits": [1, 2]})
    wide = transactions().append_column("home", pa.array(["h"] * len(ROWS)))
    for code, reply in (
        ("missing_column", post(client, "segment", columns, chunked=chunked)),
        ("duplicate_customer", post(client, "segment", twice, features="visits", chunked=chunked)),
        ("missing_column", post(client, "segment", wide, partition_by=long[:30_000], chunked=chunked)),
        ("unknown_option", post(client, "segment", wide, chunked=chunked, **{long[:30_000]: 1})),
        ("bad_option", post(client, "segment", wide, chunked=chunked, schemes=long[:30_000])),
    ):
        refused(reply, 422, code)
        assert len(reply.content) < 4_000
