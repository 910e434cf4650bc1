"""Data at the edges: nothing, one customer, all alike, refunds only, far dates. It works, or it says why not."""

from __future__ import annotations

import math

import httpx
import pyarrow as pa
import pytest

from tests.wire.server import stream_of, table_of
from tests.wire.shop import (
    marker_of,
    model_of,
    post,
    refused,
    rows_of,
    shop,
    summary_of,
    transactions,
    warnings_of,
)

CHUNKED = pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
USUAL = [
    "customer_id",
    "recency_days",
    "frequency",
    "monetary",
    "value_score",
    "value_percentile",
    "segment_id",
    "segment",
    "rfm_class",
]


@pytest.fixture(scope="module")
def model(client: httpx.Client) -> bytes:
    return post(client, "fit", shop(60, 300), k=3, occasion="time").content


@CHUNKED
@pytest.mark.parametrize("endpoint", ["segment", "fit"])
def test_nothing_can_be_fitted_on_nothing(client: httpx.Client, endpoint: str, chunked: bool) -> None:
    problem = refused(post(client, endpoint, transactions([]), chunked=chunked), 422, "no_customers")
    assert problem["rows_in"] == 0
    assert "no rows" in problem["detail"]


@CHUNKED
@pytest.mark.parametrize("max_rows", [None, 1])
def test_scoring_nothing_is_a_valid_empty_answer(
    client: httpx.Client, model: bytes, chunked: bool, max_rows: int | None
) -> None:
    body = stream_of(transactions([]), {b"segserve.model": model}, max_rows)
    reply = post(client, "score", body, as_of="2026-01-01", chunked=chunked)
    table = table_of(reply)
    assert table.num_rows == 0
    assert table.column_names == USUAL
    assert marker_of(reply.content) == {b"status": b"complete", b"rows_in": b"0", b"customers_out": b"0"}
    assert summary_of(reply)["counts"]["rows_in"] == 0
    assert [segment["size"] for segment in summary_of(reply)["segments"]] == [0, 0, 0]


@CHUNKED
def test_fewer_distinct_customers_than_segments_lowers_k(client: httpx.Client, chunked: bool) -> None:
    rows = [(f"c{i}", f"2026-01-0{1 + i % 3}", float(1 + i % 3)) for i in range(12)]
    reply = post(client, "segment", transactions(rows), chunked=chunked)
    assert warnings_of(reply)["k_lowered"] == {"k": 3, "k_requested": 8}
    model = model_of(reply)
    assert [segment["size"] for segment in model["segments"]] == [4, 4, 4]
    assert model["fitted_on"]["k_requested"] == 8
    problem = refused(
        post(client, "segment", transactions(rows), strict_k="true", chunked=chunked), 422, "too_few_points"
    )
    assert (problem["option"], problem["found"], problem["wanted"]) == ("k", 3, 8)
    assert "k" in problem["detail"]
    assert table_of(post(client, "segment", transactions(rows), strict_k="true", k=3)).num_rows == 12


def test_options_of_transactions_have_no_effect_on_a_customers_table_which_is_told(client: httpx.Client) -> None:
    table = pa.table({"customer_id": range(20), "visits": range(20)})
    plain = post(client, "segment", table, features="visits", k=2)
    reply = post(client, "segment", table, features="visits", k=2, monetary="mean", as_of="2026-01-01", window="30d")
    assert warnings_of(reply) == {"options_without_effect": {"options": ["as_of", "window", "monetary"]}}
    assert model_of(reply)["fitted_on"]["options"] == model_of(plain)["fitted_on"]["options"]
    assert table_of(reply) == table_of(plain)


