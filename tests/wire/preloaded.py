"""What `forked.py` has loaded before it forks; imported by the process that forks, and by no other.

No thread may run when it forks, so the kernels are loaded but no request is rehearsed.
"""

import importlib

from kernels import warmup

for name in ("service.__main__", "tests.wire.forked", "pandas"):  # pyarrow looks for pandas on its first use
    importlib.import_module(name)
warmup.warm_up()
