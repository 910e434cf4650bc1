"""Models that were made to break the service: deep, huge, cut, of wrong lengths, under ids that fit them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from loadtests.fuzz.seeds import sealed
from tests.wire.server import Server
from tests.wire.shop import PEOPLE, post, refused

Change = Callable[[dict[str, Any]], object]

DEPTH = 900  # what orjson reads; Python's own recursion ends at 1,000


def _deep(model: dict[str, Any]) -> None:
    inner: Any = 1
    for _ in range(DEPTH):
        inner = [inner]
    model["fitted_on"]["options"]["k"] = inner


CHANGES: dict[str, Change] = {
    "900 lists deep": _deep,
    "a centre of 1e308": lambda m: m["features"][0].update(centre=1e308, spread=5e-324),
    "a spread of 0 and a weight of 1": lambda m: m["features"][0].update(spread=0.0, weight=1.0),
    "a negative spread": lambda m: m["features"][0].update(spread=-1.0),
    "a null centre": lambda m: m["features"][0].update(centre=None),
    "a number of 400 digits": lambda m: m["fitted_on"].update(customers=10**400),
    "a quantile too few": lambda m: m["score_quantiles"].pop(),
    "quantiles that descend": lambda m: m["score_quantiles"].reverse(),
    "a null quantile": lambda m: m["score_quantiles"].__setitem__(5, None),
    "a coordinate too few": lambda m: m["segments"][0]["centroid"].pop(),
    "centroids of 1e308": lambda m: [s.update(centroid=[1e308, -1e308]) for s in m["segments"]],
    "no segments": lambda m: m["segments"].clear(),
    "10,000 segments": lambda m: m["segments"].extend(m["segments"][:1] * 10_000),
    "one segment twice": lambda m: m["segments"].append(m["segments"][0]),
    "10,000 features": lambda m: m["features"].extend(m["features"][:1] * 10_000),
    "a name of 200 letters": lambda m: m["features"][0].update(name="x" * 200),
    "a text where a list is": lambda m: m.update(segments="none"),
    "a size below 0": lambda m: m["segments"][0].update(size=-(2**63), share=-1.0),
    "a scheme that there is not": lambda m: m.update(schemes={"x" * 1000: {"parameters": {}, "frozen": {}}}),
    "means without end": lambda m: m["segments"][0].update(means={str(i): 0.0 for i in range(50_000)}),
}


@pytest.fixture(scope="module")
def caller(stocked: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stocked.url, timeout=60) as client:
        yield client


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_hostile_model_is_refused_or_scored_with_and_never_fails(
    stocked: Server, caller: httpx.Client, models: Path, change: Change
) -> None:
    model = orjson.loads((models / "people.json").read_bytes())
    change(model)
    text = json.dumps(sealed(model)).encode()
    body = b'{"rows":[{"customer_id":"a","visits":3,"returns":0.5}],"model":' + text + b"}"
    replies = [
        post(caller, "score", PEOPLE, inline=text),
        post(caller, "score", PEOPLE, inline=text, chunked=True),
        post(caller, "score", body, content_type="application/json"),
        post(caller, "segment", PEOPLE, inline=text, init="inline", features="visits,-returns"),
    ]
    for reply in replies:
        if reply.status_code != 200:  # numbers far from any customer are no error
            assert reply.json()["status"] in (400, 413, 422)
            refused(reply, reply.status_code, reply.json()["code"])
    assert not [entry for entry in stocked.log if entry.get("level", "error") == "error"]


@pytest.mark.parametrize("text", [b"NaN", b"-Infinity", b"1e999", b'"\\ud800"', b"[" * 100_000, b"{"])
def test_what_is_no_json_in_a_model_is_no_model(caller: httpx.Client, models: Path, text: bytes) -> None:
    model = (models / "people.json").read_bytes()
    head, centre, tail = model.partition(b'"centre":')
    assert centre
    bad = head + centre + text + tail[tail.index(b",") :]
    refused(post(caller, "score", PEOPLE, inline=bad), 422, "bad_model")
