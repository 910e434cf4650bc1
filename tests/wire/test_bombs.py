"""Bombs: refused by name, within the memory that is allowed, and the service goes on."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest

from tests.wire.bombs import ARROW_BOMBS, ENCODED_BOMBS, JSON_BOMBS, PARQUET_BOMBS, TEXT_BOMBS, messages_that_grow
from tests.wire.server import ARROW, Server, table_of
from tests.wire.shop import post, refused

MOST_BYTES = 384 << 20
"""What a request may take: a message of 256 MiB, and what it is made from. The service itself needs some 350 MB."""

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
CASES = [
    *[(ARROW, name, *bomb) for name, bomb in ARROW_BOMBS.items()],
    *[(PARQUET, name, *bomb) for name, bomb in PARQUET_BOMBS.items()],
    *[(JSON, name, *bomb) for name, bomb in JSON_BOMBS.items()],
    *[(CSV, name, *bomb) for name, bomb in TEXT_BOMBS.items()],
]


@contextmanager
def within_memory(server: Server) -> Iterator[None]:
    """Fails where the process took more than MOST_BYTES within the block (Linux: the kernel keeps the peak)."""
    before = server.memory_bytes
    process = Path(f"/proc/{server.process.pid}")
    if sys.platform == "linux":
        (process / "clear_refs").write_text("5")  # the peak starts from here
    yield
    assert server.process.poll() is None, server.log[-3:]
    if sys.platform == "linux":
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        taken = (int(status["VmHWM"].split()[0]) << 10) - before
        assert taken < MOST_BYTES, f"{taken:,} bytes"


@pytest.mark.parametrize(("media", "name", "make", "status", "code"), CASES, ids=lambda v: v if type(v) is str else "")
def test_a_bomb_is_refused(
    server: Server,
    client: httpx.Client,
    media: str,
    name: str,
    make: Callable[[], bytes],
    status: int,
    code: str,
) -> None:
    body = make()
    # What is sent whole below 256 KiB, or in chunks, takes another way each.
    for chunked in (False, True):
        with within_memory(server):
            refused(post(client, "segment", body, content_type=media, chunked=chunked, nulls="drop"), status, code)


@pytest.mark.parametrize("media", [ARROW, PARQUET, JSON, CSV])
@pytest.mark.parametrize("name", ENCODED_BOMBS)
def test_an_encoded_bomb_is_refused(server: Server, client: httpx.Client, media: str, name: str) -> None:
    make, encoding = ENCODED_BOMBS[name]
    with within_memory(server):
        reply = post(client, "segment", make(), content_type=media, headers={"Content-Encoding": encoding})
        assert reply.status_code in (400, 413, 422), reply.text
        assert reply.json()["code"] in ("malformed_body", "limit_exceeded", "missing_column", "truncated_body")


def test_a_small_score_that_becomes_a_gigabyte_is_taken_piece_by_piece_and_not_on_the_event_loop(
    stocked: Server,
) -> None:
    body = messages_that_grow(30)
    assert len(body) < 100_000
    options = {"model": "shop", "as_of": "1970-01-02"}
    with httpx.Client(base_url=stocked.url, timeout=60) as client:
        for encoding in ("", "", "gzip"):  # the second might be known by the first
            with within_memory(stocked):
                sent = gzip.compress(body) if encoding else body
                headers = {"Content-Encoding": encoding} if encoding else {}
                reply = post(client, "score", sent, content_type=ARROW, headers=headers, **options)
            assert table_of(reply)["customer_id"].to_pylist() == [0]
            assert "queue;" in reply.headers["server-timing"]  # of a worker


@pytest.mark.parametrize("step", [1 << 40, (1 << 64) - (1 << 32), 0xF1DE83E19937733D], ids=hex)
def test_ids_that_a_plain_hash_would_put_into_one_bucket_are_counted_apart(client: httpx.Client, step: int) -> None:
    ids = np.arange(1, 20_001, dtype=np.uint64) * np.uint64(step)  # equal lowest bits, or the multiples of an inverse
    table = pa.table({"customer_id": ids, "visits": np.arange(20_000.0), "returns": np.arange(20_000.0) % 7})
    rows = table_of(post(client, "segment", table, k=2, n_init=1, features="visits,-returns"))
    assert rows["customer_id"].to_pylist() == ids.tolist()
