"""What a reply says, on data small enough to work out by hand or in a few lines of plain Python."""

from __future__ import annotations

import datetime as dt
import math
from statistics import fmean, median, pstdev
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.wire.server import table_of
from tests.wire.shop import (
    ROWS,
    marker_of,
    model_of,
    post,
    rows_of,
    shop,
    summary_of,
    transactions,
    warnings_of,
)

LABEL = pa.dictionary(pa.int16(), pa.utf8())
UTC = dt.UTC


def test_default_columns_and_their_types(client: httpx.Client) -> None:
    reply = post(client, "segment", transactions(), k=3)
    assert reply.headers["content-type"] == "application/vnd.apache.arrow.stream"
    schema = table_of(reply).schema
    assert list(zip(schema.names, schema.types, strict=True)) == [
        ("customer_id", pa.string()),
        ("recency_days", pa.float64()),
        ("frequency", pa.int64()),
        ("monetary", pa.float64()),
        ("value_score", pa.float64()),
        ("value_percentile", pa.float64()),
        ("segment_id", pa.int32()),
        ("segment", LABEL),
        ("rfm_class", LABEL),
    ]
    assert set(schema.metadata) == {b"segserve.model", b"segserve.summary"}


def test_fields_choose_columns_in_a_fixed_order(client: httpx.Client) -> None:
    reply = post(client, "segment", transactions(), k=3, fields="last_at,segment_id,tenure_days,customer_id,first_at")
    table = table_of(reply)
    assert table.column_names == ["customer_id", "segment_id", "tenure_days", "first_at", "last_at"]
    found = rows_of(reply)
    assert {who: row["tenure_days"] for who, row in found.items()} == {
        "ann": 20.0,
        "ben": 69.5,
        "cem": 48.0,
        "dee": None,
    }
    assert found["ann"]["first_at"] == dt.datetime(2026, 3, 1, tzinfo=UTC)
    assert found["ann"]["last_at"] == dt.datetime(2026, 3, 11, tzinfo=UTC)
    assert found["ben"]["last_at"] == dt.datetime(2026, 1, 10, 12, tzinfo=UTC)
    assert (found["dee"]["first_at"], found["dee"]["last_at"]) == (None, None)


def figures(reply: httpx.Response) -> dict[str, tuple[Any, ...]]:
    return {who: (row["recency_days"], row["frequency"], row["monetary"]) for who, row in rows_of(reply).items()}


BY_HAND = {"ann": (10.0, 2, 175.5), "ben": (69.5, 1, 15.0), "cem": (0.0, 2, 10.0), "dee": (None, 0, -30.0)}


def test_recency_frequency_monetary_by_hand(client: httpx.Client) -> None:
    reply = post(client, "segment", transactions(), k=3)
    assert figures(reply) == BY_HAND
    assert list(rows_of(reply)) == ["ann", "ben", "cem", "dee"]  # first appearance
    summary = summary_of(reply)
    assert summary["as_of"] == "2026-03-21T00:00:00Z"
    assert summary["counts"] == {
        "rows_in": 8,
        "rows_used": 8,
        "rows_with_nulls": {},
        "rows_not_finite": 0,
        "rows_filtered": 0,
        "rows_after_as_of": 0,
        "rows_before_window": 0,
        "refund_rows": 2,
        "zero_amount_rows": 1,
        "customers_out": 4,
        "customers_without_purchase": 1,
        "customers_outside_window": 0,
        "customers_with_negative_monetary": 1,
    }
    assert marker_of(reply.content) == {b"status": b"complete", b"rows_in": b"8", b"customers_out": b"4"}


def weighted(values: list[float], sign: int, log: bool, weight: float = 1 / 3) -> list[float]:
    """One feature's way into the score, in plain Python: log with the median as unit, z-score, sign, weight."""
    if log:
        unit = median(abs(v) for v in values if v)
        values = [math.log1p(100 * v / unit) for v in values]
    centre, spread = fmean(values), pstdev(values)
    return [sign * weight * (v - centre) / spread for v in values]


