"""`make schemathesis`: holds a live service to the OpenAPI document it publishes; a row of loadtests/RELIABILITY.md.

python -m loadtests.fuzz.published --schemathesis PROGRAM [--quick] [further options of `schemathesis run`]

It takes four minutes, and is ended after nine. hooks.py tells schemathesis what bodies look like that a JSON schema
cannot describe.
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

from loadtests.fuzz.arrow_mutators import stream_of
from loadtests.fuzz.parquet_mutators import file_of
from loadtests.fuzz.seeds import people, shop
from loadtests.reliability.report import Row, save
from loadtests.server import running_server

__all__ = ["main", "row_of"]

REPOSITORY = Path(__file__).parents[2]
MODEL = REPOSITORY / "proto" / "golden" / "fit-arrow.reply.json"
PHASES = "examples,coverage,fuzzing"
LEFT_OUT = {
    "stateful": "no operation makes what another one uses: the service stores nothing, so there are no links",
}
EXCLUDED = {
    "positive_data_acceptance": "options exclude or need one another, and the data has to fit them: k_by needs k=auto, "
    "campaign needs holdout; OpenAPI has no words for that, and such requests are 422 by contract",
}
"""Checks that are not made, and why."""
EXAMPLES, QUICK_EXAMPLES = 50, 3
MOST_SECONDS = 540


def _write_bodies(folder: Path) -> None:
    """Valid bodies in a folder for each format, for hooks.py, whose environment has no Arrow."""
    for name, bodies in (
        ("arrow", [stream_of(table.schema, table.to_batches()) for table in (shop(), people())]),
        ("parquet", [file_of(table) for table in (shop(), people())]),
    ):
        (folder / name).mkdir(parents=True)
        for number, body in enumerate(bodies):
            (folder / name / str(number)).write_bytes(body)


def row_of(found: dict[str, Any] | None) -> Row:
    """What schemathesis' own report says, as a row; None where it did not get to its end."""
    what = "schemathesis against the published OpenAPI"
    if found is None:
        return Row("schemathesis/failures", f"{what}: failures", "not at its end", "0", False)
    cases, operations = found["test_cases"], found["operations"]
    n = cases["unique_failures"] + cases["errored"] + operations["errored"]
    whole = bool(found["complete"]) and operations["tested"] == operations["selected"] == operations["total"]
    what += f", {operations['tested']} of {operations['total']} operations, {cases['generated']:,} cases: failures"
    note = "; ".join(f"{name}: {reason}" for name, reason in (LEFT_OUT | EXCLUDED).items())
    note = f"Schemathesis {found['schemathesis_version']}, {found['running_time']:.0f} s. Not looked at: {note}."
    return Row("schemathesis/failures", what, str(n), "0", n == 0 and whole and found["exit_code"] == 0, note)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make schemathesis", description=__doc__.partition("\n")[0])
    parser.add_argument("--schemathesis", required=True, type=Path, help="the program")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_EXAMPLES} examples of each operation")
    args, more = parser.parse_known_args(arguments)
    n_examples = QUICK_EXAMPLES if args.quick else EXAMPLES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_bodies(folder / "bodies")
        (folder / "models").mkdir()
        shutil.copy(MODEL, folder / "models" / "shop.json")
        report = folder / "report.json"
        settings = {"MODELS": str(folder / "models"), "ACCESS_LOG": "false"}
        with running_server(folder / "service.log", **settings) as server:
            command = [str(args.schemathesis.absolute()), "run", f"{server.url}/openapi.json", "--phases", PHASES]
            command += ["--exclude-checks", ",".join(EXCLUDED), "--max-examples", str(n_examples), "--seed", "1"]
            command += ["--suppress-health-check", "all", "--generation-database", "none", "--continue-on-failure"]
            command += ["--report", "json", "--report-json-path", str(report), *more]
            variables = {"SCHEMATHESIS_HOOKS": "loadtests.fuzz.hooks", "SEGFUZZ_BODIES": str(folder / "bodies")}
            environment = os.environ | variables | {"PYTHONPATH": str(REPOSITORY)}
            try:
                subprocess.run(command, cwd=folder, env=environment, check=False, timeout=MOST_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"Schemathesis was ended after {MOST_SECONDS} s.")
        found = json.loads(report.read_bytes() or b"null") if report.exists() else None
    if found is not None:
        del found["command"]  # paths of this run
    row = row_of(found)
    print(f"{'pass' if row.passed else 'SHORT'}  {row.what}: {row.found}")
    print(f"written: {save('schemathesis', [row], found or {}, quick=args.quick)}/schemathesis.json")
    return 0 if row.passed else 1


if __name__ == "__main__":
    sys.exit(main())
