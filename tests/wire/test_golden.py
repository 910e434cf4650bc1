"""Every exchange in proto/golden, sent again over a socket: the reply is the same, byte for byte.

Nothing in these replies varies: ids of models are digests of them, and the request id of an error body is the one that
was sent. What does vary (Date, Server-Timing) is in headers.
"""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pyarrow as pa
import pytest

from tests.wire.golden import FOLDER, REQUEST_ID, Exchange, exchanges, replayed

REMEDY = "if that is meant: make contract"


def _content(body: bytes, content_type: str) -> Any:
    """The reply in a form whose differences can be read."""
    if content_type.endswith("json"):
        return orjson.loads(body)
    if content_type == "text/csv":
        return body.decode().splitlines()
    table = pa.ipc.open_stream(body).read_all()
    metadata = {key: orjson.loads(value) for key, value in (table.schema.metadata or {}).items()}
    return [str(table.schema.remove_metadata()), metadata, *table.to_pylist()]


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize("exchange", exchanges(), ids=lambda exchange: exchange.name)
def test_the_reply_is_the_golden_one(client: httpx.Client, exchange: Exchange, chunked: bool) -> None:
    reply = replayed(client, exchange, chunked=chunked)
    golden = (FOLDER / exchange.reply).read_bytes()
    assert reply.headers["x-request-id"] == REQUEST_ID
    assert (reply.status_code, reply.headers["content-type"]) == (exchange.status, exchange.content_type)
    assert _content(reply.content, exchange.content_type) == _content(golden, exchange.content_type), REMEDY
    assert reply.content == golden, REMEDY


def test_every_file_is_in_the_index() -> None:
    named = {file for exchange in exchanges() for file in (exchange.request, exchange.reply)}
    assert named == {path.name for path in FOLDER.iterdir()} - {"index.json", ".gitattributes"}


def test_whole_replies_say_so() -> None:
    for exchange in exchanges():
        body = (FOLDER / exchange.reply).read_bytes()
        if exchange.reply.endswith(".arrows"):
            with pa.ipc.open_stream(body) as reader:
                batches = []
                while True:
                    try:
                        batches.append(reader.read_next_batch_with_custom_metadata())
                    except StopIteration:
                        break
            last = batches[-1]
            summary = orjson.loads(reader.schema.metadata[b"segserve.summary"])
            assert last.batch.num_rows == 0
            assert dict(last.custom_metadata) == {
                b"status": b"complete",
                b"rows_in": str(summary["counts"]["rows_in"]).encode(),
                b"customers_out": str(summary["counts"]["customers_out"]).encode(),
            }
            assert sum(batch.batch.num_rows for batch in batches) == summary["counts"]["customers_out"]
        elif exchange.status == 200 and exchange.path != "/v1/fit" and exchange.reply.endswith(".json"):
            assert body.endswith(b'"status":"complete"}')
