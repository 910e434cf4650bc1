"""The job's steps: what one holds while the next one runs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from proto.limits import Limits
from proto.options import SegmentOptions
from service import pipeline
from service.threads import ThreadTeam


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Collects no circles of references: memory must not wait for that."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
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
    intakes = [job._intake] if rollup is None else [job._intake, job._intake._households, job._intake._spend]
    there = [weakref.ref(intake) for intake in intakes]
    del intakes
    seen: list[Any] = []

    def watched(fit: Callable[..., Any]) -> Callable[..., Any]:
        def fitted(*args: Any, **kwargs: Any) -> Any:
            seen.extend(one() for one in there)
            return fit(*args, **kwargs)

        return fitted

    monkeypatch.setattr(pipeline, "fit", watched(pipeline.fit))
    job.finish()
    assert seen == [None] * len(there)
