"""Options and models that cannot be used: the answer names the option, what was found and what is wanted."""

from __future__ import annotations

import re
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pytest

from tests.wire.server import ARROW, Server, stream_of, table_of
from tests.wire.shop import model_of, post, refused, shop, transactions

AS_OF = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def fitted(client: httpx.Client) -> bytes:
    reply = post(client, "fit", shop(60, 300), k=3)
    assert reply.status_code == 200, reply.text
    return reply.content


@pytest.mark.parametrize("endpoint", ["segment", "fit", "score"])
def test_an_unknown_option_lists_the_known_ones(client: httpx.Client, endpoint: str) -> None:
    problem = refused(post(client, endpoint, transactions(), clusters=3), 422, "unknown_option")
    assert problem["option"] == "clusters"
    assert "columns" in problem["wanted"]


@pytest.mark.parametrize(("endpoint", "option"), [("fit", "fields"), ("fit", "lang"), ("score", "n_init")])
def test_an_option_of_another_endpoint_is_unknown_here(client: httpx.Client, endpoint: str, option: str) -> None:
    problem = refused(post(client, endpoint, transactions(), **{option: "1"}), 422, "unknown_option")
    assert problem["option"] == option


def test_a_repeated_option_shows_both_values(client: httpx.Client) -> None:
    reply = client.post("/v1/segment?k=3&k=4", content=stream_of(transactions()), headers={"Content-Type": ARROW})
    problem = refused(reply, 422, "repeated_option")
    assert problem["option"] == "k"
    assert problem["found"] == ["3", "4"]


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("k", "0", "greater than or equal to 1"),
        ("k", "257", "256"),
        ("k", "three", "integer"),
        ("k", "", "integer"),
        ("seed", "-1", "0"),
        ("seed", str(2**53), str(2**53 - 1)),
        ("n_init", "0", "1"),
        ("as_of", "yesterday", "2026-01-31"),
        ("as_of", "2026-02-30", "2026-01-31"),
        ("as_of", "2026-01-31T12:00:00", "offset"),
        ("tz", "Mars/Olympus", "IANA"),
        ("tz", "../etc/passwd", "IANA"),
        ("window", "1 year", "365d"),
        ("window", "0d", "365d"),
        ("occasion", "visit", "order"),
        ("refunds", "keep", "net"),
        ("nulls", "ignore", "drop"),
        ("monetary", "median", "mean"),
        ("whole_days", "perhaps", "boolean"),
        ("features", "frequency,frequency", "twice"),
        ("features", ",", "empty"),
        ("log", "spend", "features are"),
        ("log_unit", "euro", "plain"),
        ("scaler", "quantile", "zscore"),
        ("weights", "recency_days:1", "each of them"),
        ("weights", "recency_days:-1,frequency:1,monetary:1", "≥ 0"),
        ("weights", "recency_days:0,frequency:0,monetary:0", "0"),
        ("weights", "recency_days", "name:value"),
        ("class_cut", "max", "median"),
        ("fields", "customer_id,price", "customer_id"),
        ("fields", "", "leave the option out"),
        ("lang", "de", "zh"),
        ("input", "orders", "transactions"),
        ("columns", "client:customer_id", "service's name first"),
        ("columns", "customer_id", "name:value"),
    ],
)
def test_a_bad_value_names_option_found_and_wanted(client: httpx.Client, option: str, value: str, hint: str) -> None:
    problem = refused(post(client, "segment", transactions(), **{option: value}), 422, "bad_option")
    assert problem["option"] == option
    assert option in problem["detail"]
    assert hint in problem["detail"]


def test_features_that_transactions_cannot_give(client: httpx.Client) -> None:
    problem = refused(post(client, "segment", transactions(), features="frequency,returns"), 422, "bad_option")
    assert (problem["option"], problem["found"]) == ("features", "returns")
    assert "tenure_days" in problem["wanted"]


@pytest.mark.parametrize(
    ("options", "option", "named"),
    [
        ({"window": "365d"}, "as_of", "window"),
        ({"columns": "customer_id:amount"}, "columns", "amount"),
    ],
)
def test_options_that_contradict_each_other(
    client: httpx.Client, options: dict[str, str], option: str, named: str
) -> None:
    problem = refused(post(client, "segment", transactions(), **options), 422, "conflicting_options")
    assert problem["option"] == option
    assert named in problem["detail"]


def test_order_occasions_without_an_order_column(client: httpx.Client) -> None:
    problem = refused(post(client, "segment", transactions(), occasion="order"), 422, "missing_column")
    assert problem["column"] == "order_id"


# Models


def test_scoring_needs_a_model(client: httpx.Client) -> None:
    problem = refused(post(client, "score", transactions(), as_of=AS_OF), 422, "missing_model")
    assert "segserve.model" in problem["detail"]
    assert "?model=" in problem["detail"]


