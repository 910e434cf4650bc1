"""`where=` over the wire: the same rows in every format, counted, refused by position, and never the quick way."""

from __future__ import annotations

import datetime as dt
import io

import httpx
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.wire.server import ARROW, Server, stream_of, table_of
from tests.wire.shop import PEOPLE, SHOP, post, refused, rows_of, summary_of, transactions

ROWS = [
    ("ann", "2026-03-01T00:00:00", 100.0),
    ("ben", "2026-01-10T12:00:00", 20.0),
    ("ann", "2026-03-11T00:00:00", 50.0),
    ("cem", "2026-02-01T00:00:00", 10.0),
    ("ben", "2026-01-20T12:00:00", 5.0),
]
INCHES = [65, 42, 55, 75, None]
REGIONS = ["north", "south", "north", None, "east"]
SCREENS = transactions(ROWS, inches=INCHES, region=REGIONS)
WHERE = "inches>=60 or region in (south, east)"  # rows 1, 2, 4 and 5
KEPT = {"ann": 100.0, "ben": 25.0, "cem": 10.0}
QUERY = {"k": 2, "as_of": "2026-03-21", "where": WHERE}


def csv_of(table: pa.Table) -> bytes:
    lines = [",".join(table.column_names)]
    for row in table.to_pylist():
        cells = [v.isoformat() if isinstance(v, dt.datetime) else "" if v is None else str(v) for v in row.values()]
        lines.append(",".join(cells))
    return "\n".join(lines).encode() + b"\n"


def json_of(table: pa.Table) -> bytes:
    rows = [{**row, "timestamp": row["timestamp"].isoformat()} for row in table.to_pylist()]
    return orjson.dumps({"rows": rows})