@CHUNKED
def test_one_customer_is_one_undifferentiated_segment(client: httpx.Client, chunked: bool) -> None:
    reply = post(client, "segment", transactions([("ann", "2026-01-01", 5.0)]), chunked=chunked)
    assert table_of(reply).to_pylist() == [
        {
            "customer_id": "ann",
            "recency_days": 0.0,
            "frequency": 1,
            "monetary": 5.0,
            "value_score": 0.0,
            "value_percentile": 50.0,
            "segment_id": 0,
            "segment": "undifferentiated",
            "rfm_class": "undifferentiated",
        }
    ]
    warnings = [warning["code"] for warning in summary_of(reply)["warnings"]]
    assert warnings == ["constant_feature"] * 3 + ["k_lowered"]


def test_all_rows_equal(client: httpx.Client) -> None:
    reply = post(client, "segment", transactions([("ann", "2026-01-01", 5.0)] * 500))
    assert rows_of(reply)["ann"]["frequency"] == 1
    assert rows_of(reply)["ann"]["monetary"] == 2500.0
    rows = [(f"c{i}", "2026-01-01", 5.0) for i in range(500)]
    reply = post(client, "segment", transactions(rows), lang="zh")
    table = table_of(reply)
    assert set(table["segment"].to_pylist()) == {"无差异客户"}
    assert set(table["value_percentile"].to_pylist()) == {50.0}
    (segment,) = summary_of(reply)["segments"]
    assert (segment["size"], segment["share"], segment["revenue_share"]) == (500, 1.0, 1.0)


@pytest.mark.parametrize("scaler", ["zscore", "minmax", "none"])
def test_one_feature_without_spread_is_told_and_counts_for_nothing(client: httpx.Client, scaler: str) -> None:
    rows = [(f"c{i}", "2026-01-01", float(1 + i)) for i in range(20)]
    fields = "customer_id,value_score,rfm_class,explain"
    reply = post(client, "segment", transactions(rows), fields=fields, k=2, scaler=scaler)
    features = [w["facts"]["feature"] for w in summary_of(reply)["warnings"] if w["code"] == "constant_feature"]
    assert features == ["recency_days", "frequency"]
    table = table_of(reply)
    assert set(table["x_recency_days"].to_pylist()) == {0.0}
    assert set(table["x_frequency"].to_pylist()) == {0.0}
    assert table["value_score"].to_pylist() == table["x_monetary"].to_pylist()
    # a feature without spread is low in every class
    assert set(table["rfm_class"].to_pylist()) == {"general_winback", "important_winback"}


@pytest.mark.parametrize(
    "amounts", [(0.0, 0.0, 0.0), (10.0, -10.0, 0.0), (10.0, -25.0, 0.0), (10.0, -25.0, -1.0)], ids=str
)
@pytest.mark.parametrize("log_unit", ["median", "plain"])
def test_nobody_has_spent_anything(client: httpx.Client, amounts: tuple[float, ...], log_unit: str) -> None:
    free, refunded, more = amounts
    rows = [("ann", "2026-01-01", free), ("ann", "2026-01-02", refunded), ("ben", "2026-01-03", 0.0)]
    reply = post(client, "segment", transactions([*rows, ("ben", "2026-01-04", more)]), k=2, log_unit=log_unit)
    monetary = [feature for feature in model_of(reply)["features"] if feature["name"] == "monetary"]
    assert [(feature["log_unit"], feature["spread"]) for feature in monetary] == [(100.0, 0.0)]
    assert {"feature": "monetary"} in [warning["facts"] for warning in summary_of(reply)["warnings"]]
    assert {row["monetary"] for row in rows_of(reply).values()} == {free + refunded, more}


def test_whole_days_before_a_date_are_calendar_days(client: httpx.Client) -> None:
    # as_of=2026-01-31 is that day's last nanosecond, and in data that has dates only every time is midnight
    rows = [("ann", "2025-01-31", 1.0), ("ben", "2026-01-01", 1.0), ("cem", "2026-01-31", 1.0)]
    reply = post(client, "segment", transactions(rows), as_of="2026-01-31", whole_days="true", k=2)
    assert [row["recency_days"] for row in rows_of(reply).values()] == [365.0, 30.0, 0.0]


