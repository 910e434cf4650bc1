"""The OpenAPI document: FastAPI's, and the entries of the bare endpoints, made from the models they parse with."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from proto.audience import AudienceOptions
from proto.bundle import Bundle
from proto.errors import STATUS, TITLES, ErrorCode, RequestError, problem
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
    "audience": (
        "Choose whom to contact",
        "Scores customers with a model and answers with those worth spending on, best first: by rules, consent and "
        "budget, with rank and cost.",
    ),
}

# Bodies

_ROWS = [
    {"customer_id": "00123", "timestamp": "2026-01-02T09:15:00Z", "amount": 80.0},
    {"customer_id": "00123", "timestamp": "2026-01-28T17:40:00Z", "amount": 120.0},
    {"customer_id": "A7", "timestamp": "2025-11-05T12:00:00Z", "amount": 15.5},
]
_COLUMNS = {name: [row[name] for row in _ROWS] for name in _ROWS[0]}
_CSV = "\n".join([",".join(_COLUMNS), *(",".join(map(str, row.values())) for row in _ROWS), ""])

_ARROW = {
    "type": "string",
    "contentMediaType": str(Media.ARROW),
    "description": "An Arrow IPC stream; a model rides in the schema metadata under segserve.model.",
}
_PARQUET = {
    "type": "string",
    "contentMediaType": str(Media.PARQUET),
    "description": "A Parquet file; a model rides in its key-value metadata under segserve.model.",
}
_TEXT = {"type": "string", "description": "UTF-8, comma, decimal point; the first line names the columns."}
_CELL = {"type": ["string", "number", "null"]}
_BY_COLUMN = {"type": "object", "additionalProperties": {"type": "array", "items": _CELL}}
_BY_ROW = {"type": "array", "items": {"type": "object", "additionalProperties": _CELL}}
_MODEL = {"anyOf": [{"$ref": "#/components/schemas/Model"}, {"$ref": "#/components/schemas/Bundle"}]}
_JSON_BODY = {
    "type": "object",
    "properties": {"columns": _BY_COLUMN, "rows": _BY_ROW, "mapping": _BY_COLUMN, "model": _MODEL},
    "oneOf": [{"required": ["columns"]}, {"required": ["rows"]}],
    "additionalProperties": False,
    "description": "columns or rows, not both; a model to score with, or with init=inline to start from.",
}
_JSON_REPLY = {
    "type": "object",
    "properties": {
        "columns": _BY_COLUMN,
        "rows": _BY_ROW,
        "summary": {"$ref": "#/components/schemas/Summary"},
        "model": _MODEL,
        "status": {"type": "string", "const": "complete", "description": "The last key: the reply is whole."},
    },
    "oneOf": [{"required": ["columns"]}, {"required": ["rows"]}],
    "required": ["summary", "status"],
    "additionalProperties": False,
}
_REPLIED_CSV = {"type": "string", "description": "Rows only: no model, no summary, no closing marker."}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. Where they apply: column, row (from 1), option, found, wanted, count, limit.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was found, what was wanted, what to do."},
        "code": {"type": "string", "enum": [str(code) for code in ErrorCode]},
        "request_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code"],
    "additionalProperties": True,
}
_REFUSED = problem(
    RequestError(
        ErrorCode.BAD_OPTION,
        "k=0 cannot be used: input should be greater than or equal to 1.",
        option="k",
        found="0",
        wanted="Input should be greater than or equal to 1",
    ),
    "4f1c2f0f6f0d4b5c9e5d0c9b8a7f6e5d",
)

# Headers and options

_REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "An id for logs and errors; comes back in the reply. Default: a new one.",
    "schema": {"type": "string", "maxLength": 128},
}
_ENCODING = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "description": "How the body is compressed.",
    "schema": {"type": "string", "enum": ["gzip", "zstd", "identity"]},
}
_ID_BACK = {"X-Request-ID": {"description": "The request's id.", "schema": {"type": "string"}}}
_TIMING = {"Server-Timing": {"description": "Milliseconds per stage.", "schema": {"type": "string"}}}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_CHALLENGE = {"WWW-Authenticate": {"description": "How to send a key.", "schema": {"type": "string"}}}
_HEADERS: dict[int, dict[str, Any]] = {401: _CHALLENGE, 429: _RETRY, 503: _RETRY}

# Keys

_SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer KEY."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key in another header."},
}
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}, {}]
"""The last: a service that was started without keys needs none."""

_EXAMPLES = {
    "columns": "customer_id:household_id,amount:sales_value",
    "as_of": "2026-01-31",
    "tz": "Europe/Berlin",
    "where": "screen_inches>=60 and region in (north,south)",
    "window": "365d",
    "features": "recency_days,frequency,monetary,tenure_days",
    "log": "frequency,monetary",
    "weights": "recency_days:0.2,frequency:0.3,monetary:0.5",
    "init": "inline",
    "fields": "customer_id,segment,value_percentile",
    "model": "spring",
    "schemes": "pareto,loyalty",
    "partition_by": "region",
    "budget": "500",
    "cost_per_contact": "0.35",
    "top": "10%",
    "segments": "0,1",
    "tiers": "ideal,good",
    "campaign": "spring sale",
    "holdout": "0.1",
}


def add_endpoints(document: dict[str, Any]) -> dict[str, Any]:
    """Adds the three endpoints and the schemas they speak of to FastAPI's document."""
    parts: list[tuple[type[BaseModel], Literal["serialization"]]] = [
        (kind, "serialization") for kind in (Model, Bundle, Summary)
    ]
    _, definitions = models_json_schema(parts, ref_template=_REF)
    document["components"] = {
        "schemas": {**definitions["$defs"], "Problem": _PROBLEM},
        "securitySchemes": _SECURITY_SCHEMES,
    }
    for kind in (SegmentOptions, FitOptions, ScoreOptions, AudienceOptions):
        document["paths"][f"/v1/{kind.name}"] = {"post": _operation(kind)}
    for path, (name, responses) in _OTHERS.items():
        if path in document["paths"]:
            document["paths"][path]["get"] |= {"operationId": name, "responses": responses}
            if "401" in responses:
                document["paths"][path]["get"]["security"] = _SECURITY
    document["paths"] = dict(sorted(document["paths"].items()))
    return document


