"""Whether files have changed since they were last looked at, without reading them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["signature"]


def signature(*paths: str | Path) -> object:
    """Differs from an earlier one where a file was written or replaced, has gone or has come back.

    Links are followed, as Kubernetes and ACME clients replace what a link points to.
    """
    return tuple(_one(path) for path in paths)


def _one(path: str | Path) -> object:
    try:
        status = os.stat(path)
    except OSError as error:
        return error.errno
    return status.st_mtime_ns, status.st_ino, status.st_size
