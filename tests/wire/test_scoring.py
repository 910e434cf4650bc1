"""Scoring repeats the fit bit for bit, alone or among many, and says when the customers have changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.wire.server import Server, table_of
from tests.wire.shop import (
    PEOPLE,
    SHOP,
    UTC_US,
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

BITS = ("value_score", "value_percentile", "segment_id", "segment", "rfm_class")


def bits(table: pa.Table) -> dict[Any, tuple[Any, ...]]:
    """Every customer's numbers; floats as their bits."""
    columns = []
    for name in BITS:
        if name not in table.column_names:
            continue
        column = table[name]
        columns.append([None if v is None else v.hex() if isinstance(v, float) else v for v in column.to_pylist()])
    return dict(zip(table["customer_id"].to_pylist(), zip(*columns, strict=True), strict=True))


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"occasion": "day", "tz": "Europe/Berlin", "refunds": "drop", "scaler": "robust", "class_cut": "median"},
        {"log": "none", "scaler": "minmax", "features": "tenure_days,monetary", "weights": "tenure_days:1,monetary:3"},
        {"as_of": "2025-12-01", "window": "180d", "monetary": "mean", "log_unit": "plain", "whole_days": "true"},
    ],
    ids=["default", "day", "textbook", "window"],
)
def test_scoring_the_fitted_rows_reproduces_the_fit(
    client: httpx.Client, options: dict[str, str], chunked: bool
) -> None:
    fit = post(client, "segment", SHOP, k=5, chunked=chunked, **options)
    fitted = table_of(fit)
    as_of = options.get("as_of", summary_of(fit)["as_of"])
    model = fitted.schema.metadata[b"segserve.model"]
    scored = post(client, "score", SHOP, inline=model, as_of=as_of, chunked=not chunked)
    assert bits(table_of(scored)) == bits(fitted)
    assert [s["size"] for s in summary_of(scored)["segments"]] == [s["size"] for s in model_of(fit)["segments"]]
    assert summary_of(scored)["model_id"] == model_of(fit)["id"]
    assert b"segserve.model" not in table_of(scored).schema.metadata
    assert marker_of(scored.content) is not None


def test_scoring_one_by_one_reproduces_the_fit(client: httpx.Client, stocked: Server, models: Path) -> None:
    """300 customers, each alone: the first half with an inline model, the others with a named one."""
    model = (models / "shop.json").read_bytes()
    as_of = orjson.loads(model)["fitted_on"]["as_of"]
    fitted = bits(table_of(post(client, "segment", SHOP, k=5)))
    with httpx.Client(base_url=stocked.url) as other:
        for i, who in enumerate(list(fitted)[:300]):
            rows = SHOP.filter(pc.equal(SHOP["customer_id"], who))
            named: dict[str, Any] = {"model": "shop"} if i % 2 else {"inline": model}
            reply = post(other, "score", rows, as_of=as_of, **named)
            assert bits(table_of(reply)) == {who: fitted[who]}


def test_scoring_a_customers_table_one_by_one(stocked: Server, client: httpx.Client) -> None:
    fitted = bits(table_of(post(client, "segment", PEOPLE, k=4, features="visits,-returns")))
    with httpx.Client(base_url=stocked.url) as other:
        assert bits(table_of(post(other, "score", PEOPLE, model="people"))) == fitted
        for i in range(0, PEOPLE.num_rows, 4):
            one = PEOPLE.slice(i, 1)
            assert bits(table_of(post(other, "score", one, model="people"))).items() <= fitted.items()


def test_explained_contributions_sum_to_the_score_bit_for_bit(client: httpx.Client) -> None:
    fields = "customer_id,value_score,segment_id,explain"
    reply = post(client, "segment", SHOP, k=5, fields=fields)
    table = table_of(reply)
    assert table.column_names == [
        "customer_id",
        "value_score",
        "segment_id",
        "x_recency_days",
        "x_frequency",
        "x_monetary",
        "distance_own",
        "distance_second",
    ]
    centroids = np.array([s["centroid"] for s in model_of(reply)["segments"]])
    for row in table.to_pylist():
        if row["value_score"] is None:
            assert {row[name] for name in table.column_names[3:]} == {None}
            continue
        x = np.array([row["x_recency_days"], row["x_frequency"], row["x_monetary"]])
        assert row["value_score"] == (x[0] + x[1]) + x[2]
        distances = np.sort(np.sqrt(((centroids - x) ** 2).sum(axis=1)))
        assert row["distance_own"] == pytest.approx(distances[0], abs=1e-9)
        assert row["distance_second"] == pytest.approx(distances[1], abs=1e-9)


