"""Where and with what a run was made, for the footnote."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from loadtests.bench.peers import versions
from loadtests.bench.sizes import SEED, Sizes
from service.settings import available_cores

__all__ = ["machine_facts", "run_facts"]


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    """The commit, and whether sources differ from it; results that were just written are no sources."""
    root = Path(__file__).parents[2]
    commit = _git(root, "rev-parse", "--short", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", "*.py", "*.toml", "*.lock")
    return (commit or "unknown") + ("-dirty" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=folder).stdout.strip()


def machine_facts() -> dict[str, Any]:
    """Date, commit, machine, load before the start."""
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": available_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def run_facts(sizes: Sizes) -> dict[str, Any]:
    """The machine, and what was measured on it: sizes, versions, seed."""
    return {**machine_facts(), "sizes": sizes.name, "versions": versions(), "seed": SEED}
