"""`ahp=` and `k=auto` over the wire: weights and ratio in the model, the search in the summary."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from tests.wire.shop import PEOPLE, SHOP, model_of, post, refused, summary_of, table_of


def scores_of(reply: httpx.Response) -> list[float]:
    return [score for score in table_of(reply)["value_score"].to_pylist() if score is not None]


def test_comparisons_become_weights(client: httpx.Client) -> None:
    reply = post(client, "segment", SHOP, k=4, ahp="telecom")
    model, summary = model_of(reply), summary_of(reply)
    assert [round(f["weight"], 3) for f in model["features"]] == [0.221, 0.340, 0.439]
    assert model["fitted_on"]["options"]["ahp"] == "telecom"
    assert summary["ahp"] == model["fitted_on"]["ahp"]
    assert summary["ahp"]["matrix"][2] == [2.18, 1.18, 1]
    assert 0 < summary["ahp"]["consistency_ratio"] < 0.01
    weights = ",".join(f"{f['name']}:{f['weight']!r}" for f in model["features"])
    same = post(client, "segment", SHOP, k=4, weights=weights)
    assert np.allclose(scores_of(reply), scores_of(same))
    assert "ahp" not in summary_of(same)
    reply = post(client, "fit", PEOPLE, k=4, features="visits,-returns", ahp="1,3;1/3,1")
    assert [f["weight"] for f in reply.json()["features"]] == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize(
    ("options", "code", "option"),
    [
        ({"ahp": "1,2;2,1"}, "bad_option", "ahp"),
        ({"ahp": "1,2;1/2,1"}, "conflicting_options", "ahp"),
        ({"ahp": "1,2,1/9;1/2,1,2;9,1/2,1"}, "bad_option", "ahp"),
        ({"ahp": "telecom", "weights": "recency_days:1,frequency:1,monetary:1"}, "conflicting_options", "ahp"),
        ({"k": "5", "k_by": "silhouette"}, "conflicting_options", "k_by"),
        ({"k": "many"}, "bad_option", "k"),
    ],
)
def test_what_is_refused(client: httpx.Client, options: dict[str, str], code: str, option: str) -> None:
    assert refused(post(client, "segment", SHOP, **options), 422, code)["option"] == option


@pytest.mark.parametrize("index", ["silhouette", "davies_bouldin"])
def test_the_number_of_segments_is_found(client: httpx.Client, index: str) -> None:
    reply = post(client, "segment", SHOP, k="auto", k_by=index, n_init=3)
    search, model = summary_of(reply)["k_search"], model_of(reply)
    assert search["by"] == index
    assert search["customers"] == model["fitted_on"]["customers"]
    assert len(model["segments"]) == search["k"] == model["fitted_on"]["k_requested"]
    assert [c["k"] for c in search["candidates"]] == list(range(4, 13))
    fit = [c for c in search["candidates"] if c["smallest_share"] >= 0.01]
    best = (min if index == "davies_bouldin" else max)(c["score"] for c in fit)
    assert best == next(c["score"] for c in fit if c["k"] == search["k"])
    assert min(s["share"] for s in model["segments"]) >= 0.01
    shuffled = SHOP.take(np.random.default_rng(1).permutation(SHOP.num_rows))
    assert summary_of(post(client, "segment", shuffled, k="auto", k_by=index, n_init=3))["k_search"]["k"] == search["k"]
    fixed = post(client, "segment", SHOP, k=search["k"], n_init=3)
    assert table_of(fixed).equals(table_of(reply))


def test_few_customers(client: httpx.Client) -> None:
    reply = post(client, "segment", PEOPLE.slice(0, 3), k="auto", features="visits")
    assert len(model_of(reply)["segments"]) == 3
    assert [w["code"] for w in summary_of(reply)["warnings"]] == ["k_lowered"]
    refused(
        post(client, "segment", PEOPLE.slice(0, 3), k="auto", features="visits", strict_k="true"), 422, "too_few_points"
    )
