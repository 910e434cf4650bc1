"""The libraries that the bench compares with: imported where they are installed, named where they are not."""

from __future__ import annotations

import importlib
import os
from importlib import metadata
from types import ModuleType

from service.settings import available_cores

__all__ = ["VERSIONS_OF", "load", "set_threads", "versions"]

VERSIONS_OF = (
    "numpy", "numba", "pyarrow", "polars", "duckdb", "pandas", "scikit-learn", "faiss-cpu", "uvicorn", "uvloop",
    "httptools", "fastapi",
)  # fmt: skip


def set_threads() -> int:
    """Gives every peer the cores of this container, as the service has; before any of them is imported."""
    cores = available_cores()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ[name] = str(cores)
    return cores


def load(name: str) -> ModuleType | None:
    """The module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def versions() -> dict[str, str]:
    """Version by package; "missing" where there is none."""
    found = {}
    for name in VERSIONS_OF:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found