@pytest.mark.parametrize("as_of", ["max", "2026-03-31", "2026-03-31T10:00:00.123456789Z"])
def test_the_unit_of_the_times_changes_no_bit(client: httpx.Client, as_of: str) -> None:
    tables = [transactions(times=pa.timestamp(unit, "UTC")) for unit in ("s", "ms", "us", "ns")]
    assert len({post(client, "fit", table, as_of=as_of, k=2).json()["id"] for table in tables}) == 1


@CHUNKED
def test_refunds_only(client: httpx.Client, model: bytes, chunked: bool) -> None:
    table = transactions([("ann", "2026-01-01", -5.0), ("ben", "2026-01-02", -1.0), ("ann", "2026-01-03", -2.0)])
    for endpoint in ("segment", "fit"):
        problem = refused(post(client, endpoint, table, chunked=chunked), 422, "no_customers")
        assert problem["refund_rows"] == 3
        assert problem["customers_without_purchase"] == 2
        assert "purchase" in problem["detail"]
    reply = post(client, "score", table, inline=model, as_of="2026-02-01", chunked=chunked)
    found = rows_of(reply)
    for customer, monetary in (("ann", -7.0), ("ben", -1.0)):
        row = found[customer]
        assert (row["frequency"], row["monetary"], row["segment_id"]) == (0, monetary, -1)
        assert [row[name] for name in ("recency_days", "value_score", "value_percentile", "segment", "rfm_class")] == [
            None
        ] * 5
    assert summary_of(reply)["counts"]["customers_without_purchase"] == 2


@CHUNKED
def test_times_before_1970(client: httpx.Client, chunked: bool) -> None:
    rows = [("ann", "1955-03-01T06:00:00", 5.0), ("ben", "1969-12-31T23:59:59.999999", 9.0), ("cem", "1970-01-02", 1.0)]
    table = transactions(rows)
    reply = post(client, "segment", table, fields="customer_id,recency_days,first_at,last_at", chunked=chunked)
    found = rows_of(reply)
    assert found["cem"]["recency_days"] == 0.0
    assert found["ben"]["recency_days"] == (86_400 + 1e-6) / 86_400
    # 1955-03-01 06:00 to 1970-01-02: 14 years and 307 days, with four leap days, less six hours
    assert found["ann"]["recency_days"] == 14 * 365 + 4 + 307 - 0.25
    for row in table.to_pylist():
        assert found[row["customer_id"]]["first_at"] == row["timestamp"] == found[row["customer_id"]]["last_at"]
    assert summary_of(reply)["as_of"] == "1970-01-02T00:00:00Z"


@CHUNKED
def test_times_after_as_of_are_left_out_and_counted(client: httpx.Client, chunked: bool) -> None:
    rows = [
        ("ann", "2026-01-01", 5.0),
        ("ann", "2026-01-11", 7.0),
        ("ben", "2026-01-05", 3.0),
        ("ben", "2026-01-10T00:00:00", 4.0),  # at as_of: in
        ("cem", "2026-01-10T00:00:00.000001", 9.0),  # a microsecond later: out
    ]
    reply = post(client, "segment", transactions(rows), as_of="2026-01-10T00:00:00Z", k=2, chunked=chunked)
    found = rows_of(reply)
    assert set(found) == {"ann", "ben"}
    assert (found["ann"]["recency_days"], found["ann"]["monetary"]) == (9.0, 5.0)
    assert (found["ben"]["recency_days"], found["ben"]["frequency"]) == (0.0, 2)
    counts = summary_of(reply)["counts"]
    assert (counts["rows_in"], counts["rows_used"], counts["rows_after_as_of"]) == (5, 3, 2)


def test_everything_after_as_of(client: httpx.Client) -> None:
    problem = refused(post(client, "segment", transactions(), as_of="2020-01-01"), 422, "no_customers")
    assert problem["rows_after_as_of"] == 8
    assert "rows_after_as_of=8" in problem["detail"]