def test_scores_segments_and_classes_by_hand(client: httpx.Client) -> None:
    """Three customers in three segments: each is its own centroid."""
    reply = post(
        client,
        "segment",
        transactions(),
        k=3,
        fields="customer_id,value_score,value_percentile,segment_id,rfm_class,explain",
    )
    found = rows_of(reply)
    people = ["ann", "ben", "cem"]
    x = {
        "recency_days": weighted([10.0, 69.5, 0.0], -1, False),
        "frequency": weighted([2, 1, 2], 1, True),
        "monetary": weighted([175.5, 15.0, 10.0], 1, True),
    }
    scores = {}
    for i, who in enumerate(people):
        scores[who] = sum(values[i] for values in x.values())
        for name, values in x.items():
            assert found[who][f"x_{name}"] == pytest.approx(values[i], abs=1e-12)
        assert found[who]["value_score"] == pytest.approx(scores[who], abs=1e-12)
        assert found[who]["distance_own"] == pytest.approx(0.0, abs=1e-12)
        others = [math.dist([v[i] for v in x.values()], [v[j] for v in x.values()]) for j in range(3) if j != i]
        assert found[who]["distance_second"] == pytest.approx(min(others), abs=1e-12)
    best_first = sorted(people, key=scores.__getitem__, reverse=True)
    assert [found[who]["segment_id"] for who in best_first] == [0, 1, 2]
    assert [found[who]["value_percentile"] for who in best_first] == pytest.approx([100.0, 50.0, 0.0], abs=20)
    # means: recency 26.5, frequency 1.67, monetary 66.83
    assert {who: found[who]["rfm_class"] for who in people} == {
        "ann": "important_value",
        "ben": "general_winback",
        "cem": "general_value",
    }
    assert [
        found["dee"][n] for n in ("value_score", "value_percentile", "rfm_class", "x_monetary", "distance_own")
    ] == [None] * 5
    assert found["dee"]["segment_id"] == -1


def test_the_summary_describes_the_segments(client: httpx.Client) -> None:
    reply = post(client, "segment", transactions(), k=3)
    found = rows_of(reply)
    segments = {segment["id"]: segment for segment in summary_of(reply)["segments"]}
    for who in ("ann", "ben", "cem"):
        segment = segments[found[who]["segment_id"]]
        assert segment["code"] == found[who]["segment"] == found[who]["rfm_class"]
        assert (segment["size"], segment["share"]) == (1, 1 / 3)
        assert segment["means"] == {n: found[who][n] for n in ("recency_days", "frequency", "monetary")}
        assert segment["value_score"] == found[who]["value_score"]
        assert segment["revenue_share"] == pytest.approx(found[who]["monetary"] / 200.5)
    model = model_of(reply)
    assert model["fitted_on"]["customers"] == 3
    assert [s["value_score"] for s in model["segments"]] == sorted(
        (s["value_score"] for s in model["segments"]), reverse=True
    )


@pytest.mark.parametrize(
    ("lang", "names"),
    [
        ("code", ["important_value", "general_winback", "general_value"]),
        ("en", ["Core high-value", "General, to win back: lapsed, low value", "General: active, low spend"]),
        ("zh", ["重要价值客户", "一般挽留客户 (无价值)", "一般价值客户"]),
    ],
)
def test_labels_in_three_languages(client: httpx.Client, lang: str, names: list[str]) -> None:
    found = rows_of(post(client, "segment", transactions(), k=3, lang=lang))
    for column in ("segment", "rfm_class"):
        assert [found[who][column] for who in ("ann", "ben", "cem")] == names


def test_labels_are_unique_per_segment(client: httpx.Client) -> None:
    reply = post(client, "segment", shop(600, 4_000), k=20)
    model = model_of(reply)
    codes = [segment["code"] for segment in model["segments"]]
    assert len(set(codes)) == 20
    several = [s for s in model["segments"] if s["code"] != s["class_code"]]
    assert several
    for segment in several:
        assert segment["code"].startswith(segment["class_code"] + "_")
        assert segment["en"][-1].isdigit()
        assert segment["zh"][-1].isdigit()


# What rows mean


def test_as_of_a_date_is_its_end_and_whole_days_floor(client: httpx.Client) -> None:
    exact = post(client, "segment", transactions(), k=3, as_of="2026-03-31T00:00:00Z")
    assert figures(exact)["ann"][0] == 20.0
    date = post(client, "segment", transactions(), k=3, as_of="2026-03-31")
    assert figures(date)["ann"][0] == pytest.approx(21.0, abs=1e-9)
    assert figures(date)["ann"][0] < 21.0
    whole = post(client, "segment", transactions(), k=3, as_of="2026-03-31", whole_days="true")
    assert [figures(whole)[who][0] for who in ("ann", "ben", "cem")] == [20.0, 80.0, 10.0]
    # In Shanghai the 31st ends eight hours earlier.
    east = post(client, "segment", transactions(), k=3, as_of="2026-03-31", tz="Asia/Shanghai")
    assert figures(date)["ann"][0] - figures(east)["ann"][0] == pytest.approx(8 / 24, abs=1e-9)
    plus = post(client, "segment", transactions(), k=3, as_of="2026-03-31T08:00:00+08:00")
    assert figures(plus) == figures(exact)


