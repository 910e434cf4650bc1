"""Small tables to post, and what the wire tests ask of every reply and of every refusal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import numpy as np
import orjson
import pyarrow as pa

from tests.wire.server import ARROW, stream_of, table_of

UTC_US = pa.timestamp("us", "UTC")

# Nine rows whose every figure can be worked out by hand; as_of=max is 2026-03-21T00:00:00Z.
ROWS = [
    ("ann", "2026-03-01T00:00:00", 100.0),
    ("ben", "2026-01-10T12:00:00", 20.0),
    ("ann", "2026-03-11T00:00:00", 50.0),
    ("cem", "2026-02-01T00:00:00", 10.0),
    ("ann", "2026-03-11T00:00:00", 25.5),  # a second line of the same receipt
    ("ben", "2026-01-20T12:00:00", -5.0),  # a refund: neither an occasion nor a purchase date
    ("dee", "2026-02-20T00:00:00", -30.0),  # nothing but a refund
    ("cem", "2026-03-21T00:00:00", 0.0),  # a zero amount is a purchase
]

JARGON = re.compile(r"Traceback|Arrow[A-Z]|Exception|pydantic|numpy|NoneType|numba|0x[0-9a-f]{4}|assert|\.py\b|\n")


def transactions(
    rows: Sequence[tuple[Any, str, Any]] = ROWS,
    ids: pa.DataType | None = None,
    times: pa.DataType = UTC_US,
    amounts: pa.DataType | None = None,
    **more: Sequence[Any],
) -> pa.Table:
    """Rows of (customer, time without an offset meaning UTC, amount) as a table; further columns by name."""
    instants = pa.array([row[1] for row in rows], pa.string()).cast(pa.timestamp("us"))
    columns = {
        "customer_id": pa.array([row[0] for row in rows], ids or pa.string()),
        "timestamp": instants.cast(times),
        "amount": pa.array([row[2] for row in rows], amounts or pa.float64()),
    }
    return pa.table(columns | {name: pa.array(values) for name, values in more.items()})


def shop(n_customers: int, n_rows: int, seed: int = 1, scale: float = 1.0) -> pa.Table:
    """A made-up year of a shop: skewed frequencies and amounts, a few refunds, an order of one to three lines."""
    random = np.random.default_rng(seed)
    customers = np.concatenate([np.arange(n_customers), (n_customers * random.beta(1, 3, n_rows - n_customers))])
    orders = np.sort(random.integers(0, max(1, n_rows // 2), n_rows))
    seconds = 1_735_689_600 + random.integers(0, 365 * 86_400, n_rows)
    amounts = np.round(random.lognormal(3, 1, n_rows) * scale, 2) * np.where(random.random(n_rows) < 0.03, -1, 1)
    return pa.table(
        {
            "customer_id": pa.array([f"C{int(c):06d}" for c in customers]),
            "timestamp": pa.array(seconds * 1_000_000, pa.int64()).cast(UTC_US),
            "amount": pa.array(amounts),
            "order_id": pa.array(orders),
        }
    )


SHOP = shop(400, 2_500)
PEOPLE = pa.table(
    {
        "customer_id": pa.array(range(1_000, 1_200), pa.int32()),
        "visits": pa.array([(7 * i) % 41 for i in range(200)], pa.int16()),
        "returns": pa.array([((3 * i) % 11) / 10 for i in range(200)], pa.float32()),
    }
)


def pieces(body: bytes, size: int = 4096) -> Iterator[bytes]:
    """The body in pieces: httpx then sends it chunked, without a length, and the service takes it as it comes."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


def post(
    client: httpx.Client,
    endpoint: str,
    body: pa.Table | bytes,
    *,
    content_type: str | None = ARROW,
    headers: dict[str, str] | None = None,
    inline: bytes | None = None,
    chunked: bool = False,
    **options: Any,
) -> httpx.Response:
    """Posts a table (as Arrow, with an inline model in its metadata where one is given) or bytes."""
    if isinstance(body, pa.Table):
        body = stream_of(body, None if inline is None else {b"segserve.model": inline})
    return client.post(
        f"/v1/{endpoint}",
        content=pieces(body) if chunked else body,
        params=options,
        headers={} if content_type is None else {"Content-Type": content_type, **(headers or {})},
    )


def refused(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in the reply, once all that holds for every refusal has been seen."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = reply.json()
    assert problem["status"] == status
    assert problem["code"] == code, problem
    assert problem["type"] == f"urn:segserve:error:{code}"
    assert problem["title"]
    detail = problem["detail"]
    assert detail.endswith((".", "?")), detail
    first = detail.split()[0]
    assert not first[0].islower() or "=" in first, detail  # a sentence, or the option as it was sent
    assert len(detail) < 1200, detail
    assert not JARGON.search(detail), detail
    assert len(detail.split()) >= 5, detail
    return problem


def model_of(reply: httpx.Response) -> dict[str, Any]:
    """The model in an Arrow reply."""
    return orjson.loads(table_of(reply).schema.metadata[b"segserve.model"])


def summary_of(reply: httpx.Response) -> dict[str, Any]:
    """The summary in an Arrow reply."""
    return orjson.loads(table_of(reply).schema.metadata[b"segserve.summary"])


def warnings_of(reply: httpx.Response) -> dict[str, dict[str, Any]]:
    """The warnings of an Arrow reply: their facts by code."""
    return {warning["code"]: warning["facts"] for warning in summary_of(reply)["warnings"]}


def rows_of(reply: httpx.Response) -> dict[Any, dict[str, Any]]:
    """The rows of an Arrow reply by customer."""
    return {row["customer_id"]: row for row in table_of(reply).to_pylist()}


def marker_of(body: bytes) -> dict[bytes, bytes] | None:
    """The custom metadata of the closing batch, None where there is none."""
    with pa.ipc.open_stream(body) as stream:
        found = None
        while True:
            try:
                batch, metadata = stream.read_next_batch_with_custom_metadata()
            except StopIteration:
                return found
            found = dict(metadata) if metadata is not None and batch.num_rows == 0 else None