@CHUNKED
@pytest.mark.parametrize("n", [50, 2000])
def test_one_row_in_2099_is_told(client: httpx.Client, chunked: bool, n: int) -> None:
    rows = [(f"c{i % 400}", f"2026-01-{1 + i % 28:02d}", 1.0 + i % 9) for i in range(n)]
    calm = post(client, "segment", transactions(rows), k=3, chunked=chunked)
    assert "as_of_outlier" not in warnings_of(calm)
    typo = transactions([*rows, ("c7", "2099-01-28T12:00:00", 1.0)])
    reply = post(client, "segment", typo, k=3, chunked=chunked)
    facts = warnings_of(reply)["as_of_outlier"]
    assert facts["as_of"] == "2099-01-28T12:00:00Z"
    assert abs(facts["gap_days"] - 73 * 365.25 * min(1, 0.001 * n)) < 10
    assert min(row["recency_days"] for row in rows_of(reply).values() if row["recency_days"]) > 26_000
    fixed = post(client, "segment", typo, k=3, as_of="2026-01-31", chunked=chunked)
    assert "as_of_outlier" not in warnings_of(fixed)
    assert summary_of(fixed)["counts"]["rows_after_as_of"] == 1


def sized(value: float) -> pa.Table:
    return transactions([(f"c{i}", f"2026-01-0{1 + i % 5}", value * (i % 7)) for i in range(40)])


@pytest.mark.parametrize("value", [1e129, 1e-129])
@pytest.mark.parametrize("log", ["none", "frequency,monetary"])
def test_amounts_of_nearly_any_size(client: httpx.Client, value: float, log: str) -> None:
    found = table_of(post(client, "segment", sized(value), k=4, log=log))["segment_id"].to_pylist()
    assert found == table_of(post(client, "segment", sized(1.0), k=4, log=log))["segment_id"].to_pylist()
    assert set(found) == {0, 1, 2, 3}


@CHUNKED
@pytest.mark.parametrize(("value", "size"), [(1e300, "large"), (1e-300, "small"), (5e-324, "small")])
def test_amounts_beyond_what_can_be_squared(client: httpx.Client, value: float, size: str, chunked: bool) -> None:
    problem = refused(post(client, "segment", sized(value), k=4, chunked=chunked), 422, "overflow")
    assert problem["column"] == "monetary"
    assert problem["found"] == 6 * value
    assert f"too {size}" in problem["detail"]
    assert "another unit" in problem["detail"]


@CHUNKED
@pytest.mark.parametrize("value", [1.7e308, -1.7e308, 5e-324])
def test_scoring_takes_amounts_of_any_size(client: httpx.Client, model: bytes, value: float, chunked: bool) -> None:
    rows = [("ann", "2026-01-01", value), ("ben", "2026-01-01", 3.0)]
    reply = post(
        client, "score", transactions(rows), inline=model, as_of="2026-01-02", fields=",".join(USUAL), chunked=chunked
    )
    found = rows_of(reply)
    for row in found.values():
        assert row["value_score"] is None or math.isfinite(row["value_score"])
    if value > 1:
        assert found["ann"]["segment_id"] == 0
        assert found["ann"]["value_percentile"] == 100.0


@pytest.mark.parametrize("k", [1, 2, 256])
def test_from_one_segment_to_256_none_is_empty(client: httpx.Client, k: int) -> None:
    reply = post(client, "segment", shop(2_000, 8_000), k=k, n_init=2)
    sizes = [segment["size"] for segment in summary_of(reply)["segments"]]
    assert len(sizes) == k
    assert min(sizes) > 0
    counts = summary_of(reply)["counts"]
    assert sum(sizes) == counts["customers_out"] - counts["customers_without_purchase"]
    assert counts["customers_out"] == table_of(reply).num_rows == 2_000
