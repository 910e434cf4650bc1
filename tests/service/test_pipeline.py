"""The job's steps: what one holds while the next one runs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from proto.limits import Limits
from proto.options import SegmentOptions
from service import pipeline
from service.threads import ThreadTeam


@pytest.mark.parametrize("rollup", [None, "home"])
def test_the_tables_of_the_intake_are_gone_while_segments_are_fitted(
    rollup: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are as large as the population: kept, a customer would take 80 bytes more at the peak."""
    days = [f"2026-01-{day:02}T10:00:00" for day in range(1, 21)]
    batch = pa.record_batch(
        {
            "customer_id": pa.array(range(20), pa.int64()),
            "timestamp": pa.array(days).cast(pa.timestamp("us")),
            "amount": pa.array([float(i % 7) for i in range(20)]),
            "home": pa.array([i // 2 for i in range(20)], pa.int64()),
        }
    )
    options = SegmentOptions(rollup=rollup, k=2)
    job = pipeline.Job(options, None, limits=Limits(), team=ThreadTeam(1), now_ns=0)
    job.start(batch.schema)
    job.add(batch)
    intake = weakref.ref(job._intake)
    seen: list[Any] = []

    def watched(fit: Callable[..., Any]) -> Callable[..., Any]:
        def fitted(*args: Any, **kwargs: Any) -> Any:
            gc.collect()
            seen.append(intake())
            return fit(*args, **kwargs)

        return fitted

    monkeypatch.setattr(pipeline, "fit", watched(pipeline.fit))
    job.finish()
    assert seen == [None]
