"""Small requests: the service, a bare ASGI echo of the same bytes, and FastAPI + pandas + scikit-learn."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import orjson
import pyarrow as pa

from loadtests.bench.arrow_client import ARROW, stream_bytes
from loadtests.bench.checks import check_close, check_equal
from loadtests.bench.data import customer_indices, rfm_customers, transactions_table
from loadtests.bench.load_generator import CONNECTIONS, Load, run_load
from loadtests.bench.ours import fit_features, population_of, segment
from loadtests.bench.peers import load
from loadtests.bench.rows import OURS, Row, at_least, within
from loadtests.bench.sizes import Sizes
from loadtests.bench.timing import interleaved, spread
from loadtests.datasets import FOLDER
from loadtests.server import running_server
from proto.model import dump_model
from proto.options import SegmentOptions
from service.threads import ThreadTeam

__all__ = ["run"]

ECHO, PANDAS = "bare ASGI echo", "FastAPI + pandas + scikit-learn"
PATIENT = {"SCORE_QUEUE_SECONDS": "10"}  # eight connections are no overload, however busy the machine is
FITTED_CUSTOMERS = 10_000
AS_OF = "2025-01-01T00:00:00Z"


class Case(NamedTuple):
    """One request, and what part of the echo's requests/s it should reach."""

    key: str
    what: str
    data: str
    path: str
    content_type: str
    body: bytes
    target: float


def run(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    FOLDER.mkdir(exist_ok=True)
    installed = load("pandas") and load("sklearn")
    with contextlib.ExitStack() as stack:
        models = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _write_models(models, team)
        modules = {OURS: (), ECHO: ("loadtests.bench.apps", "echo")}
        if installed:
            modules[PANDAS] = ("loadtests.bench.apps", "pandas")
        urls = {}
        for number, (name, module) in enumerate(modules.items()):
            log = FOLDER / f"bench-{number}.log"
            urls[name] = stack.enter_context(running_server(log, *module, MODELS=str(models), **PATIENT)).url
        for case in _cases():
            if installed:
                _check(case, urls)
            yield from _measure(case, urls, sizes, [] if installed else [PANDAS])


def _write_models(folder: Path, team: ThreadTeam) -> None:
    features = rfm_customers(FITTED_CUSTOMERS)
    model = fit_features(population_of(features), features, 8, 0, team).model
    (folder / "customers.json").write_bytes(dump_model(model))
    table = transactions_table(customer_indices(10 * FITTED_CUSTOMERS, FITTED_CUSTOMERS))
    _, model = segment(table, SegmentOptions(occasion="row"), team)
    (folder / "transactions.json").write_bytes(dump_model(model))


def _cases() -> tuple[Case, ...]:
    features = rfm_customers(100)
    columns = {"customer_id": pa.array(np.arange(100))} | {
        name: pa.array(values) for name, values in zip(features.names, features.matrix, strict=True)
    }
    customers = pa.table(columns)
    rows = transactions_table(np.arange(100) % 10)
    named, dated = "/v1/score?model=customers", f"/v1/score?model=transactions&as_of={AS_OF}"
    json = orjson.dumps({"columns": customers.to_pydict()})
    return (
        Case("arrow", "score 100 customers, Arrow", "named model", named, ARROW, bytes(stream_bytes(customers)), 0.5),
        Case("json", "score 100 customers, JSON", "named model", named, "application/json", json, 0.3),
        Case(
            "transactions", "score 100 transactions of 10 customers, Arrow", "named model", dated, ARROW,
            bytes(stream_bytes(rows)), 0.4,
        ),
    )  # fmt: skip


def _check(case: Case, urls: dict[str, str]) -> None:
    """The pandas service gives the same numbers."""
    found, wanted = (_answer(case, urls[name]) for name in (PANDAS, OURS))
    for name in ("recency_days", "frequency", "monetary", "value_score"):
        check_close(PANDAS, name, found[name], wanted[name])
    for name in ("customer_id", "segment_id", "segment"):
        check_equal(PANDAS, name, found[name], wanted[name])


def _answer(case: Case, url: str) -> dict[str, list[object]]:
    reply = httpx.post(url + case.path, content=case.body, headers={"content-type": case.content_type})
    reply.raise_for_status()
    if case.content_type == ARROW:
        return pa.ipc.open_stream(reply.content).read_all().to_pydict()
    return orjson.loads(reply.content)["columns"]


def _measure(case: Case, urls: dict[str, str], sizes: Sizes, missing: list[str]) -> Iterator[Row]:
    def driven(name: str) -> Callable[[int], Load]:
        return lambda _: run_load(urls[name], case.path, case.content_type, case.body, sizes.load_seconds)

    found = interleaved({name: driven(name) for name in urls}, sizes.rounds)
    data = f"{case.data}, {len(case.body):,} bytes, {CONNECTIONS} connections"
    rates = {name: spread([load.requests_per_second for load in loads]) for name, loads in found.items()}
    p50s = {name: spread([load.p50_seconds for load in loads]) for name, loads in found.items()}
    p99s = {name: spread([load.p99_seconds for load in loads]) for name, loads in found.items()}
    medians = ", ".join(f"{name} {p50.median * 1e3:.2f} ms" for name, p50 in p50s.items())
    yield at_least(
        f"requests/{case.key}", case.what, data, "requests/s", rates, ECHO, case.target, rounds=sizes.rounds,
        missing=missing, note=f"p50: {medians}; load generator on the same cores",
    )  # fmt: skip
    yield within(
        f"requests/{case.key}-p99", f"{case.what}: p99", data, "s", p99s, ECHO, 3.0, rounds=sizes.rounds
    )  # fmt: skip
