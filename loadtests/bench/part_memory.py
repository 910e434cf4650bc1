"""What a customer costs in memory, and that time grows with the rows: uploads generated on the fly, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.bench.rows import OURS, Row, at_most
from loadtests.bench.sizes import Sizes
from loadtests.datasets import FOLDER
from loadtests.memory import Peak, measure
from service.threads import ThreadTeam

__all__ = ["run_memory", "run_scale"]

FIXED_BYTES = 300 * 10**6
BYTES_PER_CUSTOMER = 200
LINEAR = 1.2


def _data(rows: int, peak: Peak) -> str:
    return f"{rows:,} rows → {peak.customers:,} customers, int64 ids, occasion=row"


def _told(peak: Peak) -> str:
    return f"peak {peak.peak_bytes / 1e6:,.0f} MB, {peak.idle_bytes / 1e6:,.0f} MB before; {peak.seconds:,.1f} s"


def run_memory(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    """The process's peak beyond a fixed 300 MB, over the customers in the reply."""
    FOLDER.mkdir(exist_ok=True)
    for number, (rows, customers) in enumerate(sizes.memory):
        peak = measure(rows, customers, None)
        beyond = max(0, peak.peak_bytes - FIXED_BYTES)
        yield at_most(
            f"memory/{number + 1}", "peak memory per customer, the whole job over HTTP", _data(rows, peak), "bytes",
            beyond / peak.customers, BYTES_PER_CUSTOMER, "bytes per customer beyond 300 MB", note=_told(peak),
        )  # fmt: skip


def run_scale(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    """Seconds per row, against those of the size before; generating the rows is part of the time, on the same cores."""
    FOLDER.mkdir(exist_ok=True)
    before: float | None = None
    for number, (rows, customers) in enumerate(sizes.scale):
        peak = measure(rows, customers, None)
        per_row = peak.seconds / rows
        yield Row(
            key=f"scale/{number + 1}",
            what="the whole job over HTTP, rows generated on the fly",
            data=_data(rows, peak),
            unit="s",
            values={OURS: peak.seconds},
            ratio=per_row / before if before else None,
            ratio_of="seconds per row / those of the size before" if before else "the first size",
            target=LINEAR if before else None,
            direction="≤",
            rounds=1,
            note=_told(peak),
        )
        before = per_row
