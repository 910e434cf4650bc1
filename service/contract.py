"""`python -m service.contract` writes the OpenAPI document that is served to proto/openapi.json."""

from __future__ import annotations

from pathlib import Path

import orjson

from service.app import create_app
from service.settings import Settings

__all__ = ["PUBLISHED", "write"]

PUBLISHED = Path(__file__).resolve().parent.parent / "proto" / "openapi.json"


def write() -> None:
    """Publishes the document; a test holds the file to what is served."""
    document = create_app(Settings()).openapi()
    PUBLISHED.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    write()
