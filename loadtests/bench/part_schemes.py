"""What each value scheme adds to the pass that aggregates: the same table with the scheme asked for, and without."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from loadtests.bench.data import customer_indices, transactions_table
from loadtests.bench.ours import aggregate
from loadtests.bench.rows import OURS, Row, within
from loadtests.bench.sizes import SEED, Sizes
from loadtests.bench.timing import interleaved_seconds
from proto.options import SegmentOptions, parse_options
from service.schemes.accumulations import Days, Distinct, LateOrders, Variety
from service.schemes.catalogue import catalogue
from service.schemes.request import asked_by
from service.schemes.scheme import Scheme
from service.threads import ThreadTeam

__all__ = ["columns_for", "options_for", "run"]

AS_OF = "2025-01-01"
ROWS_PER_ORDER = 5
LIMIT, SET_LIMIT = 1.3, 2.5
"""Times the base pass: of a scheme with a few numbers per customer, and of one that holds sets."""


def options_for(scheme: Scheme) -> SegmentOptions:
    """A request for this scheme, with the parameters that it cannot do without."""
    needed = [(f"{scheme.name}.{one.name}", one.example) for one in scheme.parameters if one.example]
    return parse_options(SegmentOptions, [("schemes", scheme.name), ("as_of", AS_OF), ("occasion", "order"), *needed])


def columns_for(scheme: Scheme, rows: int) -> dict[str, pa.Array]:
    """Columns of random values for all that the scheme reads, a name that ends in * as one."""
    random = np.random.default_rng(SEED + 5)
    columns = {}
    for column in scheme.columns:
        name = column.name.replace("*", "one")
        if column.kind == "number":
            values = pa.array(random.gamma(1.0, 0.3, rows))
        elif column.kind == "flag":
            values = pa.array(random.random(rows) < 0.1)
        elif column.kind in ("label", "ordered"):
            codes = pa.array(random.integers(0, len(column.examples), rows).astype(np.int32))
            values = pa.DictionaryArray.from_arrays(codes, pa.array(column.examples))
        elif column.kind == "id":
            values = pa.array(random.integers(0, 1_000, rows))
        else:
            values = pa.array(random.integers(19_723, 20_088, rows).astype(np.int32)).view(pa.date32())
        columns[name] = values
    return columns


def run(sizes: Sizes, team: ThreadTeam) -> Iterator[Row]:
    customers = sizes.rows // 10
    plain = transactions_table(customer_indices(sizes.rows, customers), orders=sizes.rows // ROWS_PER_ORDER)
    for scheme in catalogue().values():
        yield _one(scheme, plain, sizes, team)


def _one(scheme: Scheme, plain: pa.Table, sizes: Sizes, team: ThreadTeam) -> Row:
    table = plain
    for name, values in columns_for(scheme, sizes.rows).items():
        if name not in table.column_names:
            table = table.append_column(name, values)
    options = options_for(scheme)
    (asked,) = asked_by(options, None)
    kept = scheme.accumulate(asked.given, frozenset(table.column_names)).values()
    holds_sets = any(isinstance(one, Days | Distinct | LateOrders | Variety) for one in kept)
    without = options.model_copy(update={"schemes": {}})
    works = {
        OURS: lambda _: aggregate(table, "order", team, options),
        "base pass": lambda _: aggregate(table, "order", team, without),
    }
    found = interleaved_seconds(works, sizes.rounds)
    return within(
        f"schemes/{scheme.name}",
        f"aggregate (order) with schemes={scheme.name}" + (", which holds sets" if holds_sets else ""),
        f"{sizes.rows:,} rows, {sizes.rows // ROWS_PER_ORDER:,} orders, {sizes.rows // 10:,} customers",
        "s",
        found,
        "base pass",
        SET_LIMIT if holds_sets else LIMIT,
        rounds=sizes.rounds,
        note="" if kept else "nothing is kept beside the base's record",
    )