_REF = "#/components/schemas/{model}"


def _operation(kind: type[SegmentOptions] | type[FitOptions] | type[ScoreOptions]) -> dict[str, Any]:
    title, description = _SUMMARIES[kind.name]
    replies = {
        str(Media.ARROW): {"schema": _ARROW},
        str(Media.JSON): {"schema": _JSON_REPLY},
        str(Media.CSV): {"schema": _REPLIED_CSV},
    }
    if kind is FitOptions:
        replies = {str(Media.JSON): {"schema": _MODEL}}
    examples = {"columns": {"value": {"columns": _COLUMNS}}, "rows": {"value": {"rows": _ROWS}}}
    return {
        "summary": title,
        "description": description,
        "operationId": kind.name,
        "security": _SECURITY,
        "tags": ["segmentation"],
        "parameters": [*_parameters(kind), _REQUEST_ID, _ENCODING],
        "requestBody": {
            "required": True,
            "description": "Transactions (customer_id, timestamp, amount, order_id) or a table with one row per "
            "customer. Columns, types and units: proto/README.md.",
            "content": {
                str(Media.ARROW): {"schema": _ARROW},
                str(Media.JSON): {"schema": _JSON_BODY, "examples": examples},
                str(Media.CSV): {"schema": _TEXT, "example": _CSV},
                str(Media.PARQUET): {"schema": _PARQUET},
            },
        },
        "responses": {
            "200": {
                "description": "The model." if kind is FitOptions else "One row per customer.",
                "headers": _ID_BACK | _TIMING,
                "content": replies,
            },
            **{status: {**told, "headers": _ID_BACK | told["headers"]} for status, told in _problems().items()},
        },
    }


