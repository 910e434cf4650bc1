"""Faults around the service: models that cannot be reached at the start, and a disk without room."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.wire.server import running
from tests.wire.shop import SHOP, post, refused, shop

PARQUET = "application/vnd.apache.parquet"


def test_models_that_come_late_make_it_ready(models: Path, tmp_path: Path) -> None:
    late = tmp_path / "late"
    with running(ready=False, models=late) as service, httpx.Client(base_url=service.url) as client:
        service.wait_until(lambda: client.get("/readyz").json()["status"] == "failed", 60)
        reply = client.get("/readyz")
        assert reply.status_code == 503
        assert str(late) in reply.json()["reason"]
        problem = refused(post(client, "segment", SHOP, k=3), 503, "not_ready")
        assert str(late) in problem["detail"]
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "shop.json").write_bytes((models / "shop.json").read_bytes())
        (tmp_path / "new").rename(late)
        service.wait_ready()
        assert [model["name"] for model in client.get("/v1/models").json()["models"]] == ["shop"]
        assert service.metrics()["segserve_ready"] == 1
        assert service.metrics()['segserve_phase{phase="ready"}'] == 1
        told = [entry for entry in service.log if entry["event"] == "not ready"]
        assert len(told) == 1  # a reason is told once, not with every try
        assert told[0]["retry_seconds"] > 0


@pytest.fixture
def _files_stay_small() -> Iterator[None]:
    """No file may grow beyond 64 KiB here and in what is started here: as good as a full disk, and needs no rights."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_files_stay_small")
def test_a_full_disk_is_told_and_other_formats_go_on() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(shop(30_000, 150_000), sink, compression="none", use_dictionary=False)
    body = sink.getvalue().to_pybytes()
    assert len(body) > 2 << 20
    with running(fresh=True, threads=1) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        for chunked in (False, True):
            reply = post(client, "segment", body, content_type=PARQUET, chunked=chunked, k=3)
            problem = refused(reply, 503, "disk_full")
            assert "Arrow" in problem["detail"]
            assert reply.headers["retry-after"] == "1"
        assert post(client, "segment", SHOP, k=3).status_code == 200
        assert service.metrics()['segserve_rejections_total{reason="disk_full"}'] == 2
        assert service.stop() == 0
