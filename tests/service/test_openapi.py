"""The OpenAPI document: every option, every error and every schema it points at."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from proto.audience import AudienceOptions
from proto.errors import STATUS, ErrorCode
from proto.media import Media
from proto.options import FitOptions, ScoreOptions, SegmentOptions
from service.openapi import add_endpoints

KINDS = [SegmentOptions, FitOptions, ScoreOptions, AudienceOptions]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return add_endpoints({"openapi": "3.1.0", "info": {}, "paths": {"/healthz": {"get": {}}}})


def _operation(document: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    found = document["paths"][f"/v1/{kind.name}"]["post"]
    assert isinstance(found, dict)
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "$ref":
                yield part
            else:
                yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(_references(document))
    assert "#/components/schemas/Model" in found
    for reference in found:
        part: Any = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]


def test_it_is_json_and_keeps_what_was_there(document: dict[str, Any]) -> None:
    assert orjson.loads(orjson.dumps(document)) == document
    assert list(document["paths"]) == ["/healthz", "/v1/audience", "/v1/fit", "/v1/score", "/v1/segment"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_is_a_documented_parameter(document: dict[str, Any], kind: type[BaseModel]) -> None:
    parameters = {p["name"]: p for p in _operation(document, kind)["parameters"] if p["in"] == "query"}
    assert list(parameters) == list(kind.model_fields)
    for name, parameter in parameters.items():
        assert parameter["description"] == kind.model_fields[name].description
        choices = parameter["schema"].get("anyOf", [parameter["schema"]])
        assert all(choice["type"] in ("string", "integer", "number", "boolean") for choice in choices)
        default = kind.model_fields[name].default
        assert parameter["schema"].get("default") == (None if default in ({}, []) else default)


def test_choices_and_bounds_are_told(document: dict[str, Any]) -> None:
    for kind in KINDS:
        schemas = {p["name"]: p["schema"] for p in _operation(document, kind)["parameters"]}
        assert schemas["scaler"]["enum"] == ["zscore", "minmax", "robust", "none"]
        number = schemas["k"] if "anyOf" not in schemas["k"] else schemas["k"]["anyOf"][0]
        assert (number["minimum"], number["maximum"]) == (1, 256)
        assert (schemas["weights"]["type"], schemas["weights"]["description"]) == ("string", "name:number,…")
        assert schemas["columns"]["type"] == "string"
        assert schemas["window"] == {"type": "string", "description": "<days>d", "examples": ["365d"]}


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_told_under_its_status(document: dict[str, Any], kind: type[Any]) -> None:
    responses = _operation(document, kind)["responses"]
    for code in ErrorCode:
        response = responses[str(STATUS.get(code, 422))]
        assert f"{code.value}: " in response["description"]
        assert set(response["content"]) == {"application/problem+json"}
    assert document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == [c.value for c in ErrorCode]


def test_bodies_and_replies(document: dict[str, Any]) -> None:
    for kind in KINDS:
        operation = _operation(document, kind)
        assert operation["operationId"] == kind.name
        assert set(operation["requestBody"]["content"]) == {str(media) for media in Media}
        reply = set(operation["responses"]["200"]["content"])
        rows = {str(Media.ARROW), str(Media.JSON), str(Media.CSV)}
        assert reply == ({"application/json"} if kind is FitOptions else rows)