def test_scoring_transactions_needs_an_instant(client: httpx.Client, fitted: bytes) -> None:
    problem = refused(post(client, "score", shop(9, 20), inline=fitted), 422, "bad_option")
    assert problem["option"] == "as_of"
    problem = refused(post(client, "score", shop(9, 20), inline=fitted, as_of="max"), 422, "bad_option")
    assert problem["option"] == "as_of"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("tz", "Europe/Berlin"),
        ("window", "30d"),
        ("occasion", "day"),
        ("refunds", "drop"),
        ("monetary", "mean"),
        ("whole_days", "true"),
        ("features", "frequency,monetary"),
        ("log", "none"),
        ("log_unit", "plain"),
        ("scaler", "robust"),
        ("weights", "recency_days:2,frequency:1,monetary:1"),
        ("k", "5"),
        ("seed", "7"),
        ("class_cut", "median"),
    ],
)
def test_options_that_contradict_the_model(client: httpx.Client, fitted: bytes, option: str, value: str) -> None:
    reply = post(client, "score", shop(9, 20), inline=fitted, as_of=AS_OF, **{option: value})
    problem = refused(reply, 422, "conflicting_options")
    assert problem["option"] == option
    assert problem["detail"].startswith(f"{option}={value} contradicts the model")
    assert not {"None", "True", "[", "{"} & set(re.findall(r"\w+|\W", problem["detail"]))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("tz", "UTC"),
        ("occasion", "order"),
        ("features", "recency_days,frequency,monetary"),
        ("log", "monetary,frequency"),
        ("weights", "recency_days:2,frequency:2,monetary:2"),
        ("k", "3"),
        ("seed", "0"),
    ],
)
def test_options_that_repeat_the_model_are_welcome(
    client: httpx.Client, fitted: bytes, option: str, value: str
) -> None:
    reply = post(client, "score", shop(9, 20), inline=fitted, as_of=AS_OF, **{option: value})
    assert table_of(reply).num_rows == 9


def test_the_k_that_the_fit_lowered_is_no_contradiction(client: httpx.Client) -> None:
    rows = transactions([(f"c{i}", f"2026-01-0{1 + i % 3}", float(1 + i % 3)) for i in range(12)])
    model = orjson.dumps(model_of(post(client, "segment", rows, k=5)))
    for k in (3, 5):
        assert table_of(post(client, "score", rows, inline=model, as_of="2026-01-03", k=k)).num_rows == 12
    reply = post(client, "score", rows, inline=model, as_of="2026-01-03", k=4)
    assert refused(reply, 422, "conflicting_options")["found"] == 4


@pytest.mark.parametrize("endpoint", ["score", "segment", "fit"])
def test_an_unknown_model_lists_the_known_ones(client: httpx.Client, stocked: Server, endpoint: str) -> None:
    options = {"model" if endpoint == "score" else "init": "spring"}
    problem = refused(post(client, endpoint, transactions(), **options), 404, "unknown_model")
    assert problem["found"] == "spring"
    assert problem["wanted"] == []
    with httpx.Client(base_url=stocked.url) as other:
        problem = refused(post(other, endpoint, transactions(), **options), 404, "unknown_model")
        assert problem["wanted"] == ["people", "shop"]
        assert "shop" in problem["detail"]
        problem = refused(other.get("/v1/models/spring"), 404, "unknown_model")
        assert problem["wanted"] == ["people", "shop"]


def edited(model: bytes, **changes: Any) -> bytes:
    return orjson.dumps(orjson.loads(model) | changes)


CASES = [
    ({"scaler": "none"}, "model_altered"),
    ({"id": "0" * 64}, "model_altered"),
    ({"format_version": 2}, "model_version"),
    ({"format_version": None}, "model_version"),
]


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
@pytest.mark.parametrize(("changes", "code"), CASES)
def test_a_model_that_was_edited_or_is_of_another_version(
    client: httpx.Client, fitted: bytes, changes: dict[str, Any], code: str, chunked: bool
) -> None:
    reply = post(client, "score", shop(9, 20), inline=edited(fitted, **changes), as_of=AS_OF, chunked=chunked)
    problem = refused(reply, 422, code)
    assert "fit" in problem["detail"].lower()
    assert "wanted" in problem
    reply = post(client, "segment", shop(9, 20), inline=edited(fitted, **changes), init="inline", chunked=chunked)
    refused(reply, 422, code)


def test_one_digit_of_a_centroid_is_an_edit(client: httpx.Client, fitted: bytes) -> None:
    model = orjson.loads(fitted)
    model["segments"][0]["centroid"][0] += 1e-12
    refused(post(client, "score", shop(9, 20), inline=orjson.dumps(model), as_of=AS_OF), 422, "model_altered")


@pytest.mark.parametrize("model", [b"no json", b"[1, 2]", b'"text"'])
def test_a_model_that_is_none(client: httpx.Client, model: bytes) -> None:
    problem = refused(post(client, "score", shop(9, 20), inline=model, as_of=AS_OF), 422, "bad_model")
    assert "/v1/fit" in problem["detail"]


def test_two_models_at_once(stocked: Server, fitted: bytes) -> None:
    with httpx.Client(base_url=stocked.url) as other:
        reply = post(other, "score", shop(9, 20), inline=fitted, model="shop", as_of=AS_OF)
        problem = refused(reply, 422, "conflicting_options")
        assert problem["option"] == "model"


def test_a_model_of_a_customers_table_does_not_score_transactions(client: httpx.Client) -> None:
    table = pa.table({"customer_id": range(20), "visits": range(20)})
    model = orjson.dumps(model_of(post(client, "segment", table, features="visits", k=2)))
    reply = post(client, "score", shop(9, 20), inline=model, as_of=AS_OF, input="transactions")
    problem = refused(reply, 422, "conflicting_options")
    assert problem["option"] == "input"
    reply = post(client, "score", shop(9, 20), inline=model)
    assert refused(reply, 422, "missing_column")["column"] == "visits"


def test_starting_from_an_inline_model_that_is_not_there(client: httpx.Client) -> None:
    problem = refused(post(client, "segment", transactions(), init="inline"), 422, "missing_model")
    assert problem["option"] == "init"


def test_starting_from_a_model_of_other_features_or_another_k(client: httpx.Client, fitted: bytes) -> None:
    reply = post(client, "segment", shop(60, 300), inline=fitted, init="inline", features="frequency,monetary")
    assert refused(reply, 422, "conflicting_options")["option"] == "init"
    reply = post(client, "segment", shop(60, 300), inline=fitted, init="inline", k=4)
    assert refused(reply, 422, "conflicting_options")["option"] == "k"
