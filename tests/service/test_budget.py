"""The memory budget: what does not fit is refused, all is given back, and reservations cover what requests take."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.media import Media
from proto.options import SegmentOptions, parse_options
from service.budget import MIB, Budget, Reservation, available_memory, reply_bytes, resident_bytes
from service.metrics import Metrics, StageTimer
from service.models import ModelStore
from service.threads import ThreadTeam
from service.work import Work
from tests.wire.server import stream_of


def test_what_fits_is_reserved_and_given_back() -> None:
    metrics = Metrics()
    budget = Budget(100, metrics)
    with budget.reservation() as one:
        one.set("table", 60)
        one.add("body", 30)
        one.set("table", 50)
        one.add("body", -10)
        assert (one.held, one.peak, budget.reserved) == (70, 90, 70)
        assert metrics.registry.get_sample_value("segserve_memory_reserved_bytes") == 70
    assert (one.held, budget.reserved) == (0, 0)
    assert metrics.registry.get_sample_value("segserve_memory_budget_bytes") == 100


def test_what_others_hold_is_worth_another_try() -> None:
    budget = Budget(100)
    one, other = budget.reservation(), budget.reservation()
    one.set("table", 60)
    other.set("body", 10)
    with pytest.raises(RequestError) as caught:
        other.set("table", 40)
    assert (caught.value.code, caught.value.status) == (ErrorCode.BUSY, 503)
    assert caught.value.facts == {"limit": "memory_budget_bytes", "found": 50, "wanted": 40}
    assert (other.held, budget.reserved) == (10, 70)
    one.close()
    other.set("table", 40)


def test_what_would_not_fit_alone_is_too_large() -> None:
    budget = Budget(100)
    one, other = budget.reservation(), budget.reservation()
    one.set("table", 90)
    other.set("body", 1)
    with pytest.raises(RequestError) as caught:
        other.set("table", 100)
    assert (caught.value.code, caught.value.status) == (ErrorCode.LIMIT_EXCEEDED, 413)
    assert caught.value.facts == {"limit": "memory_budget_bytes", "found": 101, "wanted": 100}
    assert "SEGSERVE_MEMORY_BUDGET_BYTES" in caught.value.detail


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ({"memory.max": "1000000\n"}, 1_000_000),
        ({"memory/memory.limit_in_bytes": "2000000\n"}, 2_000_000),
        ({"memory.max": "max\n"}, None),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ({}, None),
    ],
)
def test_the_container_has_what_its_limit_says(files: dict[str, str], share: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    machine = available_memory(tmp_path / "nothing")
    assert machine > 1 << 20
    assert available_memory(tmp_path) == (machine if share is None else share)
    assert Budget().total < available_memory()


@pytest.mark.parametrize(
    ("own", "file"),
    [
        ("0::/pods/ours\n", "pods/ours/memory.max"),
        ("0::/pods/ours\n", "pods/memory.max"),
        ("4:memory:/pods/ours\n3:cpuset:/\n0::/\n", "memory/pods/ours/memory.limit_in_bytes"),
        ("no groups", "memory.max"),
    ],
)
def test_the_limit_of_a_group_further_up_or_down_counts_as_well(own: str, file: str, tmp_path: Path) -> None:
    (tmp_path / "own").write_text(own)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("1000000\n")
    assert available_memory(tmp_path, tmp_path / "own") == 1_000_000


def test_what_the_process_has_when_it_is_ready_is_no_part_of_the_budget() -> None:
    budget, asked_for = Budget(), Budget(100)
    before = budget.total
    budget.settle(10 * MIB)
    assert before - budget.total == pytest.approx(7 * MIB, abs=2)
    asked_for.settle(10 * MIB)
    assert asked_for.total == 100
    budget.settle()
    assert 0 < budget.total < before
    assert resident_bytes() > MIB


@pytest.mark.parametrize(("container", "share"), [(8_000, 0.7 * 7_800), (1_000, 400), (500, 0.35 * 300)])
def test_a_small_container_leaves_room_for_what_allocators_keep(
    container: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In megabytes, with 200 for the process."""
    monkeypatch.setattr("service.budget.available_memory", lambda: container * 10**6)
    budget = Budget()
    budget.settle(200 * 10**6)
    assert budget.total == pytest.approx(share * 10**6, abs=2)


