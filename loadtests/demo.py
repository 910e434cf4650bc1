"""`make demo`: start the service, send it real transactions as an Arrow stream, print its segments.

python -m loadtests.demo [completejourney | cdnow | tafeng | FILE] [--columns name:column,…] [any option of the service]
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from loadtests.datasets import DATASETS, FOLDER, fetch
from loadtests.server import running_server

__all__ = ["main"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "data", nargs="?", default="completejourney", help="completejourney, cdnow, tafeng, or a file or folder"
    )
    parser.add_argument("--schemes", default="", help="value schemes, or all that the data allows")
    parser.add_argument("--columns", default="", help="your column names: customer_id:household_id,…")
    args, options = parser.parse_known_args()
    FOLDER.mkdir(exist_ok=True)
    if args.data in DATASETS:
        dataset = DATASETS[args.data]
        print(f"{dataset.title}.")
        file, columns = fetch(args.data), args.columns or dataset.columns
    else:
        file, columns = Path(args.data), args.columns
    out = FOLDER / f"{file.stem}-segments.parquet"
    flags = ["segment", str(file), "--out", str(out), *(["--columns", columns] if columns else []), *options]
    if args.schemes:
        flags += ["--schemes", args.schemes]
    started = time.perf_counter()
    print("Starting the service (the first time it compiles its kernels, for a minute or two) …", flush=True)
    with running_server(FOLDER / "service.log") as server:
        print(f"Ready after {time.perf_counter() - started:.1f} s.", flush=True)
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "service.cli", *flags, "--url", server.url])
        seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.returncode)
    print(
        f"{file.stat().st_size / 1e6:,.1f} MB read, sent, segmented and written in {seconds:.1f} s."
        if file.is_file()
        else ""
    )
    command = os.path.relpath(Path(sys.executable).parent / "segserve")
    print(f"The same without a server: {command} {shlex.join(flags)}")


if __name__ == "__main__":
    main()
