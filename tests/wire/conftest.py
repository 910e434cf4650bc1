"""One service for all wire tests of a run, and a client that nobody here wrote."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.wire.server import Server, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(models=tmp_path_factory.mktemp("models")) as service:
        yield service


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as http:
        yield http
