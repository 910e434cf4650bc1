"""`rollup=` over the wire: a column, a mapping ahead of the rows, and what is said of those that do not fit."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pytest

from tests.wire.server import stream_of, table_of
from tests.wire.shop import SHOP, marker_of, post, refused, rows_of, summary_of, warnings_of

JSON = "application/json"
AS_OF = "2026-01-01T00:00:00Z"
DEVICES = SHOP.column("customer_id").unique().to_pylist()
HOMES = {device: f"H{i // 3:03d}" for i, device in enumerate(DEVICES)}
CATEGORIES = pa.array(np.random.default_rng(3).choice(["food", "toys", "garden"], SHOP.num_rows))
BARE = SHOP.append_column("category", CATEGORIES)
FULL = BARE.append_column("household_id", pa.array([HOMES[one] for one in SHOP.column("customer_id").to_pylist()]))
MAPPING = pa.table({"customer_id": [*DEVICES, "elsewhere"], "household_id": [*HOMES.values(), "H999"]})


@pytest.fixture(scope="module")
def segmented(client: httpx.Client) -> httpx.Response:
    return post(client, "segment", FULL, rollup="household_id", k=4, as_of=AS_OF, schemes="pareto")


@pytest.fixture(scope="module")
def fitted(client: httpx.Client) -> bytes:
    reply = post(client, "fit", FULL, rollup="household_id", k=4, as_of=AS_OF, schemes="pareto")
    assert reply.status_code == 200, reply.text
    assert reply.json()["aggregation"]["rollup"] == "household_id"
    return reply.content


def ahead(rows: pa.Table, mapping: pa.Table = MAPPING, **more: Any) -> bytes:
    """The mapping's stream, then that of the rows."""
    return stream_of(mapping) + stream_of(rows, **more)


def test_members_have_what_their_household_has(segmented: httpx.Response) -> None:
    found = table_of(segmented)
    assert found.column_names[0] == "customer_id"
    assert found.column_names[-3:] == ["household_id", "household_share", "top_category"]
    assert found["customer_id"].to_pylist() == DEVICES
    by_home: dict[str, list[dict[str, Any]]] = {}
    for row in found.to_pylist():
        assert row["household_id"] == HOMES[row["customer_id"]]
        by_home.setdefault(row["household_id"], []).append(row)
    same = ("segment", "rfm_class", "value_score", "value_percentile", "monetary", "pareto")
    for members in by_home.values():
        assert len({tuple(member[name] for name in same) for member in members}) == 1
        if members[0]["monetary"] <= 0:
            assert {member["household_share"] for member in members} == {None}
    told = summary_of(segmented)
    assert told["rollup"] == {
        "column": "household_id",
        "source": "column",
        "households": len(by_home),
        "members": len(DEVICES),
        "members_without_household": 0,
        "members_left_out": 0,
        "rows_without_household": 0,
    }
    assert sum(segment["size"] for segment in told["segments"]) <= len(by_home)
    marker = marker_of(segmented.content)
    assert marker is not None
    assert int(marker[b"customers_out"]) == told["counts"]["customers_out"] == len(DEVICES)


def test_a_mapping_says_the_same_in_every_format(client: httpx.Client, segmented: httpx.Response) -> None:
    expected = table_of(segmented)
    query: dict[str, Any] = {"rollup": "household_id", "k": 4, "as_of": AS_OF, "schemes": "pareto"}
    for chunked in (False, True):
        reply = post(client, "segment", ahead(BARE, max_rows=400), chunked=chunked, **query)
        assert table_of(reply).equals(expected)
    told = summary_of(reply)["rollup"]
    assert (told["source"], told["mapped_members"], told["mapped_without_rows"]) == ("mapping", len(DEVICES) + 1, 1)
    zipped = post(client, "segment", gzip.compress(ahead(BARE), 1), headers={"Content-Encoding": "gzip"}, **query)
    assert table_of(zipped).equals(expected)
    columns = {name: BARE[name].to_pylist() for name in ("customer_id", "amount", "order_id", "category")}
    times = BARE["timestamp"].cast(pa.timestamp("us")).cast(pa.string()).to_pylist()
    document = {
        "columns": columns | {"timestamp": [text.replace(" ", "T") + "Z" for text in times]},
        "mapping": MAPPING.to_pydict(),
    }
    body = orjson.dumps(document)
    for chunked in (False, True):
        reply = post(client, "segment", body, content_type=JSON, chunked=chunked, headers={"Accept": JSON}, **query)
        assert reply.status_code == 200, reply.text
        for name in ("customer_id", "household_id", "household_share", "top_category", "segment", "pareto"):
            assert reply.json()["columns"][name] == expected[name].to_pylist(), name


def test_a_household_scores_alone_as_in_the_crowd(
    client: httpx.Client, segmented: httpx.Response, fitted: bytes
) -> None:
    crowd = rows_of(segmented)
    scored = post(client, "score", FULL, inline=fitted, as_of=AS_OF, schemes="pareto")
    assert rows_of(scored) == crowd
    for home in ("H000", "H007", "H131"):
        alone = FULL.filter(pa.compute.equal(FULL["household_id"], home))
        found = rows_of(post(client, "score", alone, inline=fitted, as_of=AS_OF, schemes="pareto"))
        assert found == {member: row for member, row in crowd.items() if row["household_id"] == home}
    # The model comes with the rows, so rollup= says that the first stream is the mapping.
    body = ahead(BARE, metadata={b"segserve.model": fitted})
    again = post(client, "score", body, as_of=AS_OF, schemes="pareto", rollup="household_id")
    assert rows_of(again) == crowd
    lacking = refused(post(client, "score", BARE, inline=fitted, as_of=AS_OF), 422, "missing_column")
    assert "the model, which was fitted on households, needs it" in lacking["detail"]
    small = refused(
        post(client, "score", BARE.slice(0, 5), inline=fitted, as_of=AS_OF, rollup="home"), 422, "conflicting_options"
    )
    assert small["option"] == "rollup"


