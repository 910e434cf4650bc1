"""`make fuzz` in small: schemathesis against the published OpenAPI, served live.

python -m loadtests.fuzz.contract [further options of `schemathesis run`]

It needs schemathesis, which brings a dozen packages and so is no part of the development environment: .venv/bin/pip
install schemathesis. hooks.py tells it what bodies look like that a JSON schema cannot describe.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from loadtests.server import running_server

__all__ = ["main"]

# Not negative_data_rejection and positive_data_acceptance: a schema cannot say which options mean nothing for an input
# (they are ignored, as the contract has it), nor which body of the right form is refused for its content.
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "unsupported_method", "allow_header_conformance", "missing_required_header"),
)


def main(arguments: Sequence[str] = ()) -> int:
    if importlib.util.find_spec("schemathesis") is None:
        print("schemathesis is not installed: .venv/bin/pip install schemathesis", file=sys.stderr)
        return 2
    golden = Path(__file__).parents[2] / "proto" / "golden" / "fit-arrow.reply.json"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "models").mkdir()
        (folder / "models" / "shop.json").write_text(json.dumps(json.loads(golden.read_bytes())))
        with running_server(folder / "service.log", MODELS=str(folder / "models"), ACCESS_LOG="false") as server:
            command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"]
            command += ["--checks", ",".join(CHECKS), "--no-color", "--suppress-health-check", "all", *arguments]
            hooks = {"SCHEMATHESIS_HOOKS": "loadtests.fuzz.hooks"}
            return subprocess.run(command, env=os.environ | hooks, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
