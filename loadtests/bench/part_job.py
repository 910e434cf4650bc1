"""The whole job, transactions → one row per customer with its segment: in process and over HTTP, against a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from loadtests.bench.arrow_client import post_table
from loadtests.bench.checks import check_close, check_equal
from loadtests.bench.data import customer_indices, transactions_table
from loadtests.bench.job_peers import K, check_segments, notebooks
from loadtests.bench.ours import BATCH_ROWS, segment
from loadtests.bench.rows import OURS, Row, faster_than_peers
from loadtests.bench.sizes import Sizes
from loadtests.bench.timing import interleaved_seconds
from loadtests.datasets import FOLDER
from loadtests.server import running_server
from proto.options import SegmentOptions
from service.threads import ThreadTeam

__all__ = ["run_in_process", "run_over_http"]

QUERY = f"occasion=row&k={K}"


def run_in_process(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    table = _table(sizes)
    options = SegmentOptions(occasion="row", k=K)
    yield _compare(
        "job/in-process",
        "the whole job, in process",
        table,
        lambda _: segment(table, options, team)[0],
        4.0,
        sizes,
        team,
    )


def run_over_http(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    """The service gets its own process; client, service and peers share the same cores."""
    table = _table(sizes)
    FOLDER.mkdir(exist_ok=True)
    with running_server(FOLDER / "bench-service.log") as server:
        ours = segment(table, SegmentOptions(occasion="row", k=K), team)[0]
        reply = post_table(server.url, f"/v1/segment?{QUERY}", table)
        for name in ours.column_names:
            compare = check_close if pa.types.is_floating(ours.schema.field(name).type) else check_equal
            compare("over HTTP", name, reply.column(name), ours.column(name))
        yield _compare(
            "http/whole-job",
            "the whole job over HTTP, Table to Table, peers in process",
            table,
            lambda _: post_table(server.url, f"/v1/segment?{QUERY}", table),
            2.0,
            sizes,
            team,
        )


def _table(sizes: Sizes) -> pa.Table:
    return transactions_table(customer_indices(sizes.job_rows, sizes.job_rows // 10))


def _compare(
    key: str, what: str, table: pa.Table, ours: Callable[[int], pa.Table], target: float, sizes: Sizes, team: ThreadTeam
) -> Row:
    wanted = ours(-1)
    peers, missing = notebooks(table, team.n_threads)
    for name, work in peers.items():
        check_segments(name, work(-1), wanted)
    seconds = interleaved_seconds({OURS: ours} | peers, sizes.rounds)
    return faster_than_peers(
        key, what, f"{len(table):,} rows → {len(wanted):,} customers, k = {K}", seconds, target, rounds=sizes.rounds,
        missing=missing,
        note=f"peers: one start, ours ten; batches of {BATCH_ROWS:,} rows",
    )  # fmt: skip