def test_one_segment_has_no_second_distance(client: httpx.Client) -> None:
    table = table_of(post(client, "segment", SHOP, k=1, fields="explain"))
    assert table["distance_second"].null_count == table.num_rows


# The laws


def test_amounts_in_another_currency_change_no_segment(client: httpx.Client) -> None:
    cents = SHOP.set_column(2, "amount", pc.multiply(SHOP["amount"], 10_000.0))
    one, other = (table_of(post(client, "segment", table, k=6)) for table in (SHOP, cents))
    assert one["segment_id"].equals(other["segment_id"])


def test_duplicated_rows_double_rows_and_money_and_leave_recency(client: httpx.Client) -> None:
    once = rows_of(post(client, "segment", SHOP, k=4, occasion="row"))
    twice = rows_of(post(client, "segment", pa.concat_tables([SHOP, SHOP]), k=4, occasion="row"))
    for who, row in once.items():
        assert twice[who]["frequency"] == 2 * row["frequency"]
        assert twice[who]["monetary"] == pytest.approx(2 * row["monetary"], rel=1e-12, abs=1e-9)
        assert twice[who]["recency_days"] == row["recency_days"]


def test_segments_are_ordered_by_value(client: httpx.Client) -> None:
    model = model_of(post(client, "segment", shop(2_000, 12_000), k=8))
    sums = [sum(segment["centroid"]) for segment in model["segments"]]
    assert sums == sorted(sums, reverse=True)
    for segment, total in zip(model["segments"], sums, strict=True):
        assert segment["value_score"] == pytest.approx(total, abs=0.01)
    assert sum(segment["size"] for segment in model["segments"]) == model["fitted_on"]["customers"]


# Drift


@pytest.fixture(scope="module")
def many(client: httpx.Client) -> tuple[bytes, str]:
    """A model of 1,500 customers, and its as_of."""
    reply = post(client, "fit", shop(1_500, 9_000), k=5)
    return reply.content, reply.json()["fitted_on"]["as_of"]


def test_the_fitted_customers_have_not_drifted(client: httpx.Client, many: tuple[bytes, str]) -> None:
    reply = post(client, "score", shop(1_500, 9_000), inline=many[0], as_of=many[1])
    drift = summary_of(reply)["drift"]
    assert set(drift["features"]) == {"recency_days", "frequency", "monetary"}
    assert max(drift["features"].values()) < 0.001
    assert drift["segments"] < 0.001
    assert (drift["threshold"], drift["drifted"]) == (0.25, [])
    assert summary_of(reply)["drift_skipped"] is None
    assert "drift" not in warnings_of(reply)


def test_other_prices_are_drift(client: httpx.Client, many: tuple[bytes, str]) -> None:
    reply = post(client, "score", shop(1_500, 9_000, scale=20.0), inline=many[0], as_of=many[1])
    drift = summary_of(reply)["drift"]
    assert drift["features"]["monetary"] > 1
    assert drift["features"]["frequency"] < 0.001
    assert "monetary" in drift["drifted"]
    assert "frequency" not in drift["drifted"]
    assert warnings_of(reply)["drift"]["drifted"] == drift["drifted"]


@pytest.mark.parametrize("repeaters", [0, 60], ids=["nobody bought twice", "few bought twice"])
def test_leaving_the_value_that_most_customers_share_is_drift(client: httpx.Client, repeaters: int) -> None:
    once = [(f"c{i}", f"2025-{1 + i % 12:02}-01", 5.0) for i in range(1_200)]
    again = [(who, "2025-12-02", 5.0) for who, _, _ in once]
    fitted = post(client, "fit", transactions(once + again[:repeaters]), k=3, as_of="2025-12-31").content
    same, other = (
        summary_of(post(client, "score", transactions(once + again[:n]), inline=fitted, as_of="2025-12-31"))["drift"]
        for n in (repeaters, 1_200)
    )
    assert same["features"]["frequency"] == same["features"]["monetary"] == 0.0
    assert {"frequency", "monetary"} <= set(other["drifted"])


