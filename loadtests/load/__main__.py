"""`make load`: the three users and their mix, at fixed arrival rates; exit code 1 where a threshold is missed.

python -m loadtests.load [ad] [crm] [data] [mix] [--quick] [--locust PATH]

Locust drives the scenarios: of the load tools in the package registries it is the one that takes binary bodies, can be
an open model (see locustfile.py) and checks thresholds in code. autocannon sends each second's requests in one burst,
artillery needs Node.js as well, wrk is a closed loop, and what carries k6's name there has no known publisher. But it
takes CPU on cores that the service shares; so the same arrivals follow once more from loadtests/open_load.py, which
takes an eighth of it, and whose figures are the sharp ones.

The thresholds are those of a machine with two cores for itself. Where others take its cores, "crm" is the first to be
MISSED: its look-ups take the event loop 6 ms each, and what would wait over 20 ms is refused with 503.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.load.scenarios import AD, CRM, SCENARIOS, Scenario
from loadtests.open_load import run_open_load
from loadtests.reliability.stage import Stage, latencies, percentile, source
from loadtests.users import Request, ad_platform, crm, upload_file

__all__ = ["main", "run_scenario"]

REQUESTS: dict[str, Request] = {AD: ad_platform(), CRM: crm()}
LOCUSTFILE = Path(__file__).parent / "locustfile.py"
QUICK_ROWS = 1_000_000


def run_scenario(url: str, scenario: Scenario, seconds: float, locust: str, *, quick: bool) -> bool:
    """Runs it with Locust, then its arrivals with our own generator; prints what was found; whether all was kept."""
    uploads = _start_uploads(url, scenario, seconds, quick=quick)
    kept = _drive(url, scenario, seconds, locust) if scenario.rates else True
    kept &= _check_uploads(uploads, scenario)
    if scenario.rates:
        uploads = _start_uploads(url, scenario, seconds, quick=quick)
        _sharp(url, scenario, seconds)
        _check_uploads(uploads, scenario)
    return kept


def _start_uploads(url: str, scenario: Scenario, seconds: float, *, quick: bool) -> list[subprocess.Popen[str]]:
    if not scenario.uploaders:
        return []
    n_rows = QUICK_ROWS if quick else scenario.upload_rows
    command = [sys.executable, "-m", "loadtests.upload", url, str(upload_file(n_rows, n_rows // 10))]
    return [
        subprocess.Popen([*command, "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True)
        for _ in range(scenario.uploaders)
    ]


def _check_uploads(uploads: list[subprocess.Popen[str]], scenario: Scenario) -> bool:
    done = [json.loads(line) for process in uploads for line in process.communicate(timeout=300)[0].splitlines()]
    if not uploads:
        return True
    complete = [one["seconds"] for one in done if one["status"] == 200]
    median = float(np.median(complete)) if complete else float("inf")
    kept = len(complete) == len(done) and median <= scenario.upload_p50_seconds
    wanted = f"wanted all, ≤ {scenario.upload_p50_seconds:g} s"
    _say(kept, f"uploads: {len(complete)} of {len(done)} complete, p50 {median:.2f} s ({wanted})")
    return kept


def _drive(url: str, scenario: Scenario, seconds: float, locust: str) -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        requests = []
        for kind, rate in scenario.rates.items():
            request = REQUESTS[kind]
            body = folder / f"{len(requests)}.body"
            body.write_bytes(request.body)
            facts = {"name": kind, "path": request.path, "content_type": request.content_type}
            requests.append({**facts, "body": str(body), "rate": rate})
        plan = {
            "seconds": seconds,
            "requests": requests,
            "thresholds": scenario.thresholds,
            "found": str(folder / "found.json"),
        }
        (folder / "plan.json").write_text(json.dumps(plan), "utf-8")
        command = [
            locust,
            "--headless",
            "--only-summary",
            "--users",
            "1",
            "--host",
            url,
            "--locustfile",
            str(LOCUSTFILE),
        ]
        environment = os.environ | {"SEGLOAD_PLAN": str(folder / "plan.json"), "PYTHONPATH": str(Path.cwd())}
        before = os.times()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 120)
        after = os.times()
        found_file = folder / "found.json"
        if not found_file.exists():
            sys.exit(f"Locust did not get to its end:\n{done.stdout}\n{done.stderr}")
        found: dict[str, Any] = json.loads(found_file.read_text("utf-8"))
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    for kind, one in found.items():
        wanted = scenario.thresholds[kind]
        kept = not one["failed"] and one["p50_ms"] <= wanted.p50_ms and one["p99_ms"] <= wanted.p99_ms
        _say(
            kept,
            f"{kind}: {one['n']:,} at {scenario.rates[kind]:g}/s, {one['failed']} failed, p50 {one['p50_ms']:.3g} ms, "
            f"p99 {one['p99_ms']:.3g} ms (wanted none, ≤ {wanted.p50_ms:g} ms, ≤ {wanted.p99_ms:g} ms)",
        )
    print(f"        Locust used {cpu / (seconds):.2f} cores, its start included.", flush=True)
    return done.returncode == 0


def _sharp(url: str, scenario: Scenario, seconds: float) -> None:
    """The same rates from a generator that costs an eighth: figures with less of the client's own waits."""
    sources = [source(url, REQUESTS[kind], [(seconds, rate)]) for kind, rate in scenario.rates.items()]
    answers = run_open_load(url, sources)
    for number, kind in enumerate(scenario.rates):
        chosen = answers.source == number
        waits = latencies(answers, chosen)
        n = int(chosen.sum())
        print(
            f"        {kind}, by loadtests/open_load.py: {n:,}, {n - len(waits)} failed, "
            f"p50 {percentile(waits, 50) * 1e3:.3g} ms, p99 {percentile(waits, 99) * 1e3:.3g} ms, "
            f"p99.9 {percentile(waits, 99.9) * 1e3:.3g} ms",
            flush=True,
        )


def _say(kept: bool, what: str) -> None:
    print(f"  {'pass ' if kept else 'MISSED'} {what}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=", ".join(SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="a few seconds each, smaller uploads")
    parser.add_argument("--seconds", type=float, help="how long each scenario runs; default 30, with --quick 5")
    parser.add_argument("--locust", default=shutil.which("locust") or "locust", help="the command")
    args = parser.parse_args(arguments)
    if unknown := set(args.scenarios) - set(SCENARIOS):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    seconds = args.seconds or (5.0 if args.quick else 30.0)
    kept = True
    with Stage.set_up() as stage, stage.service("load") as service:
        for name in args.scenarios or SCENARIOS:
            print(f"{name}: {SCENARIOS[name].what}, {seconds:g} s", flush=True)
            kept &= run_scenario(service.url, SCENARIOS[name], seconds, args.locust, quick=args.quick)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
