"""After the warm-up nothing is left to compile."""

import subprocess
import sys
from pathlib import Path

FROZEN = """
from kernels import warmup
from kernels._jit import KERNELS
n = warmup.warm_up()
assert n == sum(len(k.signatures) for k in KERNELS) >= 20
warmup.disable_compile()
assert warmup.warm_up() == n  # raises TypeError where a signature is missing
"""


def test_a_frozen_process_can_do_what_was_warmed() -> None:
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-W", "error", "-c", FROZEN], cwd=root, check=True, timeout=110)
