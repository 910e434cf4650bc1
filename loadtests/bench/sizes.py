"""How much data each part of the bench takes: the sizes of the targets, a minute's worth, and next to nothing."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FULL", "QUICK", "SEED", "TINY", "Sizes"]

SEED = 7
MIB = 1 << 20


class Scale(NamedTuple):
    """Rows sent in one request, and the customers they are of."""

    rows: int
    customers: int


class Sizes(NamedTuple):
    """What the parts of one run take; `name` says which sizes these are."""

    name: str
    rounds: int
    rows: int  # of transactions; a tenth as many customers, unless a case says otherwise
    job_rows: int
    points: int  # customers to cluster and to score
    upload_bytes: int
    load_seconds: float  # per round, contestant and case of small requests
    memory: tuple[Scale, ...]
    scale: tuple[Scale, ...]


FULL = Sizes(
    name="full",
    rounds=5,
    rows=10_000_000,
    job_rows=10_000_000,
    points=1_000_000,
    upload_bytes=256 * MIB,
    load_seconds=2.0,
    memory=(Scale(20_000_000, 5_000_000), Scale(40_000_000, 10_000_000)),
    scale=(Scale(10_000_000, 1_000_000), Scale(100_000_000, 10_000_000), Scale(400_000_000, 40_000_000)),
)
QUICK = Sizes(
    name="quick",
    rounds=3,
    rows=100_000,
    job_rows=100_000,
    points=10_000,
    upload_bytes=32 * MIB,
    load_seconds=0.1,
    memory=(Scale(2_000_000, 500_000),),
    scale=(Scale(1_000_000, 100_000), Scale(4_000_000, 400_000)),
)
TINY = Sizes(
    name="tiny",
    rounds=1,
    rows=2_000,
    job_rows=2_000,
    points=2_000,
    upload_bytes=MIB,
    load_seconds=0.05,
    memory=(Scale(2_000, 500),),
    scale=(Scale(1_000, 100), Scale(4_000, 400)),
)
