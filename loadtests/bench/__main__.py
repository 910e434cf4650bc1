"""`make bench`: measures the parts, prints a table, writes loadtests/results.json and loadtests/RESULTS.md.

python -m loadtests.bench [--part NAME,…] [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from loadtests.bench.machine import run_facts
from loadtests.bench.peers import set_threads
from loadtests.bench.report import HEADINGS, PARTS_ORDER, cells, load_results, merge, save
from loadtests.bench.rows import Row
from loadtests.bench.sizes import FULL, QUICK, Sizes

__all__ = ["bench", "main"]

HERE = Path(__file__).parents[1]
QUICK_FOLDER = Path(".demo")
ON_REQUEST = ("scale",)  # takes many minutes and gigabytes, so only when asked for by name

Part = Callable[..., Iterator[Row]]


def _parts() -> dict[str, Part]:
    """Imported late: the peers read their number of threads when they are imported."""
    from loadtests.bench import (
        part_aggregate,
        part_audience,
        part_fit,
        part_job,
        part_memory,
        part_requests,
        part_schemes,
        part_score,
        part_upload,
    )

    return {
        "aggregate": part_aggregate.run,
        "schemes": part_schemes.run,
        "fit": part_fit.run,
        "score": part_score.run,
        "job": part_job.run_in_process,
        "http": part_job.run_over_http,
        "audience": part_audience.run,
        "upload": part_upload.run,
        "requests": part_requests.run,
        "memory": part_memory.run_memory,
        "scale": part_memory.run_scale,
    }


def bench(names: Sequence[str], sizes: Sizes, folder: Path, stem: str = "results") -> list[Row]:
    """Measures the parts, and writes after each: a run that is ended early loses only the part it was at."""
    cores = set_threads()
    from kernels.warmup import warm_up
    from service.threads import ThreadTeam

    facts = run_facts(sizes)
    print(f"Measuring {', '.join(names)} with {cores} cores, {sizes.name} sizes …", flush=True)
    warm_up()
    team = ThreadTeam(cores)
    parts = _parts()
    rows: list[Row] = []
    for name in names:
        start = time.perf_counter()
        found = list(parts[name](sizes, team))
        print(f"  {name}: {time.perf_counter() - start:.1f} s", flush=True)
        rows += found
        save(merge(load_results(folder / f"{stem}.json"), found, facts), folder, stem)
    team.close()
    return rows


def show(rows: list[Row]) -> None:
    """The table: by rich where it is installed, in plain lines otherwise."""
    lines = [cells(row.as_dict()) for row in rows]
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        for line in [HEADINGS, *lines]:
            print(" | ".join(line))
        return
    table = Table(*HEADINGS, show_lines=True)
    for line in lines:
        colour = {"pass": "green", "**short**": "red"}.get(line[-1], "")
        table.add_row(*line[:-1], f"[{colour}]{line[-1].strip('*')}[/]" if colour else line[-1])
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description="Measures the service against its peers.")
    parser.add_argument("--part", default="", help="parts to measure, with commas: " + ", ".join(PARTS_ORDER))
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute; kept apart from the results")
    args = parser.parse_args(arguments)
    names = args.part.replace(",", " ").split() or [name for name in PARTS_ORDER if name not in ON_REQUEST]
    if unknown := [name for name in names if name not in PARTS_ORDER]:
        parser.error(f"there is no part {', '.join(unknown)}; the parts are {', '.join(PARTS_ORDER)}")
    started = time.perf_counter()
    folder, stem = (QUICK_FOLDER, "bench-quick") if args.quick else (HERE, "results")
    folder.mkdir(exist_ok=True)
    rows = bench(names, QUICK if args.quick else FULL, folder, stem)
    show(rows)
    if missing := sorted({name for row in rows for name in row.missing}):
        print(f"Not installed, so not compared with: {', '.join(missing)}.")
    if args.quick:
        print("Quick: small sizes, which the targets are not made for; nothing of it enters the results.")
    print(f"{time.perf_counter() - started:.0f} s; written: {folder / stem}.json and {folder / stem.upper()}.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
