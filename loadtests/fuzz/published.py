"""`make schemathesis`: holds a live service to the OpenAPI document it publishes.

python -m loadtests.fuzz.published --schemathesis PROGRAM [--quick]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from loadtests.server import running_server

__all__ = ["main"]

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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make schemathesis", description=__doc__.partition("\n")[0])
    parser.add_argument("--schemathesis", required=True, help="the program")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_EXAMPLES} examples of each operation")
    args, more = parser.parse_known_args(arguments)
    for name, reason in (LEFT_OUT | EXCLUDED).items():
        print(f"left out: {name}, since {reason}")
    n_examples = QUICK_EXAMPLES if args.quick else EXAMPLES
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "service.log") as server:
        command = [args.schemathesis, "run", f"{server.url}/openapi.json", "--phases", PHASES]
        command += ["--exclude-checks", ",".join(EXCLUDED), "--max-examples", str(n_examples), "--seed", "1"]
        return subprocess.run([*command, "--continue-on-failure", *more], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
