"""The command line: `segserve serve`, `key`, `segment`, `fit`, `score`, `model show`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of `segserve`. The service runs without the command line's libraries, so they may be missing."""
    try:
        from service.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "httpx"):
            raise
        sys.exit(
            f"segserve: the command line needs {error.name}, which is not installed. Install it with the extra:\n"
            "    pip install 'segserve[cli]'\n"
            "The service alone runs without it:\n"
            "    python -m service"
        )
    app()