def parquet_of(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
@pytest.mark.parametrize(
    ("media", "body"),
    [
        (ARROW, stream_of(SCREENS)),
        (ARROW, stream_of(SCREENS, max_rows=1)),
        ("application/json", json_of(SCREENS)),
        ("text/csv", csv_of(SCREENS)),
        ("application/vnd.apache.parquet", parquet_of(SCREENS)),
    ],
    ids=["arrow", "batches", "json", "csv", "parquet"],
)
def test_the_same_rows_in_every_format(client: httpx.Client, media: str, body: bytes, chunked: bool) -> None:
    reply = post(client, "segment", body, content_type=media, headers={"Accept": ARROW}, chunked=chunked, **QUERY)
    assert {name: row["monetary"] for name, row in rows_of(reply).items()} == KEPT
    counts = summary_of(reply)["counts"]
    assert (counts["rows_in"], counts["rows_used"], counts["rows_filtered"]) == (5, 4, 1)


def test_a_filter_equals_sending_the_rows_it_keeps(client: httpx.Client) -> None:
    kept = SHOP.filter(pc.greater(SHOP["amount"], 20.0))
    options = {"k": 3, "as_of": "2026-01-01"}
    ours, theirs = (
        post(client, "segment", SHOP, where="amount > 20", **options),
        post(client, "segment", kept, **options),
    )
    assert table_of(ours).equals(table_of(theirs))
    assert summary_of(ours)["counts"]["rows_filtered"] == SHOP.num_rows - kept.num_rows


def test_names_are_the_senders_and_those_that_columns_maps(client: httpx.Client) -> None:
    table = SCREENS.rename_columns(["customer_id", "timestamp", "paid", "inches", "region"])
    for where in ("paid >= 20", "amount >= 20"):
        reply = post(client, "segment", table, k=2, columns="amount:paid", where=where)
        assert set(rows_of(reply)) == {"ann", "ben"}
    reply = post(client, "segment", table, k=2, columns="amount:paid", where="price >= 20")
    problem = refused(reply, 422, "missing_column")
    assert (problem["option"], problem["column"], problem["position"]) == ("where", "price", 1)


def test_rows_left_out_may_lack_anything_and_rows_keep_their_numbers(client: httpx.Client) -> None:
    rows = [
        ("ann", "2026-03-01T00:00:00", 1.0),
        (None, "2026-03-02T00:00:00", 2.0),
        ("cem", "2026-03-03T00:00:00", None),
    ]
    table = transactions(rows, pa.string(), paid=[True, False, True])
    problem = refused(post(client, "segment", table, where="paid = true"), 422, "nulls")
    assert (problem["column"], problem["row"], problem["count"]) == ("amount", 3, 1)
    reply = post(client, "segment", table, where="paid = true", nulls="drop")
    counts = summary_of(reply)["counts"]
    assert (counts["rows_filtered"], counts["rows_with_nulls"]) == (1, {"amount": 1})


def test_no_row_left(client: httpx.Client) -> None:
    problem = refused(post(client, "segment", SCREENS, where="inches > 100"), 422, "no_customers")
    assert problem["rows_filtered"] == 5
    assert "where=" in problem["detail"]
    model = post(client, "fit", SCREENS, k=2).content
    reply = post(client, "score", SCREENS, inline=model, as_of="2026-03-21", where="inches > 100")
    assert table_of(reply).num_rows == 0
    assert summary_of(reply)["counts"]["rows_filtered"] == 5


def test_a_model_says_what_it_was_fitted_on_and_scoring_has_a_filter_of_its_own(client: httpx.Client) -> None:
    reply = post(client, "fit", SCREENS, **QUERY)
    assert reply.json()["fitted_on"]["options"]["where"] == WHERE
    scored = post(client, "score", SCREENS, inline=reply.content, as_of="2026-03-21", where="region = north")
    assert set(rows_of(scored)) == {"ann"}
    assert set(rows_of(post(client, "score", SCREENS, inline=reply.content, as_of="2026-03-21"))) == set(KEPT)


def test_customers_tables(client: httpx.Client) -> None:
    options = {"k": 3, "features": "visits,-returns"}
    reply = post(client, "segment", PEOPLE, where="visits >= 20 and not customer_id in (1003, 1004)", **options)
    people = PEOPLE.to_pylist()
    expected = [p["customer_id"] for p in people if p["visits"] >= 20 and p["customer_id"] not in (1003, 1004)]
    assert table_of(reply)["customer_id"].to_pylist() == expected
    twice = pa.concat_tables([PEOPLE, PEOPLE.slice(0, 1)])
    refused(post(client, "segment", twice, **options), 422, "duplicate_customer")
    assert table_of(post(client, "segment", twice, where="visits > 0", **options)).num_rows < 200


def test_a_small_score_is_filtered_every_time(stocked: Server) -> None:
    """The quick path remembers forms of requests; a filtered one is none of its."""
    with httpx.Client(base_url=stocked.url) as client:
        for _ in range(4):
            reply = post(client, "score", PEOPLE, model="people", where="visits >= 20")
            assert table_of(reply).num_rows == sum(visits >= 20 for visits in PEOPLE["visits"].to_pylist())
            assert table_of(post(client, "score", PEOPLE, model="people")).num_rows == 200


def test_json_without_rows(client: httpx.Client) -> None:
    model = post(client, "fit", SCREENS, k=2).json()
    body = orjson.dumps({"rows": [], "model": model})
    reply = post(client, "score", body, content_type="application/json", as_of="2026-03-21", where="inches > 3")
    assert reply.json()["rows"] == []


@pytest.mark.parametrize(
    ("where", "code", "position"),
    [("inches >=", "bad_option", 10), ("inchs > 3", "missing_column", 1), ("inches = north", "wrong_type", 10)],
)
def test_refusals_say_where(client: httpx.Client, where: str, code: str, position: int) -> None:
    problem = refused(post(client, "segment", SCREENS, where=where), 422, code)
    assert problem["option"] == "where"
    assert problem["position"] == position


def test_csv_values_that_are_no_numbers(client: httpx.Client) -> None:
    body = csv_of(SCREENS).replace(b",42,", b",wide,")
    problem = refused(post(client, "segment", body, content_type="text/csv", where="inches > 3"), 422, "bad_value")
    assert (problem["column"], problem["row"]) == ("inches", 2)
    reply = post(client, "segment", body, content_type="text/csv", where="inches = 'wide'")
    assert reply.text.splitlines()[1].startswith('"ben"')
