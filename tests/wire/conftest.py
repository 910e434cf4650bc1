"""One service for all wire tests of a run, and a client that nobody here wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.wire.server import Server, running
from tests.wire.shop import PEOPLE, SHOP, post


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the kernels, which takes minutes where they must be compiled on a busy machine."""
    for item in items:
        if "server" in getattr(item, "fixturenames", ()) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(360))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(fresh=True, models=tmp_path_factory.mktemp("models"), threads=2) as service:
        yield service


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as http:
        yield http


@pytest.fixture(scope="session")
def models(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models: `shop`, of transactions, and `people`, of a customers table."""
    folder = tmp_path_factory.mktemp("stock")
    for name, table, options in (("shop", SHOP, {"k": 5}), ("people", PEOPLE, {"k": 4, "features": "visits,-returns"})):
        reply = post(client, "fit", table, **options)
        assert reply.status_code == 200, reply.text
        (folder / f"{name}.json").write_bytes(reply.content)
    (folder / "README.txt").write_text("not a model")
    return folder


@pytest.fixture(scope="session")
def stocked(models: Path) -> Iterator[Server]:
    """A second service, started with those models."""
    with running(models=models) as service:
        yield service
