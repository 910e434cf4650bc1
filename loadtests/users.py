"""What the users send: an ad platform's scores, a CRM's look-ups, a data team's uploads; and models to score by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import orjson
import pyarrow as pa

from loadtests.datasets import FOLDER
from loadtests.generate import transactions

__all__ = ["ARROW", "JSON", "Request", "ad_platform", "analyst", "arrow_stream", "crm", "fit_models", "upload_file"]

ARROW, JSON = "application/vnd.apache.arrow.stream", "application/json"
AS_OF = "2025-01-01T00:00:00Z"
FEATURES = ("recency_days", "frequency", "monetary")


class Request(NamedTuple):
    """One request: where it goes and what it says."""

    name: str
    path: str
    content_type: str
    body: bytes


def arrow_stream(schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> bytes:
    """An Arrow IPC stream of them."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _customers(n: int, seed: int = 7) -> pa.RecordBatch:
    random = np.random.default_rng(seed)
    return pa.record_batch(
        {
            "customer_id": pa.array(np.arange(n)),
            "recency_days": pa.array(random.exponential(90.0, n)),
            "frequency": pa.array(random.geometric(0.1, n).astype(np.float64)),
            "monetary": pa.array(random.lognormal(5.0, 1.2, n)),
        }
    )


def _transactions(n_rows: int, n_customers: int, seed: int = 7) -> bytes:
    schema, batches = transactions(n_rows, n_customers, seed=seed)
    return arrow_stream(schema, list(batches))


def ad_platform(n: int = 100) -> Request:
    """An auction's customers, aggregated elsewhere, scored with a named model; Arrow."""
    batch = _customers(n)
    return Request("ad platform", "/v1/score?model=customers", ARROW, arrow_stream(batch.schema, [batch]))


def crm(n_rows: int = 20) -> Request:
    """One customer's receipts, scored while somebody looks at the customer's card; JSON, by rows."""
    _, batches = transactions(n_rows, 1)
    rows = [
        {**row, "customer_id": "C-4711", "timestamp": row["timestamp"].isoformat()}
        for batch in batches
        for row in batch.to_pylist()
    ]
    return Request("CRM", f"/v1/score?model=transactions&as_of={AS_OF}", JSON, orjson.dumps({"rows": rows}))


def analyst(n_rows: int = 4_000, n_customers: int = 400) -> Request:
    """A small shop's year, segmented: some milliseconds of both cores; Arrow."""
    body = _transactions(n_rows, n_customers)
    return Request("analyst", f"/v1/segment?as_of={AS_OF}&occasion=row", ARROW, body)


def upload_file(n_rows: int, n_customers: int) -> Path:
    """A data team's transactions as a file with an Arrow stream; made once."""
    path = FOLDER / f"upload-{n_rows}-{n_customers}.arrows"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        schema, batches = transactions(n_rows, n_customers)
        unfinished = path.with_suffix(".unfinished")
        with pa.ipc.new_stream(str(unfinished), schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        unfinished.replace(path)
    return path


def fit_models(url: str, folder: Path) -> None:
    """Has the service fit the models that the scores above name, and writes them into the folder it will be given."""
    folder.mkdir(parents=True, exist_ok=True)
    batch = _customers(10_000)
    bodies = {
        "customers": (f"features={','.join(FEATURES)}", arrow_stream(batch.schema, [batch])),
        "transactions": (f"as_of={AS_OF}&occasion=row", _transactions(100_000, 10_000)),
    }
    for name, (query, body) in bodies.items():
        reply = httpx.post(f"{url}/v1/fit?{query}", content=body, headers={"Content-Type": ARROW}, timeout=60)
        reply.raise_for_status()
        (folder / f"{name}.json").write_bytes(reply.content)