def test_few_customers_cannot_drift(client: httpx.Client, many: tuple[bytes, str]) -> None:
    summary = summary_of(post(client, "score", shop(99, 300), inline=many[0], as_of=many[1]))
    assert summary["drift"] is None
    assert "1,000" in summary["drift_skipped"]


def test_a_longer_history_than_the_fits_is_told(client: httpx.Client, many: tuple[bytes, str]) -> None:
    late = "2027-01-01T00:00:00Z"
    facts = warnings_of(post(client, "score", shop(99, 300), inline=many[0], as_of=late))["history_span"]
    assert facts["history_days"] > 1.1 * facts["fitted_history_days"]
    assert "history_span" not in warnings_of(post(client, "score", shop(99, 300), inline=many[0], as_of=many[1]))


def test_scoring_a_few_rows_of_one_customer(client: httpx.Client, many: tuple[bytes, str]) -> None:
    rows = [("new", "2025-06-01", 25.0), ("new", "2026-06-01", 25.0), ("refunder", "2025-07-01", -3.0)]
    reply = post(client, "score", transactions(rows, order_id=[1, 2, 3]), inline=many[0], as_of="2026-01-01T00:00:00Z")
    found = rows_of(reply)
    assert (found["new"]["recency_days"], found["new"]["frequency"], found["new"]["monetary"]) == (214.0, 1, 25.0)
    assert found["new"]["segment_id"] in range(5)
    assert (found["refunder"]["segment_id"], found["refunder"]["value_score"]) == (-1, None)
    counts = summary_of(reply)["counts"]
    assert (counts["rows_in"], counts["rows_after_as_of"], counts["customers_without_purchase"]) == (3, 1, 1)


# Starting from a model


def later(table: pa.Table, days: int) -> pa.Table:
    """The same shop some days later: the times moved, a tenth of the rows gone."""
    moved = pc.add(table["timestamp"].cast(pa.int64()), days * 86_400_000_000).cast(UTC_US)
    keep = pa.array(np.arange(table.num_rows) % 10 != 3)
    return table.set_column(1, "timestamp", moved).filter(keep)


@pytest.mark.parametrize("how", ["inline", "named"])
def test_starting_from_a_model_keeps_its_ids(stocked: Server, models: Path, how: str) -> None:
    old = (models / "shop.json").read_bytes()
    table = later(SHOP, 30)
    with httpx.Client(base_url=stocked.url) as client:
        options: dict[str, Any] = {"init": "shop"} if how == "named" else {"init": "inline", "inline": old}
        reply = post(client, "segment", table, seed=5, **options)
        as_of = summary_of(reply)["as_of"]
        before = rows_of(post(client, "score", table, model="shop", as_of=as_of))
    after = rows_of(reply)
    crosstab = np.array(summary_of(reply)["crosstab"])
    expected = np.zeros((5, 5), np.int64)
    for who, row in after.items():
        if row["segment_id"] >= 0:
            expected[before[who]["segment_id"], row["segment_id"]] += 1
    assert crosstab.tolist() == expected.tolist()
    assert np.trace(crosstab) > 0.7 * crosstab.sum()
    assert model_of(reply)["fitted_on"]["k_requested"] == len(crosstab)
    assert model_of(reply)["id"] != orjson.loads(old)["id"]
    assert len(model_of(reply)["segments"]) == 5


def test_refitting_the_same_customers_from_their_model_moves_nobody(stocked: Server) -> None:
    with httpx.Client(base_url=stocked.url) as client:
        reply = post(client, "segment", SHOP, init="shop")
        fresh = post(client, "segment", SHOP, k=5)
    crosstab = np.array(summary_of(reply)["crosstab"])
    assert np.trace(crosstab) == crosstab.sum()
    assert bits(table_of(reply)) == bits(table_of(fresh))


def test_a_body_beside_a_named_start_may_carry_no_model(stocked: Server, models: Path) -> None:
    with httpx.Client(base_url=stocked.url) as client:
        old = (models / "shop.json").read_bytes()
        refused(post(client, "score", SHOP, inline=old, model="shop", as_of="now"), 422, "conflicting_options")
