"""What is published about the wire is what is served: openapi.json, README.md, /docs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import orjson
import pyarrow as pa
import pytest
from openapi_spec_validator import validate

from proto.describe import README, described
from proto.errors import ErrorCode
from proto.options import FitOptions, ScoreOptions, SegmentOptions, parse_options
from service.contract import PUBLISHED
from tests.wire.golden import FOLDER, Exchange, exchanges
from tests.wire.server import Server

DOCUMENT = orjson.loads(PUBLISHED.read_bytes())
ROOT = README.parent.parent


def test_the_published_document_is_the_served_one(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json() == DOCUMENT, "run make contract"


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


def test_every_route_is_in_the_document(client: httpx.Client) -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method in operations:
            status = client.request(method, path.replace("{name}", "none"), content=b"").status_code
            assert str(status) in operations[method]["responses"], (method, path, status)


@pytest.mark.parametrize("kind", [SegmentOptions, FitOptions, ScoreOptions])
def test_every_option_is_a_parameter_and_the_examples_are_accepted(kind: type[Any]) -> None:
    parameters = DOCUMENT["paths"][f"/v1/{kind.name}"]["post"]["parameters"]
    query = [parameter for parameter in parameters if parameter["in"] == "query"]
    assert [parameter["name"] for parameter in query] == list(kind.model_fields)
    examples = [(parameter["name"], text) for parameter in query for text in parameter["schema"].get("examples", [])]
    parse_options(kind, examples)


def test_the_examples_of_bodies_are_answered_as_described(client: httpx.Client) -> None:
    content = DOCUMENT["paths"]["/v1/segment"]["post"]["requestBody"]["content"]
    examples = content["application/json"]["examples"]
    bodies = [(orjson.dumps(example["value"]), "application/json") for example in examples.values()]
    bodies.append((content["text/csv"]["example"].encode(), "text/csv"))
    replies = []
    for body, kind in bodies:
        headers = {"Content-Type": kind, "Accept": "application/json"}
        reply = client.post("/v1/segment?k=2", content=body, headers=headers)
        assert reply.status_code == 200, reply.text
        replies.append(reply.json()["summary"]["counts"])
    assert replies == [replies[0]] * len(replies)


@pytest.mark.parametrize("exchange", exchanges(), ids=lambda exchange: exchange.name)
def test_golden_replies_fit_the_document(exchange: Exchange) -> None:
    responses = DOCUMENT["paths"][exchange.path]["post"]["responses"]
    schema = responses[str(exchange.status)]["content"][exchange.content_type]["schema"]
    reply = (FOLDER / exchange.reply).read_bytes()
    if exchange.reply.endswith(".json"):
        _check(orjson.loads(reply), schema)
        return
    assert schema["type"] == "string"
    if exchange.reply.endswith(".arrows"):
        metadata = pa.ipc.open_stream(reply).schema.metadata
        _check(orjson.loads(metadata[b"segserve.summary"]), {"$ref": "#/components/schemas/Summary"})


def _check(value: Any, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


# README.md


def test_the_tables_and_dumps_in_the_readme_have_not_drifted() -> None:
    assert README.read_text() == described(README.read_text()), "run make contract"


def test_the_readme_names_every_warning() -> None:
    code = "".join(path.read_text() for path in (ROOT / "service").glob("*.py"))
    warnings = set(re.findall(r'Notice\(\s*code="(\w+)"', code))
    assert len(warnings) > 5
    told = README.read_text().partition("Warnings, by code:")[2].partition("\n\n")[0]
    assert warnings <= set(re.findall(r"`(\w+)`", told))


def test_links_in_the_readme_lead_somewhere() -> None:
    text = README.read_text()
    anchors = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^## (.*)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target[1:] in anchors if target.startswith("#") else (README.parent / target).exists(), target


def _shell_blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", README.read_text(), re.M | re.S)


def test_the_commands_in_the_readme_run(server: Server, tmp_path: Path) -> None:
    assert shutil.which("curl"), "install curl: the commands of proto/README.md are run with it"
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    script = "set -euo pipefail\n" + "".join(_shell_blocks())
    environment = {**os.environ, "URL": server.url}
    run = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr.decode() + run.stdout.decode()
    out = run.stdout.decode()
    assert out.startswith("customer_id,recency_days,")
    assert '"00123",' in out
    assert '"segment":"Core high-value"' in out
    assert out.count('"status":"complete"') == 2
    assert pa.ipc.open_stream((tmp_path / "segments.arrows").read_bytes()).read_all().num_rows == 3


def test_the_documentation_page_shows_the_document(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "/openapi.json" in page.text


def test_error_codes_are_all_in_the_document() -> None:
    told = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert told == [str(code) for code in ErrorCode]
