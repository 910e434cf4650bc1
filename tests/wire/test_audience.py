"""`/v1/audience` over the wire: who is reached, in every format, at what cost, and why the others are not."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.wire.server import stream_of, table_of
from tests.wire.shop import PEOPLE, SHOP, marker_of, post, refused, summary_of

AS_OF = "2026-01-01T00:00:00Z"
CSV = "text/csv"
JSON = "application/json"


@pytest.fixture(scope="module")
def fitted(client: httpx.Client) -> bytes:
    reply = post(client, "fit", SHOP, k=5)
    assert reply.status_code == 200, reply.text
    return reply.content


@pytest.fixture(scope="module")
def scored(client: httpx.Client, fitted: bytes) -> pa.Table:
    table = table_of(post(client, "score", SHOP, inline=fitted, as_of=AS_OF))
    table = table.append_column("arrival", pa.array(range(table.num_rows)))
    return table.sort_by([("value_score", "descending"), ("arrival", "ascending")]).drop_columns("arrival")


def best(scored: pa.Table, n: int | None = None) -> pa.Table:
    with_score = scored.filter(pc.is_valid(scored["value_score"]))
    return with_score if n is None else with_score.slice(0, n)


def test_the_best_under_a_budget(client: httpx.Client, fitted: bytes, scored: pa.Table) -> None:
    reply = post(client, "audience", SHOP, inline=fitted, as_of=AS_OF, budget=12.1, cost_per_contact=0.1, top=200)
    found = table_of(reply)
    assert found.drop_columns(["rank", "cost", "cumulative_cost"]).equals(best(scored, 121))
    assert found["rank"].to_pylist() == list(range(1, 122))
    assert set(found["cost"].to_pylist()) == {0.1}
    assert found["cumulative_cost"].to_pylist()[-1] == 12.1
    assert found.column_names[-3:] == ["rank", "cost", "cumulative_cost"]
    told = summary_of(reply)
    audience = told["audience"]
    assert (audience["reached"], audience["cost"], audience["budget"]) == (121, 12.1, 12.1)
    assert audience["over_budget"] == 79
    assert sum(audience["removed"].values()) == scored.num_rows - 200
    assert told["counts"]["customers_out"] == 121
    assert sum(segment["size"] for segment in told["segments"]) == best(scored).num_rows
    marker = marker_of(reply.content)
    assert marker is not None
    assert marker[b"customers_out"] == b"121"
    assert sum(audience["segments"].values()) == 121


def test_every_format_and_both_paths(client: httpx.Client, fitted: bytes) -> None:
    query: dict[str, Any] = {"as_of": AS_OF, "top": "5%", "cost_per_contact": "0.25", "fields": "customer_id,segment"}
    whole = post(client, "audience", SHOP, inline=fitted, **query)
    expected = table_of(whole)
    assert expected.column_names == ["customer_id", "segment", "rank", "cost", "cumulative_cost"]
    chunked = post(client, "audience", SHOP, inline=fitted, chunked=True, **query)
    assert table_of(chunked).equals(expected)
    body = stream_of(SHOP, {b"segserve.model": fitted})
    rows = post(client, "audience", body, headers={"Accept": JSON}, **query).json()
    assert [row["customer_id"] for row in rows["rows"]] == expected["customer_id"].to_pylist()
    assert rows["rows"][1]["cumulative_cost"] == 0.5
    assert rows["status"] == "complete"
    lines = post(client, "audience", body, headers={"Accept": CSV}, **query).text.splitlines()
    assert lines[0] == "customer_id,segment,rank,cost,cumulative_cost"
    assert len(lines) == expected.num_rows + 1


def test_consents_of_transactions_are_the_last_ones(client: httpx.Client) -> None:
    rows = [
        ("ann", "2026-01-05T00:00:00Z", 50, True, None),
        ("ann", "2026-01-02T00:00:00Z", 10, False, None),  # older, though it comes later
        ("ben", "2026-01-03T00:00:00Z", 90, True, False),
        ("ben", "2026-01-04T00:00:00Z", 10, None, True),
        ("cem", "2026-01-04T00:00:00Z", 30, None, None),
        ("dee", "2026-01-04T00:00:00Z", 20, True, None),
    ]
    names = ("customer_id", "timestamp", "amount", "may", "stop")
    columns = {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    model = post(client, "fit", orjson.dumps({"columns": columns}), content_type=JSON, k=2).json()
    body = orjson.dumps({"columns": columns, "model": model})
    reply = post(client, "audience", body, content_type=JSON, as_of="2026-01-31", consent="may", opt_out="stop")
    answer = reply.json()
    assert set(answer["columns"]["customer_id"]) == {"ann", "dee"}
    assert answer["summary"]["audience"]["removed"] == {"consent": 1, "opt_out": 1}
    text = "\n".join([",".join(names), *(",".join("" if v is None else str(v) for v in row) for row in rows)])
    problem = refused(
        post(client, "audience", text.encode(), content_type=CSV, as_of="2026-01-31", consent="may"),
        422,
        "missing_model",
    )
    assert problem["option"] == "model"
    problem = refused(
        post(client, "audience", body, content_type=JSON, as_of="2026-01-31", consent="mai"), 422, "missing_column"
    )
    assert (problem["option"], problem["column"]) == ("consent", "mai")


def test_customers_tables_with_a_cost_each(client: httpx.Client) -> None:
    prices = [None if i % 5 == 0 else 0.1 * (i % 4) for i in range(200)]
    table = PEOPLE.append_column("price", pa.array(prices))
    model = post(client, "fit", PEOPLE, k=4, features="visits,-returns").content
    scores = table_of(post(client, "score", PEOPLE, inline=model))
    options = {
        "cost_per_contact": "price",
        "budget": 5,
        "exclude": "1001,1002",
        "min_percentile": 40,
        "segments": "0,1",
    }
    reply = post(client, "audience", table, inline=model, **options)
    found, audience = table_of(reply), summary_of(reply)["audience"]
    expected, spent = [], 0
    rows = sorted(enumerate(scores.to_pylist()), key=lambda pair: -pair[1]["value_score"])
    for i, row in rows:
        allowed = row["customer_id"] not in (1001, 1002) and row["value_percentile"] >= 40 and row["segment_id"] < 2
        if allowed and prices[i] is not None:
            spent += i % 4
            if spent > 50:
                break
            expected.append(row["customer_id"])
    assert found["customer_id"].to_pylist() == expected
    assert audience["removed"]["exclude"] == 2
    assert audience["removed"]["no_cost"] > 0
    assert audience["cost"] == found["cumulative_cost"].to_pylist()[-1]
    few = table.filter(pc.greater_equal(table["visits"], 20))
    filtered = post(client, "audience", table, inline=model, where="visits >= 20", **options)
    assert table_of(filtered).equals(table_of(post(client, "audience", few, inline=model, **options)))
    wrong = PEOPLE.append_column("price", pa.array(["free"] * 200))
    assert refused(post(client, "audience", wrong, inline=model, **options), 422, "wrong_type")["column"] == "price"


def test_classes_holdout_and_max(client: httpx.Client, fitted: bytes, scored: pa.Table) -> None:
    of_class = best(scored)
    of_class = of_class.filter(pc.equal(of_class["rfm_class"].cast(pa.utf8()), "important_value"))
    query = {"as_of": AS_OF, "classes": "important_value"}
    reply = post(client, "audience", SHOP, inline=fitted, **query)
    assert table_of(reply)["customer_id"].equals(of_class["customer_id"])
    held = post(client, "audience", SHOP, inline=fitted, holdout=0.3, campaign="spring", **query)
    told = summary_of(held)["audience"]
    assert 0 < told["held_out"] == of_class.num_rows - told["reached"]
    assert set(table_of(held)["customer_id"].to_pylist()) < set(of_class["customer_id"].to_pylist())
    again = post(client, "audience", SHOP, inline=fitted, holdout=0.3, campaign="spring", max=7, **query)
    assert table_of(again)["customer_id"].to_pylist() == table_of(held)["customer_id"].to_pylist()[:7]


def test_the_control_group_behind_the_audience(client: httpx.Client, fitted: bytes) -> None:
    query: dict[str, Any] = {"as_of": AS_OF, "holdout": 0.3, "campaign": "spring", "top": 100, "cost_per_contact": 0.5}
    plain = post(client, "audience", SHOP, inline=fitted, **query)
    both = post(client, "audience", SHOP, inline=fitted, with_holdout="true", **query)
    audience = table_of(plain)
    found = table_of(both)
    n = audience.num_rows
    assert summary_of(both)["audience"] == summary_of(plain)["audience"]
    assert found.slice(0, n).drop_columns(["held_out"]).equals(audience)
    assert found["held_out"].to_pylist() == [False] * n + [True] * (100 - n)
    control = found.slice(n)
    assert [control[name].null_count for name in ("rank", "cost", "cumulative_cost")] == [100 - n] * 3
    assert control["value_score"].to_pylist() == sorted(control["value_score"].to_pylist(), reverse=True)
    assert not set(control["customer_id"].to_pylist()) & set(audience["customer_id"].to_pylist())
    sheet = post(client, "audience", SHOP, inline=fitted, with_holdout="true", headers={"Accept": CSV}, **query)
    assert [line.rsplit(",", 1)[1] for line in sheet.text.splitlines()[1:]] == ["false"] * n + ["true"] * (100 - n)
    assert refused(
        post(client, "audience", SHOP, inline=fitted, as_of=AS_OF, with_holdout="true"), 422, "conflicting_options"
    )["wanted"] == "holdout"  # fmt: skip


def test_only_customers_of_some_tiers(client: httpx.Client) -> None:
    model = post(client, "fit", SHOP, k=5, schemes="pareto,tiers").content
    scores = table_of(post(client, "score", SHOP, inline=model, as_of=AS_OF, schemes="tiers"))
    names = [name for name in ("ideal", "good") if name in scores["tiers"].to_pylist()]
    wanted = scores.filter(pc.is_in(scores["tiers"].cast(pa.utf8()), pa.array(names)))
    query = {"as_of": AS_OF, "tiers": ",".join(names)}
    for schemes in ({}, {"schemes": "pareto"}, {"schemes": "pareto,tiers"}):
        reply = post(client, "audience", SHOP, inline=model, **query, **schemes)
        found = table_of(reply)
        assert 0 < found.num_rows < scores.num_rows
        assert sorted(found["customer_id"].to_pylist()) == sorted(wanted["customer_id"].to_pylist())
        assert summary_of(reply)["audience"]["reached"] == found.num_rows
        assert "tiers" in found.column_names
        assert ("pareto" in found.column_names) is bool(schemes)
    for tiers in ("best", "ideal,best"):
        problem = refused(post(client, "audience", SHOP, inline=model, as_of=AS_OF, tiers=tiers), 422, "bad_option")
        assert (problem["option"], "best" in problem["detail"]) == ("tiers", True)
    plain = post(client, "fit", SHOP, k=5).content
    refused(post(client, "audience", SHOP, inline=plain, as_of=AS_OF, tiers="ideal"), 422, "conflicting_options")


def test_schemes_come_along_and_say_what_to_expect(client: httpx.Client) -> None:
    model = post(client, "fit", SHOP, k=5, schemes="lifecycle,pareto").content
    query = {"as_of": AS_OF, "schemes": "lifecycle,pareto"}
    scores = table_of(post(client, "score", SHOP, inline=model, **query))
    reply = post(client, "audience", SHOP, inline=model, max=50, **query)
    found = table_of(reply)
    of_all = dict(zip(scores["customer_id"].to_pylist(), scores.to_pylist(), strict=True))
    rows = found.drop_columns(["rank", "cost", "cumulative_cost"]).to_pylist()
    assert rows == [of_all[row["customer_id"]] for row in rows]
    audience = summary_of(reply)["audience"]
    assert audience["expected_revenue"] == pytest.approx(sum(found["lifecycle_expected_revenue"].to_pylist()))
    assert "expected_profit" not in audience


def test_an_audience_that_is_too_small_or_of_nobody(client: httpx.Client, fitted: bytes) -> None:
    reply = post(client, "audience", SHOP, inline=fitted, as_of=AS_OF, top=3, min_size=10)
    assert table_of(reply).num_rows == 0
    audience = summary_of(reply)["audience"]
    assert (audience["reached"], audience["cost"]) == (0, None)
    assert audience["reason"].startswith("Only 3 customers would be reached")
    reply = post(client, "audience", SHOP.slice(0, 0), inline=fitted, as_of=AS_OF, budget=3, cost_per_contact=1)
    assert table_of(reply).num_rows == 0
    assert np.isclose(summary_of(reply)["audience"]["cost"], 0)


def test_requests_are_counted_as_audiences(client: httpx.Client, fitted: bytes) -> None:
    post(client, "audience", SHOP, inline=fitted, as_of=AS_OF)
    assert 'segserve_requests_total{endpoint="audience",outcome="ok"}' in client.get("/metrics").text
    refused(post(client, "audience", SHOP, inline=fitted), 422, "bad_option")
    problem = refused(post(client, "audience", SHOP, inline=fitted, as_of=AS_OF, segments="vip"), 422, "bad_option")
    assert problem["option"] == "segments"
