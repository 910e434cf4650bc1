"""The same group-by by polars, DuckDB, pyarrow and pandas: last time, frequency and sum of amounts per customer.

Each gets the data in its own favourite form before the clock starts, and all cores. Nobody else is asked for the first
time, for the customers' order or for checks, which the service also has.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from loadtests.bench.peers import load

__all__ = ["PEERS", "Contestant", "contestants"]

PEERS = {"polars": "polars", "duckdb": "DuckDB", "pyarrow": "pyarrow", "pandas": "pandas"}
"""Module → how its contestants' names begin."""

Contestant = tuple[Callable[[int], Any], Callable[[Any], pa.Table]]
"""What is timed, and how its result becomes a table of customer_id, last, frequency, monetary."""

DISTINCT = {"row": None, "order": "order_id", "time": "timestamp"}


def contestants(table: pa.Table, occasion: str, threads: int) -> tuple[dict[str, Contestant], list[str]]:
    """The contestants by name, and the peers that are not installed."""
    makers = {"polars": _polars, "duckdb": _duckdb, "pyarrow": _pyarrow, "pandas": _pandas}
    found: dict[str, Contestant] = {}
    missing = []
    for module_name, make in makers.items():
        module = load(module_name)
        if module is None:
            missing.append(PEERS[module_name])
        else:
            found |= make(module, table, DISTINCT[occasion], threads)
    return found, missing


def _polars(pl: Any, table: pa.Table, distinct: str | None, threads: int) -> dict[str, Contestant]:
    """In memory and streaming; distinct occasions also as two group-bys, which is faster where they are many."""
    assert pl.thread_pool_size() == threads
    frame = pl.from_arrow(table).lazy()
    last, total = pl.col("timestamp").max().alias("last"), pl.col("amount").sum().alias("monetary")
    count = pl.len() if distinct is None else pl.col(distinct).n_unique()
    query = frame.group_by("customer_id").agg(last, count.alias("frequency"), total)
    queries = {"polars": query}
    if distinct is not None:
        queries["polars, two steps"] = (
            frame.group_by("customer_id", distinct)
            .agg(pl.col("timestamp").max().alias("at") if distinct != "timestamp" else pl.len(), pl.col("amount").sum())
            .group_by("customer_id")
            .agg(
                pl.col("at" if distinct != "timestamp" else "timestamp").max().alias("last"),
                pl.len().alias("frequency"),
                pl.col("amount").sum().alias("monetary"),
            )
        )

    def run(query: Any, engine: str) -> Callable[[int], Any]:
        return lambda _: query.collect(engine=engine)

    def told(frame: Any) -> pa.Table:
        return frame.to_arrow()

    found: dict[str, Contestant] = {}
    for name, query in queries.items():
        found[name] = run(query, "in-memory"), told
        found[f"{name}, streaming"] = run(query, "streaming"), told
    return found


def _duckdb(duckdb: Any, table: pa.Table, distinct: str | None, threads: int) -> dict[str, Contestant]:
    """A table of its own, in memory; UUIDs as UUID, dictionaries as ENUM; order need not be kept."""
    connection = duckdb.connect(":memory:")
    connection.execute(f"SET threads = {threads}; SET preserve_insertion_order = false")
    connection.execute("SET arrow_lossless_conversion = true")
    ids, kind = table.column("customer_id"), table.schema.field("customer_id").type
    if pa.types.is_fixed_size_binary(kind):
        chunks = [pa.ExtensionArray.from_storage(pa.uuid(), chunk) for chunk in ids.chunks]
        table = table.set_column(0, "customer_id", pa.chunked_array(chunks, pa.uuid()))
    connection.register("sent", table)
    column = "customer_id AS customer_id"
    if pa.types.is_dictionary(kind):
        connection.register("names", pa.table({"name": ids.chunk(0).dictionary}))
        connection.execute("CREATE TYPE ids AS ENUM (SELECT name FROM names)")
        column = "customer_id::ids AS customer_id"
    connection.execute(f"CREATE TABLE transactions AS SELECT * REPLACE ({column}) FROM sent")
    connection.unregister("sent")
    count = "count(*)" if distinct is None else f"count(DISTINCT {distinct})"
    queries = {
        "DuckDB": f"SELECT customer_id, max(timestamp) AS last, {count} AS frequency, sum(amount) AS monetary "
        "FROM transactions GROUP BY customer_id"
    }
    if distinct is not None:
        queries["DuckDB, two steps"] = (
            "SELECT customer_id, max(last) AS last, count(*) AS frequency, sum(monetary) AS monetary FROM ("
            "SELECT customer_id, max(timestamp) AS last, sum(amount) AS monetary FROM transactions "
            f"GROUP BY customer_id, {distinct}) GROUP BY customer_id"
        )

    def run(query: str) -> Callable[[int], Any]:
        return lambda _: connection.sql(query).to_arrow_table()

    return {name: (run(query), lambda table: table) for name, query in queries.items()}


def _pyarrow(_: Any, table: pa.Table, distinct: str | None, threads: int) -> dict[str, Contestant]:
    pa.set_cpu_count(threads)
    count = ("customer_id", "count") if distinct is None else (distinct, "count_distinct")
    what = [("timestamp", "max"), count, ("amount", "sum")]

    def run(_: int) -> pa.Table:
        return table.group_by("customer_id", use_threads=True).aggregate(what)

    def told(result: pa.Table) -> pa.Table:
        renamed = {"timestamp_max": "last", "_".join(count): "frequency", "amount_sum": "monetary"}
        return result.rename_columns([renamed.get(name, name) for name in result.column_names])

    return {"pyarrow": (run, told)}


def _pandas(pd: Any, table: pa.Table, distinct: str | None, threads: int) -> dict[str, Contestant]:
    """numpy columns for numbers and times, Arrow ones for ids made of bytes, a categorical for a dictionary."""
    arrow_ids = not pa.types.is_integer(table.schema.field("customer_id").type)
    frame = table.to_pandas()
    if arrow_ids and not isinstance(frame["customer_id"].dtype, pd.CategoricalDtype):
        kind = table.schema.field("customer_id").type
        frame["customer_id"] = pd.Series(
            pd.arrays.ArrowExtensionArray(table.column("customer_id")), dtype=pd.ArrowDtype(kind)
        )
    count = ("amount", "size") if distinct is None else (distinct, "nunique")

    def run(_: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            groups = frame.groupby("customer_id", sort=False, observed=True)
            return groups.agg(last=("timestamp", "max"), frequency=count, monetary=("amount", "sum"))

    def told(result: Any) -> pa.Table:
        return pa.Table.from_pandas(result.reset_index(), preserve_index=False)

    return {"pandas": (run, told)}
