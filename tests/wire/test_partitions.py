"""`partition_by=` over the wire: segment, fit and score with a bundle, unseen groups, too many, and contradictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.wire.server import ARROW, running, stream_of, table_of
from tests.wire.shop import PEOPLE, SHOP, model_of, post, refused, rows_of, summary_of, transactions, warnings_of

REGIONS = ("north", "south", "east")
AS_OF = "2026-01-01"
OPTIONS = {"as_of": AS_OF, "k": 4, "partition_by": "region"}


def with_regions(table: pa.Table, *names: str | None) -> pa.Table:
    wanted = names or REGIONS
    return table.append_column("region", pa.array([wanted[i % len(wanted)] for i in range(table.num_rows)], pa.utf8()))


SALES = with_regions(SHOP)


@pytest.fixture(scope="module")
def bundle(client: httpx.Client) -> bytes:
    reply = post(client, "fit", SALES, **OPTIONS, unit="row")
    assert reply.status_code == 200, reply.text
    return reply.content


def plain(table: pa.Table) -> pa.Table:
    """Labels as texts."""
    kinds = [pa.utf8() if pa.types.is_dictionary(field.type) else field.type for field in table.schema]
    return table.replace_schema_metadata(None).cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_each_group_as_if_it_had_been_sent_alone(client: httpx.Client, chunked: bool) -> None:
    reply = post(client, "segment", SALES, **OPTIONS, unit="row", chunked=chunked)
    found, told = plain(table_of(reply)), summary_of(reply)["partition"]
    assert found.column_names[:2] == ["customer_id", "group"]
    assert (told["partition_by"], told["unit"], told["customers_without_group"]) == ("region", "row", 0)
    assert [one["group"] for one in told["groups"]] == list(REGIONS)
    model = model_of(reply)
    assert list(model["models"]) == list(REGIONS)
    assert summary_of(reply)["model_id"] == model["id"]
    for one in told["groups"]:
        rows = SALES.filter(pc.equal(SALES["region"], one["group"])).drop_columns("region")
        alone = post(client, "segment", rows, as_of=AS_OF, k=4)
        assert found.filter(pc.equal(found["group"], one["group"])).drop_columns("group").equals(plain(table_of(alone)))
        assert one["segments"] == summary_of(alone)["segments"]
        assert (one["customers"], one["k"], one["without_model"]) == (table_of(alone).num_rows, 4, None)


def test_fit_then_score_with_the_bundle(client: httpx.Client, bundle: bytes) -> None:
    fitted = plain(table_of(post(client, "segment", SALES, **OPTIONS, unit="row")))
    scored = post(client, "score", SALES, inline=bundle, as_of=AS_OF, partition_by="region", unit="row")
    assert plain(table_of(scored)).equals(fitted)
    assert summary_of(scored)["model_id"] == orjson.loads(bundle)["id"]
    one = SALES["customer_id"][0].as_py()
    alone = post(client, "score", SALES.filter(pc.equal(SALES["customer_id"], one)), inline=bundle, as_of=AS_OF)
    assert plain(table_of(alone)).equals(fitted.filter(pc.equal(fitted["customer_id"], one)))
    north = orjson.dumps(orjson.loads(bundle)["models"]["north"])
    rows = SALES.filter(pc.equal(SALES["region"], "north"))
    own = plain(table_of(post(client, "score", rows, inline=north, as_of=AS_OF)))
    assert own.equals(fitted.filter(pc.equal(fitted["group"], "north")).drop_columns("group"))


def test_groups_that_the_model_does_not_know(client: httpx.Client, bundle: bytes) -> None:
    rows = with_regions(SHOP, "north", "west", None)
    reply = post(client, "score", rows, inline=bundle, as_of=AS_OF)
    found, told = plain(table_of(reply)), summary_of(reply)["partition"]
    new = found.filter(pc.fill_null(pc.not_equal(found["group"], "north"), True))
    assert set(new["segment_id"].to_pylist()) == {-1}
    assert new["value_percentile"].null_count == new["segment"].null_count == new.num_rows
    assert new["frequency"].null_count == 0
    assert [(one["group"], one["without_model"]) for one in told["groups"]] == [("north", None), ("west", "unseen")]
    nobody = found.filter(pc.is_null(found["group"])).num_rows
    assert told["customers_without_group"] == nobody > 0
    warnings = warnings_of(reply)
    assert warnings["group_unseen"]["first_groups"] == ["west"]
    assert warnings["without_group"]["customers"] == nobody
    # The columns are the same where no group is known at all.
    alone = post(client, "score", with_regions(SHOP, "west"), inline=bundle, as_of=AS_OF)
    assert table_of(alone).column_names == found.column_names


def test_more_groups_than_a_thousand(client: httpx.Client) -> None:
    n = 1_001
    rows = [(f"c{i}", "2026-01-01T00:00:00", 1.0) for i in range(n)]
    table = transactions(rows, region=[f"r{i}" for i in range(n)])
    problem = refused(post(client, "segment", table, **OPTIONS), 422, "too_many_groups")
    assert (problem["found"], problem["wanted"], problem["column"]) == (1_001, 1_000, "region")
    assert "'r0', 'r1'" in problem["detail"]
    # Rows that are left out make no group.
    reply = post(client, "segment", table, **OPTIONS, where="region in (r7, r8, r9)")
    assert len(summary_of(reply)["partition"]["groups"]) == 3


SMALL = [
    ("ann", "2026-03-01T00:00:00", 100.0),
    ("ben", "2026-01-10T12:00:00", 20.0),
    ("ann", "2026-03-11T00:00:00", 50.0),
    ("cem", "2026-02-01T00:00:00", -10.0),
    ("ben", "2026-01-20T12:00:00", 5.0),
    ("dan", "2026-01-20T12:00:00", 5.0),
]
PLACES = ["north", "south", None, "east", "north", None]


def in_every_format() -> list[Any]:
    table = transactions(SMALL, region=PLACES)
    rows = [{**row, "timestamp": row["timestamp"].isoformat()} for row in table.to_pylist()]
    lines = ["customer_id,timestamp,amount,region"]
    lines += [f"{r['customer_id']},{r['timestamp']},{r['amount']},{r['region'] or ''}" for r in rows]
    return [
        (ARROW, stream_of(table, max_rows=2)),
        ("application/json", orjson.dumps({"rows": rows})),
        ("text/csv", "\n".join(lines).encode() + b"\n"),
    ]


@pytest.mark.parametrize(("media", "body"), in_every_format(), ids=["arrow", "json", "csv"])
def test_small_groups_in_every_format(client: httpx.Client, media: str, body: bytes) -> None:
    options = {"as_of": "2026-03-21", "partition_by": "region", "k": 3}
    reply = post(client, "segment", body, content_type=media, headers={"Accept": ARROW}, **options)
    rows, told = rows_of(reply), summary_of(reply)["partition"]
    assert {name: row["group"] for name, row in rows.items()} == {
        "ann": "north",
        "ben": "north",
        "cem": "east",
        "dan": None,
    }
    assert [(one["group"], one["customers"], one["k"], one["without_model"]) for one in told["groups"]] == [
        ("north", 2, 2, None),
        ("east", 1, 0, "no_purchase"),
    ]
    assert told["customers_without_group"] == 1
    assert model_of(reply)["not_fitted"] == {"east": 1}
    warnings = warnings_of(reply)
    assert warnings["group_k_lowered"] == {"groups": 1, "k": {"north": 2}}
    assert warnings["group_not_fitted"]["first_groups"] == ["east"]
    units = post(client, "segment", body, content_type=media, headers={"Accept": ARROW}, **options, unit="row")
    found = [(row["customer_id"], row["group"]) for row in table_of(units).to_pylist()]
    assert found == list(dict.fromkeys((name, place) for (name, _, _), place in zip(SMALL, PLACES, strict=True)))


def test_a_customers_table_and_the_model_folder(client: httpx.Client, tmp_path: Path) -> None:
    people = PEOPLE.append_column("store", pa.array([i % 2 for i in range(PEOPLE.num_rows)], pa.int8()))
    options = {"features": "visits,-returns", "k": 3, "partition_by": "store"}
    reply = post(client, "fit", people, **options)
    (tmp_path / "stores.json").write_bytes(reply.content)
    fitted = plain(table_of(post(client, "segment", people, **options)))
    with running(models=tmp_path) as service, service.client() as http:
        listed = http.get("/v1/models").json()["models"][0]
        assert (listed["partition_by"], listed["groups"], listed["customers"]) == ("store", ["0", "1"], 200)
        assert http.get("/v1/models/stores").content == reply.content
        for _ in range(3):  # a small request of a form that comes again is still no quick one
            assert plain(table_of(post(http, "score", people, model="stores"))).equals(fitted)
            few = people.slice(0, 3)
            assert plain(table_of(post(http, "score", few, model="stores"))).equals(fitted.slice(0, 3))
            inline = post(http, "score", few, inline=reply.content)
            assert plain(table_of(inline)).equals(fitted.slice(0, 3))
        renamed = people.rename_columns([*PEOPLE.column_names, "shop"])
        mapped = post(http, "score", renamed, model="stores", columns="store:shop")
        assert plain(table_of(mapped)).equals(fitted)
        refused(post(http, "audience", people, model="stores"), 422, "conflicting_options")


def test_what_contradicts_is_refused(client: httpx.Client, bundle: bytes) -> None:
    def conflict(endpoint: str, table: pa.Table, **options: Any) -> dict[str, Any]:
        return refused(post(client, endpoint, table, **options), 422, "conflicting_options")

    assert conflict("segment", SALES, unit="row")["option"] == "unit"
    assert conflict("score", SALES, inline=bundle, as_of=AS_OF, partition_by="city")["option"] == "partition_by"
    assert conflict("score", SALES, inline=bundle, as_of=AS_OF, unit="customer")["wanted"] == "row"
    model = post(client, "fit", SALES, as_of=AS_OF).content
    assert conflict("score", SALES, inline=model, as_of=AS_OF, partition_by="region")["option"] == "partition_by"
    assert conflict("segment", SALES, inline=model, init="inline", **OPTIONS)["option"] == "init"
    assert conflict("segment", SALES, inline=bundle, init="inline", as_of=AS_OF)["option"] == "init"
    other_unit = {"as_of": AS_OF, "partition_by": "region"}
    assert conflict("segment", SALES, inline=bundle, init="inline", **other_unit)["option"] == "init"
    people = PEOPLE.append_column("region", pa.array(["a"] * PEOPLE.num_rows))
    table = {"features": "visits", "partition_by": "region", "unit": "row"}
    assert conflict("segment", people, **table)["option"] == "unit"
    refused(post(client, "segment", SHOP, **OPTIONS), 422, "missing_column")
    floats = SHOP.append_column("region", SHOP["amount"])
    refused(post(client, "segment", floats, **OPTIONS), 422, "wrong_type")
    refused(post(client, "segment", SALES, **OPTIONS | {"k": 1_000 // 4, "strict_k": "true"}), 422, "too_few_points")
    altered = orjson.loads(bundle)
    altered["models"]["north"]["scaler"] = "none"
    refused(post(client, "score", SALES, inline=orjson.dumps(altered), as_of=AS_OF), 422, "model_altered")


def test_a_fit_that_starts_from_a_bundle_keeps_the_ids(client: httpx.Client, bundle: bytes) -> None:
    rows = with_regions(SHOP, *REGIONS, "west")
    options = {"as_of": AS_OF, "partition_by": "region", "unit": "row"}
    reply = post(client, "segment", rows, inline=bundle, init="inline", **options)
    groups = {one["group"]: one for one in summary_of(reply)["partition"]["groups"]}
    assert len(groups["north"]["crosstab"]) == 4
    assert groups["west"]["crosstab"] is None
    assert groups["west"]["k"] == 8