def test_the_window_is_open_at_its_start_and_closed_at_its_end(client: httpx.Client) -> None:
    reply = post(client, "segment", transactions(), k=2, as_of="2026-03-21T00:00:00Z", window="20d")
    assert figures(reply) == {"ann": (10.0, 1, 75.5), "cem": (0.0, 1, 0.0)}
    counts = summary_of(reply)["counts"]
    assert (counts["rows_used"], counts["rows_before_window"]) == (3, 5)
    assert (counts["customers_out"], counts["customers_outside_window"]) == (2, 2)
    assert model_of(reply)["aggregation"]["window_days"] == 20


ORDERS = [
    ("ann", "2026-01-01T08:00:00", 5.0, 1),
    ("ann", "2026-01-01T08:00:00", 6.0, 2),
    ("ann", "2026-01-01T20:00:00", 7.0, 1),
    ("ann", "2026-01-02T08:00:00", -1.0, 3),  # an order of refunds only
    ("ann", "2026-01-02T09:00:00", -1.0, 2),  # a refund of an order with a purchase
    ("ann", "2026-01-02T23:30:00", 1.0, 4),  # 3 January in Berlin
    ("ben", "2026-01-03T12:00:00", 1.0, 1),  # another customer's order of the same number
]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("options", "frequency"),
    [
        ({}, 3),
        ({"occasion": "order"}, 3),
        ({"occasion": "time"}, 3),
        ({"occasion": "day"}, 2),
        ({"occasion": "day", "tz": "Pacific/Kiritimati"}, 3),
        ({"occasion": "row"}, 4),
    ],
)
def test_occasions(client: httpx.Client, options: dict[str, str], frequency: int, chunked: bool) -> None:
    table = transactions([row[:3] for row in ORDERS], order_id=[row[3] for row in ORDERS])
    found = figures(post(client, "segment", table, chunked=chunked, **options))
    assert (found["ann"][1], found["ben"][1]) == (frequency, 1)
    assert found["ann"][2] == 17.0


def test_refunds(client: httpx.Client) -> None:
    dropped = figures(post(client, "segment", transactions(), k=3, refunds="drop"))
    assert {who: dropped[who] for who in ("ann", "ben", "cem")} == {
        **{who: BY_HAND[who] for who in ("ann", "cem")},
        "ben": (69.5, 1, 20.0),
    }
    without = transactions([row for row in ROWS if row[2] >= 0])
    assert figures(post(client, "segment", without, k=3, refunds="error")) == {
        who: dropped[who] for who in ("ann", "ben", "cem")
    }


def test_monetary_mean(client: httpx.Client) -> None:
    reply = post(client, "segment", transactions(), k=3, monetary="mean")
    found = figures(reply)
    assert {who: row[2] for who, row in found.items()} == {"ann": 87.75, "ben": 15.0, "cem": 5.0, "dee": None}
    assert summary_of(reply)["segments"][0]["revenue_share"] == pytest.approx(175.5 / 200.5)


def test_class_cut_median(client: httpx.Client) -> None:
    found = rows_of(post(client, "segment", transactions(), k=3, class_cut="median"))
    # medians: recency 10, frequency 2, monetary 15
    assert [found[who]["rfm_class"] for who in ("ann", "ben", "cem")] == [
        "important_value",
        "important_winback",
        "general_value",
    ]


def test_the_textbook_method(client: httpx.Client) -> None:
    """No logs, no scaling, weights: the score is the weighted sum of the plain figures."""
    options = {"log": "none", "scaler": "none", "weights": "recency_days:1,frequency:2,monetary:5"}
    found = rows_of(post(client, "segment", transactions(), k=3, **options))
    for who in ("ann", "ben", "cem"):
        recency, frequency, monetary = BY_HAND[who]
        assert recency is not None
        expected = (-recency + 2 * frequency + 5 * monetary) / 8
        assert found[who]["value_score"] == pytest.approx(expected, rel=1e-12)


# Warnings


