"""What all tests share: a slow machine is no failure, so hypothesis sets no deadline; kernels are compiled once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# scikit-learn's threads else spin while they wait for each other, and beside other tests that is most of their time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when it is imported
settings.register_profile("segserve", deadline=None)
settings.load_profile("segserve")

ROOT = Path(__file__).resolve().parents[1]
HALVES = (("warmup_aggregation", "warmup_accumulators", "warmup_few"), ("warmup_clustering",))
"""Of the kernels, as long as each other; the scoring that both use is compiled by the first, loaded by the second."""


def pytest_configure(config: pytest.Config) -> None:
    """Compiles the kernels into their cache before the workers start: else each worker would compile all of them."""
    if hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None):
        return
    halves = [
        subprocess.Popen(
            [sys.executable, "-c", "".join(f"from kernels import {part}; {part}.warm();" for part in parts)], cwd=ROOT
        )
        for parts in HALVES
    ]
    if any([half.wait() for half in halves]):  # noqa: C419 (both are waited for)
        raise pytest.UsageError("The kernels could not be compiled; what went wrong stands above.")
