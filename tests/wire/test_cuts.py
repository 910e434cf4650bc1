"""The same rows give the same bytes, however they are cut into batches and whatever the number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.wire.server import Server, running, stream_of, table_of
from tests.wire.shop import post, shop

ROWS = shop(250, 1_200)
OPTIONS = {
    "order": {"k": 6},
    "day": {"k": 6, "occasion": "day", "tz": "Asia/Shanghai"},
    "row": {"k": 3, "occasion": "row", "refunds": "drop", "scaler": "robust"},
}


@pytest.fixture(scope="module", params=[1, 2, 4], ids="{}-threads".format)
def threaded(request: pytest.FixtureRequest, server: Server) -> Iterator[Server]:
    if request.param == 2:  # the service of all tests has two
        yield server
        return
    with running(threads=request.param) as service:
        yield service


@pytest.fixture(scope="module")
def expected(client: httpx.Client) -> dict[str, bytes]:
    return {name: post(client, "segment", ROWS, **options).content for name, options in OPTIONS.items()}


@pytest.mark.parametrize("name", list(OPTIONS))
def test_cuts_and_threads_change_no_byte(threaded: Server, expected: dict[str, bytes], name: str) -> None:
    with httpx.Client(base_url=threaded.url, timeout=60) as client:
        for max_rows, chunked in ((1, True), (1_000, True), (1_000, False), (None, True)):
            body = stream_of(ROWS, max_rows=max_rows)
            reply = post(client, "segment", body, chunked=chunked, **OPTIONS[name])
            assert table_of(reply).num_rows > 200
            assert reply.content == expected[name], (max_rows, chunked)
