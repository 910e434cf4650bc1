"""`make fuzz`: mutated bodies against a live service under a memory limit.

python -m loadtests.fuzz [--bodies N] [--seconds S] [--seed S] [--clients C] [--format NAME] [--only NUMBER]
    [--corpus FOLDER [--replay]]
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from loadtests.fuzz.arrow_mutators import stream_of
from loadtests.fuzz.cases import FORMATS, MEDIA, Case, case, plain_case
from loadtests.fuzz.client import DEADLINE_SECONDS, Connection
from loadtests.fuzz.report import rows_of
from loadtests.fuzz.seeds import PEOPLE_OPTIONS, Seeds, people, shop
from loadtests.fuzz.sending import Share, format_of, send_share, told
from loadtests.fuzz.watch import Watch, memory_of
from loadtests.reliability.report import save
from loadtests.server import Running, running_server

__all__ = ["main"]

REPOSITORY = Path(__file__).parents[2]
LIMIT_BYTES = 1 << 30
WARM_UP = 400
SETTLE_SECONDS = 10
TARGETS = ("/v1/segment?k=2&n_init=1", "/v1/fit?k=2&n_init=1", "/v1/score?model=shop&as_of=2026-05-01")
"""Of a body that is replayed."""
# The memory budget that a container of this size would have by itself.
SETTINGS = {"LOG_LEVEL": "warning", "ACCESS_LOG": "false", "MEMORY_BUDGET_BYTES": str(LIMIT_BYTES * 7 // 10)}


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


def fuzz(args: argparse.Namespace, server: Running, models: dict[str, Any], log: Path) -> dict[str, Any]:
    """The figures of a run."""
    formats = args.format.split(",")
    _warm_up(server.port, Seeds.of(models))
    start = memory_of(server.pid)
    figures: dict[str, Any] = {"limit_bytes": LIMIT_BYTES, "seed": args.seed, "start_bytes": start.now}
    watch = Watch(server.pid, LIMIT_BYTES)
    corpus = {form: _corpus(args.corpus, form) for form in formats}
    started = time.time()
    deadline = started + args.seconds if args.seconds else float("inf")
    shares = [
        Share(server.port, models, corpus, args.seed, formats, i, args.clients, args.bodies, deadline)
        for i in range(args.clients)
    ]
    with ProcessPoolExecutor(args.clients, multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(send_share, shares))
    figures["seconds"] = round(time.time() - started, 1)
    figures["formats"] = {form: told([part[form] for part in parts]) for form in formats}
    alive = not watch.broken and _is_alive(server)
    figures["alive"] = alive
    if alive:
        for _ in range(SETTLE_SECONDS):
            time.sleep(1)
            figures["end_bytes"], figures["peak_bytes"] = memory_of(server.pid)
            if figures["end_bytes"] <= start.now:
                break
    watch.close()
    figures["killed_at_bytes"] = watch.broken
    told_of = log.read_text("utf-8", "replace").replace(f"{REPOSITORY}/", "")
    figures["log_errors"] = [line[:2000] for line in told_of.splitlines() if _is_bad(line)][:20]
    return figures


def _corpus(folder: Path | None, form: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / form).glob("*"))] if folder else []


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
    parser.add_argument("--seconds", type=int, default=0, help="ends after so many, where not all were sent")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=4, help="client processes, one keep-alive connection each")
    parser.add_argument("--format", default=",".join(FORMATS), help="formats, with commas")
    parser.add_argument("--only", type=int, help="sends this case alone and prints it")
    parser.add_argument("--corpus", type=Path, help="folder with further bodies in folders named as the formats")
    parser.add_argument("--replay", action="store_true", help="sends every body of the corpus as it is, and ends")
    parser.add_argument("--quick", action="store_true", help="written into .demo/reliability, apart from the results")
    args = parser.parse_args(arguments)
    if args.replay and args.corpus is None:
        parser.error("--replay sends a corpus; name its folder with --corpus")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "models").mkdir()
        with running_server(folder / "first.log", **SETTINGS) as server:
            models = _fitted(server.port, folder / "models")
        log = folder / "service.log"
        with running_server(log, MODELS=str(folder / "models"), **SETTINGS) as server:
            if args.only is not None:
                return _send_one(args, server, models, log)
            if args.replay:
                return _replay(args.corpus, server)
            figures = fuzz(args, server, models, log)
    rows = rows_of(figures)
    for row in rows:
        print(f"{'pass' if row.passed else 'SHORT'}  {row.what}: {row.found}")
    print(f"written: {save('hostile', rows, figures, quick=args.quick)}/hostile.json")
    return 0 if all(row.passed for row in rows) else 1


def _replay(folder: Path, server: Running) -> int:
    """Sends every body of the corpus to every endpoint, whole and in chunks; prints what is wrong."""
    connection, n_sent, n_faults = Connection(server.port), 0, 0
    for form in FORMATS:
        for number, body in enumerate(_corpus(folder, form)):
            for target in TARGETS:
                for chunk_bytes in (0, 100):
                    sent = Case(number, form, target, [("Content-Type", MEDIA[form])], body, chunk_bytes, None)
                    verdict = connection.send(sent)
                    n_sent += 1
                    if verdict.fault:
                        n_faults += 1
                        print(f"{form} {number} {target}: {verdict}")
    print(f"{n_sent:,} sent, {n_faults} answered wrongly; the service is {'alive' if _is_alive(server) else 'gone'}")
    return 0 if n_sent and not n_faults and _is_alive(server) else 1


def _send_one(args: argparse.Namespace, server: Running, models: dict[str, Any], log: Path) -> int:
    form = format_of(args.only, args.format.split(","))
    sent = case(args.seed, args.only, form, Seeds.of(models), _corpus(args.corpus, form))
    verdict = Connection(server.port).send(sent)
    Path(".demo").mkdir(exist_ok=True)
    Path(".demo/case").write_bytes(sent.body)
    print(sent._replace(body=sent.body[:2000]), verdict, log.read_text("utf-8", "replace"), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
