"""`make fuzz`: mutated bodies against a live service under a memory limit.

python -m loadtests.fuzz [--bodies N] [--seed S] [--clients C] [--format NAME] [--only NUMBER] [--corpus FOLDER]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from loadtests.fuzz.arrow_mutators import stream_of
from loadtests.fuzz.cases import FORMATS, case, plain_case
from loadtests.fuzz.client import DEADLINE_SECONDS, Connection
from loadtests.fuzz.report import rows_of
from loadtests.fuzz.seeds import PEOPLE_OPTIONS, Seeds, people, shop
from loadtests.fuzz.sending import Sent, Share, send_share
from loadtests.fuzz.watch import Watch, memory_of
from loadtests.reliability.report import save
from loadtests.server import Running, running_server

__all__ = ["main"]

LIMIT_BYTES = 1 << 30
WARM_UP = 400
WEIGHTS = {"arrow": 3, "json": 3, "csv": 3, "parquet": 1}  # a Parquet body takes the client three times as long to make
SETTLE_SECONDS = 10
SETTINGS = {"LOG_LEVEL": "warning", "ACCESS_LOG": "false"}


def _fitted(port: int, folder: Path) -> dict[str, Any]:
    """Two models, fitted by the service, as files for its next start."""
    models = {}
    for name, table, query in (("shop", shop(), "k=3"), ("people", people(), f"k=3&{PEOPLE_OPTIONS}")):
        reply = httpx.post(
            f"http://127.0.0.1:{port}/v1/fit?{query}",
            content=stream_of(table.schema, table.to_batches()),
            headers={"Content-Type": "application/vnd.apache.arrow.stream"},
            timeout=DEADLINE_SECONDS,
        )
        reply.raise_for_status()
        models[name] = reply.json()
        (folder / f"{name}.json").write_bytes(reply.content)
    return models


def _warm_up(port: int, seeds: Seeds) -> None:
    """Plain requests of all kinds, each of which must succeed."""
    rng, connection = random.Random(0), Connection(port)
    for number in range(WARM_UP):
        sent = plain_case(rng, number, FORMATS[number % len(FORMATS)], seeds)
        verdict = connection.send(sent)
        if verdict.status != 200 or verdict.fault:
            sys.exit(f"A plain request failed: {sent.target} {sent.format}: {verdict}")
    connection.close()


def _run_format(pool: Executor, shares: list[Share]) -> dict[str, Any]:
    started = time.perf_counter()
    parts: list[Sent] = list(pool.map(send_share, shares))
    statuses: Counter[tuple[int, str]] = sum((part.statuses for part in parts), Counter())
    seconds = np.concatenate([part.seconds for part in parts])
    by_status: dict[str, int] = {}
    for (status, _), count in sorted(statuses.items()):
        by_status[str(status)] = by_status.get(str(status), 0) + count
    return {
        "bodies": len(seconds),
        "body_megabytes": round(sum(part.body_bytes for part in parts) / 1e6, 1),
        "seconds": round(time.perf_counter() - started, 1),
        "statuses": by_status,
        "codes": {code: count for (_, code), count in sorted(statuses.items()) if code},
        "p50_ms": round(float(np.median(seconds)) * 1e3, 2),
        "slowest_seconds": round(float(seconds.max()), 2),
        "faults": [(number, verdict._asdict()) for part in parts for number, verdict in part.faults],
    }


def fuzz(args: argparse.Namespace, server: Running, models: dict[str, Any], log: Path) -> dict[str, Any]:
    """The figures of a run."""
    formats = args.format.split(",")
    weights = sum(WEIGHTS[form] for form in formats)
    seeds = Seeds.of(models)
    _warm_up(server.port, seeds)
    start = memory_of(server.pid)
    figures: dict[str, Any] = {"limit_bytes": LIMIT_BYTES, "seed": args.seed, "start_bytes": start.now, "formats": {}}
    watch = Watch(server.pid, LIMIT_BYTES)
    with ProcessPoolExecutor(args.clients, multiprocessing.get_context("spawn")) as pool:
        for form in formats:
            corpus = [path.read_bytes() for path in sorted((args.corpus / form).glob("*"))] if args.corpus else []
            shares = [
                Share(
                    server.port,
                    models,
                    corpus,
                    args.seed,
                    form,
                    i,
                    args.clients,
                    args.bodies * WEIGHTS[form] // weights,
                )
                for i in range(args.clients)
            ]
            figures["formats"][form] = found = _run_format(pool, shares)
            alive = not watch.broken and _is_alive(server)
            found["end_bytes"] = memory_of(server.pid).now if alive else 0
            print(f"  {form}: {json.dumps({k: v for k, v in found.items() if k != 'faults'})}", flush=True)
            if not alive:
                break
    figures["alive"] = alive
    if alive:
        for _ in range(SETTLE_SECONDS):
            time.sleep(1)
            figures["end_bytes"], figures["peak_bytes"] = memory_of(server.pid)
            if figures["end_bytes"] <= start.now:
                break
    watch.close()
    figures["killed_at_bytes"] = watch.broken
    figures["log_errors"] = [line[:2000] for line in log.read_text("utf-8", "replace").splitlines() if _is_bad(line)][
        :20
    ]
    return figures


def _is_alive(server: Running) -> bool:
    try:
        return httpx.get(f"{server.url}/readyz", timeout=DEADLINE_SECONDS).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _is_bad(line: str) -> bool:
    return "Invalid HTTP request" not in line and ('"error"' in line or "Traceback" in line or not line.startswith("{"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Mutated bodies against a live service.")
    parser.add_argument("--bodies", type=int, default=200_000, help="how many, over all formats")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=4, help="client processes, one keep-alive connection each")
    parser.add_argument("--format", default=",".join(FORMATS), help="formats, with commas")
    parser.add_argument("--only", type=int, help="sends this case alone and prints it")
    parser.add_argument("--corpus", type=Path, help="folder with further bodies in folders named as the formats")
    parser.add_argument("--quick", action="store_true", help="written into .demo/reliability, apart from the results")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "models").mkdir()
        with running_server(folder / "first.log", **SETTINGS) as server:
            models = _fitted(server.port, folder / "models")
        log = folder / "service.log"
        with running_server(log, MODELS=str(folder / "models"), **SETTINGS) as server:
            if args.only is not None:
                return _send_one(args, server, models, log)
            figures = fuzz(args, server, models, log)
    rows = rows_of(figures)
    for row in rows:
        print(f"{'pass' if row.passed else 'SHORT'}  {row.what}: {row.found}")
    print(f"written: {save('hostile', rows, figures, quick=args.quick)}/hostile.json")
    return 0 if all(row.passed for row in rows) else 1


def _send_one(args: argparse.Namespace, server: Running, models: dict[str, Any], log: Path) -> int:
    corpus = [path.read_bytes() for path in sorted((args.corpus / args.format).glob("*"))] if args.corpus else []
    sent = case(args.seed, args.only, args.format, Seeds.of(models), corpus)
    verdict = Connection(server.port).send(sent)
    Path(".demo").mkdir(exist_ok=True)
    Path(".demo/case").write_bytes(sent.body)
    print(sent._replace(body=sent.body[:2000]), verdict, log.read_text("utf-8", "replace"), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