# What requests take

N = 30_000


def rows(ids: str, *, groups: bool = False) -> pa.Table:
    numbers = np.arange(N)
    texts = pa.array([f"customer-with-a-long-name-{i}" for i in range(N)])
    return pa.table(
        {
            "customer_id": pa.array(numbers * 1_000_003) if ids == "integers" else texts,
            "timestamp": pa.array(1_767_225_600_000_000 + numbers).cast(pa.timestamp("us", "UTC")),
            "amount": pa.array((numbers % 997).astype(np.float64)),
            **({"region": pa.array((numbers % 40).astype(np.int16))} if groups else {}),
        }
    )


def body_of(table: pa.Table, media: Media) -> bytes:
    if media is Media.ARROW:
        return bytes(stream_of(table, max_rows=10_000))
    if media is Media.PARQUET:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        return bytes(sink.getvalue())
    table = table.set_column(1, "timestamp", table["timestamp"].cast(pa.string()))
    if media is Media.CSV:
        sink = pa.BufferOutputStream()
        pa.csv.write_csv(table, sink)
        return bytes(sink.getvalue())
    return orjson.dumps({"rows": table.to_pylist()})


@pytest.mark.parametrize(
    ("media", "ids", "occasion", "unit"),
    [
        (Media.ARROW, "integers", "row", None),
        (Media.ARROW, "integers", "time", None),
        (Media.ARROW, "texts", "row", None),
        (Media.ARROW, "texts", "time", None),
        (Media.JSON, "texts", "row", None),
        (Media.CSV, "texts", "row", None),
        (Media.PARQUET, "texts", "row", None),
        (Media.ARROW, "texts", "row", "row"),
        (Media.ARROW, "integers", "time", "customer"),
    ],
)
def test_reservations_cover_what_a_request_takes(media: Media, ids: str, occasion: str, unit: str | None) -> None:
    """Of all that Python and numpy allocate, and of what pyarrow holds at the end of each piece."""
    body, team = body_of(rows(ids, groups=unit is not None), media), ThreadTeam(1)
    budget = Budget(1 << 32)
    memory = budget.reservation()
    parted = [] if unit is None else [("partition_by", "region"), ("unit", unit)]
    options = parse_options(SegmentOptions, [("k", "2"), ("n_init", "1"), ("occasion", occasion), *parted])
    work = Work(
        options,
        media,
        None,
        store=ModelStore({}),
        limits=Limits(),
        team=team,
        timer=StageTimer(),
        expected_bytes=None,
        memory=memory,
    )
    arrow_before = pa.total_allocated_bytes()
    arrow_peak = 0
    tracemalloc.start()
    try:
        for start in range(0, len(body), 1 << 16):
            work.take(work.feed(body[start : start + (1 << 16)]))
            arrow_peak = max(arrow_peak, pa.total_allocated_bytes() - arrow_before)
        work.take(work.end())
        for _ in work.reply(work.finish(), Media.ARROW):
            arrow_peak = max(arrow_peak, pa.total_allocated_bytes() - arrow_before)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        work.close()
        team.close()
    assert taken < memory.peak
    assert taken + arrow_peak < memory.peak * 1.5
    assert memory.peak < 12 * (taken + arrow_peak)
    memory.close()
    assert budget.reserved == 0


def test_a_reply_is_a_few_of_its_pieces() -> None:
    assert reply_bytes(0) == 0
    assert reply_bytes(10) < 10_000
    assert reply_bytes(10**9) == reply_bytes(10**8)


def test_without_a_budget_there_is_nothing_to_refuse() -> None:
    memory = Reservation()
    memory.set("table", 1 << 60)
    memory.close()
    assert memory.held == 0
