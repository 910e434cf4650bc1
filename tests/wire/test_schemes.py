"""`schemes=` over the wire: columns, summary and model in every format, what is refused, and the catalogue."""

from __future__ import annotations

import httpx
import orjson
import pyarrow as pa
import pytest

from tests.wire.shop import PEOPLE, SHOP, model_of, post, refused, summary_of, table_of

ASKED = {"schemes": "pareto,growth", "growth.window": "30d", "as_of": "2026-06-30", "k": 3}
OWN = ["pareto", "growth", "growth_ratio", "growth_recent", "growth_earlier"]


def test_the_catalogue_is_enough_to_choose(client: httpx.Client) -> None:
    schemes = {scheme["name"]: scheme for scheme in client.get("/v1/schemes").json()["schemes"]}
    assert {"pareto", "lifecycle", "loyalty", "growth", "retention", "season"} <= set(schemes)
    growth = schemes["growth"]
    assert growth["needs_as_of"]
    assert growth["classes"][0]["action"]["en"]
    assert growth["parameters"][0] | {"what": ""} == {
        "name": "growth.window",
        "default": "90d",
        "value": "a number of days followed by d, such as 90d, at least 1, at most 36500",
        "what": "",
    }
    assert [column["name"] for column in growth["output_columns"]] == OWN[1:]


def test_a_fit_keeps_the_cuts_and_a_score_uses_them(client: httpx.Client) -> None:
    reply = post(client, "segment", SHOP, **ASKED)
    whole, model, summary = table_of(reply), model_of(reply), summary_of(reply)
    assert whole.column_names[-len(OWN) :] == OWN
    assert set(model["schemes"]) == set(summary["schemes"]) == {"pareto", "growth"}
    assert model["schemes"]["growth"]["parameters"]["window"] == 30.0
    assert summary["schemes"]["growth"]["parameters"] == model["schemes"]["growth"]["parameters"]
    assert "schemes" not in model["fitted_on"]["options"]
    inline = orjson.dumps(model)
    for customer in whole["customer_id"].to_pylist()[:3]:
        alone = SHOP.filter(pa.compute.equal(SHOP["customer_id"], customer))
        reply = post(client, "score", alone, inline=inline, schemes="growth,pareto", as_of="2026-06-30")
        found = table_of(reply).to_pylist()
        mine = next(row for row in whole.to_pylist() if row["customer_id"] == customer)
        assert [found[0][name] for name in sorted(OWN)] == [mine[name] for name in sorted(OWN)]


def test_without_schemes_nothing_of_them_is_there(client: httpx.Client) -> None:
    reply = post(client, "segment", SHOP, k=3)
    assert "schemes" not in model_of(reply)
    assert "schemes" not in summary_of(reply)


def test_json_and_csv_bring_their_columns(client: httpx.Client) -> None:
    rows = [
        {"customer_id": "a", "timestamp": "2026-01-05", "amount": 80.0, "cost": 50.0},
        {"customer_id": "b", "timestamp": "2026-01-06", "amount": 20.0, "cost": None},
    ]
    query = {"schemes": "pareto", "k": 1, "lang": "zh"}
    reply = client.post("/v1/segment", params=query, json={"rows": rows}).json()
    assert [(row["pareto"], row["pareto_profit"]) for row in reply["rows"]] == [
        ("A类: 主要收入来源", 30.0),
        ("B类: 重要补充", None),
    ]
    assert reply["summary"]["schemes"]["pareto"]["missing_values"] == {"cost": 1}
    text = "customer_id,timestamp,amount,unit\na,2026-01-05,80,50\nb,2026-01-06,20,\n"
    csv = {"Content-Type": "text/csv", "Accept": "text/csv"}
    told = client.post("/v1/segment", params=query | {"columns": "cost:unit"}, content=text, headers=csv)
    assert told.text.splitlines()[1].endswith(',"A类: 主要收入来源",30')


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"schemes": "paretto"}, "bad_option", "pareto"),
        ({"schemes": "growth", "growth.windw": "9d", "as_of": "2026-06-30"}, "unknown_option", "growth.window"),
        ({"schemes": "growth", "growth.window": "9", "as_of": "2026-06-30"}, "bad_option", "90d"),
        ({"schemes": "growth"}, "conflicting_options", "as_of"),
        ({"growth.window": "9d"}, "conflicting_options", "schemes=growth"),
        ({"schemes": "pareto,pareto"}, "bad_option", "twice"),
    ],
)
def test_what_cannot_be_asked_is_refused(client: httpx.Client, options: dict[str, str], code: str, says: str) -> None:
    problem = refused(post(client, "segment", SHOP, **options), 422, code)
    assert says in problem["detail"]


def test_a_scheme_that_the_model_lacks_is_refused(client: httpx.Client) -> None:
    model = post(client, "fit", SHOP, **ASKED).content
    scored = {"inline": model, "as_of": "2026-06-30"}
    problem = refused(post(client, "score", SHOP, schemes="loyalty", **scored), 422, "conflicting_options")
    assert "Fit again with schemes=pareto,growth,loyalty" in problem["detail"]
    other = {"schemes": "growth", "growth.window": "60d"} | scored
    problem = refused(post(client, "score", SHOP, **other), 422, "conflicting_options")
    assert "growth.window=60d contradicts the model" in problem["detail"]


def test_a_customers_table_is_told_what_it_misses(client: httpx.Client) -> None:
    problem = refused(
        post(client, "segment", PEOPLE, features="visits,-returns", schemes="growth", as_of="2026-06-30"),
        422,
        "conflicting_options",
    )
    assert "Send transactions" in problem["detail"]
    problem = refused(post(client, "segment", PEOPLE, features="visits", schemes="pareto"), 422, "missing_column")
    assert "monetary" in problem["detail"]