def test_members_in_two_households_and_in_none(client: httpx.Client) -> None:
    query: dict[str, Any] = {"rollup": "household_id", "k": 3}
    twice = pa.concat_tables([MAPPING, pa.table({"customer_id": DEVICES[4:5], "household_id": ["H998"]})])
    problem = refused(post(client, "segment", ahead(BARE, twice), **query), 422, "two_households")
    for named in (DEVICES[4], HOMES[DEVICES[4]], "H998"):
        assert repr(named) in problem["detail"]
    moved = FULL.slice(0, 1).set_column(5, "household_id", pa.array(["H997"]))
    problem = refused(post(client, "segment", pa.concat_tables([FULL, moved]), **query), 422, "two_households")
    assert f"Row {FULL.num_rows + 1:,} says" in problem["detail"]
    few = MAPPING.slice(2)
    reply = post(client, "segment", ahead(BARE, few), **query)
    lone = rows_of(reply)[DEVICES[0]]
    assert (lone["segment_id"], lone["segment"], lone["household_id"]) == (-1, None, None)
    assert lone["top_category"] is not None
    assert warnings_of(reply)["members_without_household"]["members"] == 2
    nobody = refused(post(client, "segment", ahead(BARE, MAPPING.slice(len(DEVICES))), **query), 422, "no_customers")
    assert "has a household in the mapping" in nobody["detail"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("body", [ahead(BARE), ahead(BARE) * 20], ids=["small", "large"])
def test_the_first_fault_of_a_body_is_told_however_it_arrives(client: httpx.Client, body: bytes, chunked: bool) -> None:
    for kind in ("segment", "fit"):
        unasked = refused(post(client, kind, body, chunked=chunked, k=3), 422, "missing_column")
        assert "say rollup=household_id" in unasked["detail"]
    twice = refused(post(client, "segment", stream_of(FULL) + body, chunked=chunked, k=3), 400, "malformed_body")
    assert "send one stream" in twice["detail"]


def test_bodies_that_are_no_mapping_and_rows(client: httpx.Client) -> None:
    query: dict[str, Any] = {"rollup": "household_id", "k": 3}
    for chunked in (False, True):
        alone = refused(post(client, "segment", stream_of(MAPPING), chunked=chunked, **query), 400, "truncated_body")
        assert "no transactions behind it" in alone["detail"]
        late = stream_of(FULL) + stream_of(MAPPING)
        refused(post(client, "segment", late, chunked=chunked, **query), 400, "malformed_body")
        refused(post(client, "segment", ahead(BARE) + stream_of(BARE), chunked=chunked, **query), 400, "malformed_body")
    refused(post(client, "segment", ahead(FULL), **query), 422, "conflicting_options")
    document = {"columns": {"customer_id": ["a"], "timestamp": ["2026-01-01"], "amount": [1]}}
    with_mapping = document | {"mapping": {"customer_id": ["a"], "household_id": ["h"]}}

    def sent(body: dict[str, Any], **options: Any) -> httpx.Response:
        return post(client, "segment", orjson.dumps(body), content_type=JSON, **options)

    assert sent(with_mapping, rollup="household_id", k=1).status_code == 200
    assert "say rollup=household_id" in refused(sent(with_mapping), 422, "conflicting_options")["detail"]
    refused(sent(with_mapping, rollup="home"), 422, "missing_column")
    refused(sent(document | {"mapping": [1]}, rollup="household_id"), 400, "malformed_body")
    text = "customer_id,timestamp,amount\na,2026-01-01,1\n"
    told = refused(post(client, "segment", text.encode(), content_type="text/csv", **query), 422, "missing_column")
    assert "as a mapping ahead of the data does where that is Arrow or JSON" in told["detail"]


def test_an_audience_is_of_members(client: httpx.Client, fitted: bytes) -> None:
    scored = rows_of(post(client, "score", FULL, inline=fitted, as_of=AS_OF))
    reply = post(client, "audience", FULL, inline=fitted, as_of=AS_OF, max=25, exclude=DEVICES[0])
    found = table_of(reply)
    assert found.num_rows == 25
    assert found["rank"].to_pylist() == list(range(1, 26))
    for row in found.drop_columns(["rank", "cost", "cumulative_cost"]).to_pylist():
        assert row == scored[row["customer_id"]]
    assert DEVICES[0] not in found["customer_id"].to_pylist()


def test_an_audience_goes_by_what_schemes_say_of_the_household(client: httpx.Client) -> None:
    schemes = {"schemes": "tiers,lifecycle", "as_of": AS_OF}
    reply = post(client, "segment", FULL, rollup="household_id", k=4, **schemes)
    model = orjson.dumps(orjson.loads(table_of(reply).schema.metadata[b"segserve.model"]))
    ideal = {member: row for member, row in rows_of(reply).items() if row["tiers"] == "ideal"}
    chosen = post(client, "audience", FULL, inline=model, tiers="ideal", **schemes)
    assert rows_of(chosen).keys() == ideal.keys()
    once = {row["household_id"]: row["lifecycle_expected_revenue"] for row in ideal.values()}
    assert summary_of(chosen)["audience"]["expected_revenue"] == pytest.approx(sum(once.values()))
    assert len(once) < len(ideal)
