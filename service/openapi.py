"""The OpenAPI entries of the bare endpoints, made from the option models they parse with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from proto.errors import STATUS, TITLES, ErrorCode
from proto.media import Media
from proto.model import Model
from proto.options import FitOptions, ScoreOptions, SegmentOptions
from proto.summary import Summary

__all__ = ["add_endpoints"]

_SUMMARIES = {
    "segment": (
        "Segment customers",
        "Fits a model on the data and answers with one row per customer; model and summary ride in the schema "
        "metadata (Arrow) or beside the rows (JSON).",
    ),
    "fit": ("Fit a model", "Fits a model on the data and answers with the model."),
    "score": (
        "Score customers with a model",
        "Gives each customer the segment and the value score that the model says, alone or among millions.",
    ),
}

_ANY = {"description": "See proto/README.md for the columns."}
_ARROW = {"type": "string", "format": "binary", "description": "An Arrow IPC stream."}
_JSON_BODY = {
    "type": "object",
    "properties": {
        "columns": {"type": "object", "additionalProperties": {"type": "array", "items": {}}},
        "rows": {"type": "array", "items": {"type": "object"}},
        "model": {"$ref": "#/components/schemas/Model"},
    },
    "description": "columns or rows, not both; a model to score with, or with init=inline to start from.",
}
_JSON_REPLY = {
    "type": "object",
    "properties": {
        "columns": {"type": "object", "additionalProperties": {"type": "array", "items": {}}},
        "rows": {"type": "array", "items": {"type": "object"}},
        "summary": {"$ref": "#/components/schemas/Summary"},
        "model": {"$ref": "#/components/schemas/Model"},
        "status": {"type": "string", "const": "complete"},
        "rows_in": {"type": "integer"},
        "customers_out": {"type": "integer"},
    },
    "required": ["summary", "status"],
}
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": [str(code) for code in ErrorCode]},
        "request_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code"],
    "additionalProperties": True,
}


def add_endpoints(document: dict[str, Any]) -> dict[str, Any]:
    """Adds the three endpoints and the schemas they speak of to FastAPI's document."""
    _, definitions = models_json_schema([(Model, "serialization"), (Summary, "serialization")], ref_template=_REF)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    schemas["Problem"] = _PROBLEM
    for kind in (SegmentOptions, FitOptions, ScoreOptions):
        document["paths"][f"/v1/{kind.name}"] = {"post": _operation(kind)}
    document["paths"] = dict(sorted(document["paths"].items()))
    return document


_REF = "#/components/schemas/{model}"


def _operation(kind: type[SegmentOptions] | type[FitOptions] | type[ScoreOptions]) -> dict[str, Any]:
    title, description = _SUMMARIES[kind.name]
    model = {"application/json": {"schema": {"$ref": "#/components/schemas/Model"}}}
    rows = {
        str(Media.ARROW): {"schema": _ARROW},
        str(Media.JSON): {"schema": _JSON_REPLY},
        str(Media.CSV): {"schema": {"type": "string"}},
    }
    return {
        "summary": title,
        "description": description,
        "operationId": kind.name,
        "parameters": _parameters(kind),
        "requestBody": {
            "required": True,
            "content": {
                str(Media.ARROW): {"schema": _ARROW},
                str(Media.JSON): {"schema": _JSON_BODY},
                str(Media.CSV): {"schema": {"type": "string"}},
                str(Media.PARQUET): {"schema": {"type": "string", "format": "binary"}},
            },
        },
        "responses": {
            "200": {"description": "Done.", "content": model if kind is FitOptions else rows},
            **_problems(),
        },
    }


def _parameters(kind: type[BaseModel]) -> list[dict[str, Any]]:
    """One query parameter per option, as text: the schema tells choices, bounds and the form of the text."""
    properties = kind.model_json_schema()["properties"]
    parameters = []
    for name, declared in properties.items():
        choices = [part for part in declared.get("anyOf", [declared]) if part.get("type") != "null"]
        schema = {k: v for k, v in choices[0].items() if k not in ("title", "description", "default", "format")}
        if schema.get("type") in ("array", "object"):
            schema = {"type": "string", "description": declared.get("format", "name,…")}
        elif "format" in declared:
            schema = {"type": "string", "description": declared["format"]}
        if declared.get("default") not in (None, {}, []):
            schema["default"] = declared["default"]
        parameters.append(
            {"name": name, "in": "query", "required": False, "description": declared["description"], "schema": schema}
        )
    return parameters


def _problems() -> dict[str, Any]:
    """One entry per status, listing the codes that become it."""
    by_status: dict[int, list[ErrorCode]] = {}
    for code in ErrorCode:
        by_status.setdefault(STATUS.get(code, 422), []).append(code)
    return {
        str(status): {
            "description": "; ".join(f"{code}: {TITLES[code]}" for code in codes),
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, codes in sorted(by_status.items())
    }