def test_correlated_frequency_and_monetary_are_told(client: httpx.Client) -> None:
    rows = [(f"c{i}", f"2026-01-{1 + j:02d}", 10.0) for i in range(25) for j in range(i + 1)]
    reply = post(client, "segment", transactions(rows), k=3)
    facts = warnings_of(reply)["frequency_monetary_correlated"]
    assert facts["correlation"] == 1.0
    message = next(w["message"] for w in summary_of(reply)["warnings"] if w["code"] == "frequency_monetary_correlated")
    assert "monetary=mean" in message
    assert "frequency_monetary_correlated" not in warnings_of(
        post(client, "segment", transactions(rows), k=3, monetary="mean")
    )


def test_a_robust_scale_without_quartiles_falls_back(client: httpx.Client) -> None:
    rows = [(f"c{i}", "2026-01-01", 10.0 if i else 500.0) for i in range(20)]
    rows += [("c3", "2026-01-02", 1.0)]
    warnings = warnings_of(post(client, "segment", transactions(rows), k=2, scaler="robust"))
    assert "robust_fell_back" in warnings


# Customers tables


def test_a_customers_table_with_features_of_its_own(client: httpx.Client) -> None:
    visits, returns = [1.0, 2.0, 9.0], [0.5, 0.0, 0.1]
    table = pa.table({"member": ["x", "y", "z"], "visits": visits, "back": returns})
    reply = post(
        client, "segment", table, features="visits,-returns", columns="customer_id:member,returns:back", k=3,
        fields="customer_id,value_score,segment,segment_id,explain",
    )  # fmt: skip
    assert reply.status_code == 200, reply.text
    found = rows_of(reply)
    x, y = weighted(visits, 1, False, 0.5), weighted(returns, -1, False, 0.5)
    for i, who in enumerate("xyz"):
        assert found[who]["x_visits"] == pytest.approx(x[i], abs=1e-12)
        assert found[who]["x_returns"] == pytest.approx(y[i], abs=1e-12)
        assert found[who]["value_score"] == pytest.approx(x[i] + y[i], abs=1e-12)
    # means: visits 4, returns 0.2, where fewer are better
    assert {who: found[who]["segment"] for who in "xyz"} == {"x": "--", "y": "-+", "z": "++"}
    assert (found["z"]["segment_id"], found["y"]["segment_id"], found["x"]["segment_id"]) == (0, 1, 2)
    model = model_of(reply)
    assert (model["input"], model["aggregation"]) == ("customers", None)


def test_a_customers_table_of_recency_frequency_monetary(client: httpx.Client) -> None:
    people = [(who, *BY_HAND[who]) for who in ("ann", "ben", "cem")]
    columns = ["customer_id", "recency_days", "frequency", "monetary"]
    table = pa.table({name: [row[i] for row in people] for i, name in enumerate(columns)})
    reply = post(client, "segment", table, k=3)
    fitted = rows_of(post(client, "segment", transactions(), k=3))
    for who, row in rows_of(reply).items():
        for name in ("value_score", "segment_id", "segment", "rfm_class", "recency_days", "frequency", "monetary"):
            assert row[name] == fitted[who][name], name
    assert table_of(reply).schema.field("frequency").type == pa.float64()


# Value percentiles


def test_percentiles_are_shares_of_lower_scores(client: httpx.Client) -> None:
    rows = list(rows_of(post(client, "segment", shop(900, 5_000), k=5)).values())
    scores = [row["value_score"] for row in rows if row["value_score"] is not None]
    for row in rows:
        if row["value_score"] is None:
            continue
        lower = sum(score < row["value_score"] for score in scores)
        ties = sum(score == row["value_score"] for score in scores)
        assert row["value_percentile"] == pytest.approx(100 * (lower + ties / 2) / len(scores), abs=0.2)
        assert 0 <= row["value_percentile"] <= 100


# Headers


def test_headers_of_a_reply(client: httpx.Client) -> None:
    for endpoint in ("segment", "fit"):
        reply = post(client, endpoint, transactions(), k=3, headers={"X-Request-ID": "mine-1"})
        assert reply.headers["x-request-id"] == "mine-1"
        stages = dict(part.split(";dur=") for part in reply.headers["server-timing"].split(", "))
        assert {"receive", "decode", "aggregate", "compute", "total"} <= set(stages)
        assert all(float(milliseconds) >= 0 for milliseconds in stages.values())


def test_fit_answers_with_the_model_of_segment(client: httpx.Client) -> None:
    fit = post(client, "fit", transactions(), k=3)
    assert fit.headers["content-type"] == "application/json"
    assert fit.json() == model_of(post(client, "segment", transactions(), k=3))