def _parameters(kind: type[BaseModel]) -> list[dict[str, Any]]:
    """One query parameter per option, as text: the schema tells choices, bounds and the form of the text."""
    properties = kind.model_json_schema()["properties"]
    parameters = []
    for name, declared in properties.items():
        choices = [part for part in declared.get("anyOf", [declared]) if part.get("type") != "null"]
        schema = {k: v for k, v in choices[0].items() if k not in ("title", "description", "default", "format")}
        if len(choices) > 1:
            schema = {"anyOf": [{k: v for k, v in choice.items() if k != "title"} for choice in choices]}
        elif schema.get("type") in ("array", "object"):
            schema = {"type": "string", "description": declared.get("format", "name,…")}
        elif "format" in declared:
            schema = {"type": "string", "description": declared["format"]}
        if declared.get("default") not in (None, {}, []):
            schema["default"] = declared["default"]
        if name in _EXAMPLES:
            schema["examples"] = [_EXAMPLES[name]]
        parameters.append(
            {"name": name, "in": "query", "required": False, "description": declared["description"], "schema": schema}
        )
    return parameters


def _problems(*codes: ErrorCode) -> dict[str, Any]:
    """One entry per status, listing the codes that become it; all codes where none is named."""
    by_status: dict[int, list[ErrorCode]] = {}
    for code in codes or ErrorCode:
        by_status.setdefault(STATUS.get(code, 422), []).append(code)
    responses = {}
    for status, those in sorted(by_status.items()):
        content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
        if status == _REFUSED["status"]:
            content["example"] = _REFUSED
        responses[str(status)] = {
            "description": "; ".join(f"{code}: {TITLES[code]}" for code in those),
            "headers": _HEADERS.get(status, {}),
            "content": {"application/problem+json": content},
        }
    return responses


# What FastAPI cannot know of its own routes, which answer with bytes


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_STRING, _STRINGS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
_LISTED = _object(
    name=_STRING,
    id=_STRING,
    input={"type": "string", "enum": ["transactions", "customers"]},
    features=_STRINGS,
    segments=_STRINGS,
    customers={"type": "integer"},
    as_of={"type": ["string", "null"]},
)
_LISTED["properties"] |= {"partition_by": _STRING, "unit": _STRING, "groups": _STRINGS}  # of a bundle
_BOTH = _object(en=_STRING, zh=_STRING)
_FLAG = {"type": "boolean"}


def _list_of(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": _object(**properties)}


_SCHEME = _object(
    name=_STRING,
    title=_BOTH,
    question=_BOTH,
    formula=_STRING,
    columns=_list_of(name=_STRING, holds=_STRING, needed=_FLAG, what=_BOTH),
    any_of=_STRINGS,
    needs_as_of=_FLAG,
    customers_table={"type": ["array", "null"], "items": _STRING},
    parameters=_list_of(name=_STRING, default={"type": ["string", "null"]}, value=_STRING, what=_BOTH),
    classes=_list_of(code=_STRING, en=_STRING, zh=_STRING, action=_BOTH),
    output_columns=_list_of(name=_STRING, holds=_STRING, what=_BOTH),
)
_STATUS = {"type": "object", "properties": {"status": _STRING, "reason": _STRING}, "required": ["status"]}
_EXPOSITION = {"description": "Prometheus exposition format.", "content": {"text/plain": {"schema": _STRING}}}
_AT_THE_GATE = (ErrorCode.UNAUTHORIZED, ErrorCode.RATE_LIMITED, ErrorCode.SHUTTING_DOWN)
_OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "/healthz": ("healthz", {"200": _json("Alive.", _object(status={"type": "string", "const": "alive"}))}),
    "/readyz": (
        "readyz",
        {
            "200": _json("Ready.", _object(status={"type": "string", "const": "ready"})),
            "503": _json("Starting, draining before the end, or failed with a reason.", _STATUS),
        },
    ),
    "/metrics": ("metrics", {"200": _EXPOSITION, **_problems(ErrorCode.UNAUTHORIZED)}),
    "/v1/schemes": ("schemes", {"200": _json("The schemes.", _object(schemes={"type": "array", "items": _SCHEME}))}),
    "/v1/models": (
        "models",
        {"200": _json("The models.", _object(models={"type": "array", "items": _LISTED})), **_problems(*_AT_THE_GATE)},
    ),
    "/v1/models/{name}": (
        "model",
        {"200": _json("The model.", _MODEL), **_problems(ErrorCode.UNKNOWN_MODEL, *_AT_THE_GATE)},
    ),
}
