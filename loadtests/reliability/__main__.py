"""`make reliability`: measures what the service does on a bad day; writes loadtests/RELIABILITY.md.

python -m loadtests.reliability [overload] [isolation] … [--quick]   (all but soak where none is named)
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence

from loadtests.reliability.report import MEASURES, Row, save
from loadtests.reliability.stage import Stage

__all__ = ["main", "measure"]

ON_REQUEST = ("soak",)
ELSEWHERE = ("hostile", "schemathesis")  # make fuzz, make schemathesis
GROUPS = {"faults": ("cuts", "stopping", "outages")}
HERE = tuple(name for name in MEASURES if name not in ELSEWHERE)


def measure(names: Sequence[str], *, quick: bool) -> bool:
    """Runs the measures, prints and writes what they found; whether every promise was kept."""
    kept = True
    with Stage.set_up() as stage:
        for name in names:
            start = time.monotonic()
            rows, figures = importlib.import_module(f"loadtests.reliability.{name}").run(stage, quick=quick)
            save(name, rows, figures, quick=quick)
            print(f"{name} ({time.monotonic() - start:.0f} s)")
            for row in rows:
                _say(row)
                kept &= row.passed is not False
    return kept


def _say(row: Row) -> None:
    verdict = {True: "pass", False: "SHORT", None: "–"}[row.passed]
    print(f"  {verdict:5} {row.what}: {row.found}" + (f" (wanted {row.wanted})" if row.wanted else ""), flush=True)
    if row.note:
        print(f"        {row.note}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("measures", nargs="*", choices=[*HERE, *GROUPS, []], metavar="measure", help=", ".join(HERE))
    parser.add_argument("--quick", action="store_true", help="a few seconds each; written into .demo/reliability")
    args = parser.parse_args(arguments)
    named = args.measures or [name for name in HERE if name not in ON_REQUEST]
    names = dict.fromkeys(member for name in named for member in GROUPS.get(name, (name,)))
    return 0 if measure(list(names), quick=args.quick) else 1


if __name__ == "__main__":
    sys.exit(main())
