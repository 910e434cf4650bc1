"""Transactions → one record per customer, against polars, DuckDB, pyarrow and pandas, and the memory's limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from loadtests.bench.aggregate_peers import contestants
from loadtests.bench.checks import check_groups
from loadtests.bench.data import customer_indices, transactions_table
from loadtests.bench.limits import random_updates
from loadtests.bench.ours import aggregate, aggregated_table
from loadtests.bench.rows import OURS, Row, faster_than_peers, within
from loadtests.bench.sizes import Sizes
from loadtests.bench.timing import interleaved_seconds
from service.threads import ThreadTeam

__all__ = ["run"]


class Case(NamedTuple):
    """One table: what its rows are, and how many times faster than the fastest peer we want to be."""

    key: str
    what: str
    ids: str
    rows_per_customer: float
    how: str
    target: float
    occasion: str = "row"


CASES = (
    Case("int64-1m", "int64 ids, uniform", "int64", 10, "uniform", 4),
    Case("int64-100k", "int64 ids, few customers", "int64", 100, "uniform", 2),
    Case("int64-5m", "int64 ids, many customers", "int64", 2, "uniform", 2),
    Case("int64-zipf", "int64 ids, zipf", "int64", 10, "zipf", 2),
    Case("int64-sorted", "int64 ids, sorted by customer", "ordered", 10, "sorted", 2),
    Case("string", "string ids", "string", 10, "uniform", 4),
    Case("uuid", "UUIDs, 16 bytes", "uuid", 10, "uniform", 4),
    Case("dictionary", "dictionary ids", "dictionary", 10, "uniform", 4),
    Case("orders", "distinct orders, shuffled lines", "int64", 10, "uniform", 3, "order"),
    Case("times", "distinct times, shuffled lines", "int64", 10, "uniform", 3, "time"),
)
ROWS_PER_ORDER = 5


def run(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    for case in CASES:
        yield _against_peers(case, sizes, team)
    yield _one_core(sizes)
    yield _adversarial(sizes, team)


def _table(case: Case, rows: int) -> pa.Table:
    indices = customer_indices(rows, round(rows / case.rows_per_customer), case.how)
    orders = rows // ROWS_PER_ORDER if case.occasion != "row" else None
    return transactions_table(indices, case.ids, orders)


def _data(rows: int, customers: int, occasion: str = "row") -> str:
    lines = f", {rows // ROWS_PER_ORDER:,} orders" if occasion != "row" else ""
    return f"{rows:,} rows{lines}, {customers:,} customers"


def _against_peers(case: Case, sizes: Sizes, team: ThreadTeam) -> Row:
    table = _table(case, sizes.rows)
    wanted = aggregated_table(aggregate(table, case.occasion, team))
    peers, missing = contestants(table, case.occasion, team.n_threads)
    for name, (work, told) in peers.items():
        check_groups(name, told(work(-1)), wanted)
    runs = {OURS: lambda _: aggregate(table, case.occasion, team)}
    seconds = interleaved_seconds(runs | {name: work for name, (work, _) in peers.items()}, sizes.rounds)
    return faster_than_peers(
        f"aggregate/{case.key}",
        f"aggregate ({case.occasion}), {case.what}",
        _data(sizes.rows, len(wanted), case.occasion),
        seconds,
        case.target,
        rounds=sizes.rounds,
        missing=missing,
    )


def _one_core(sizes: Sizes) -> Row:
    indices = customer_indices(sizes.rows, sizes.rows // 10)
    table = transactions_table(indices)
    alone = ThreadTeam(1)
    limit = random_updates(indices, sizes.rows // 10)
    seconds = interleaved_seconds({OURS: lambda _: aggregate(table, "row", alone), "limit": limit}, sizes.rounds)
    return within(
        "aggregate/one-core",
        "aggregate (row) on one core, int64 ids, uniform",
        _data(sizes.rows, sizes.rows // 10),
        "s",
        seconds,
        "limit",
        1.5,
        rounds=sizes.rounds,
        note="limit: a prefetched random read-modify-write of one 64-byte line per row, by a kernel of the bench",
    )


def _adversarial(sizes: Sizes, team: ThreadTeam) -> Row:
    indices = customer_indices(sizes.rows, sizes.rows // 10)
    hard, normal = transactions_table(indices, "adversarial"), transactions_table(indices)
    runs = {OURS: lambda _: aggregate(hard, "row", team), "normal ids": lambda _: aggregate(normal, "row", team)}
    return within(
        "aggregate/adversarial",
        "aggregate (row), adversarial int64 ids",
        _data(sizes.rows, sizes.rows // 10),
        "s",
        interleaved_seconds(runs, sizes.rounds),
        "normal ids",
        2.0,
        rounds=sizes.rounds,
        note="ids that differ in their upper 32 bits only: one bucket of a table that masks an unseeded hash",
    )
