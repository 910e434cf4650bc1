"""Made-up transactions, batch by batch, so that any number of rows can be sent without being held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

__all__ = ["BATCH_ROWS", "transactions"]

BATCH_ROWS = 65_536
_START_US = 1_704_067_200 * 10**6  # 2024-01-01
_YEAR_US = 366 * 86_400 * 10**6


def transactions(
    n_rows: int, n_customers: int, *, n_orders: int | None = None, seed: int = 0, batch_rows: int = BATCH_ROWS
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Rows of uniformly chosen customers over a year; with `n_orders`, each order belongs to one customer."""
    fields = [("customer_id", pa.int64()), ("timestamp", pa.timestamp("us", "UTC")), ("amount", pa.float64())]
    if n_orders is not None:
        fields.append(("order_id", pa.int64()))
    schema = pa.schema(fields)

    def batches() -> Iterator[pa.RecordBatch]:
        random = np.random.default_rng(seed)
        for start in range(0, n_rows, batch_rows):
            n = min(batch_rows, n_rows - start)
            if n_orders is None:
                orders, customers = None, random.integers(0, n_customers, n)
            else:
                orders = random.integers(0, n_orders, n)
                customers = orders * 2_654_435_761 % n_customers
            columns = [
                pa.array(customers),
                pa.array(_START_US + random.integers(0, _YEAR_US, n)).cast(schema.field("timestamp").type),
                pa.array(np.round(random.gamma(2.0, 20.0, n), 2)),
            ]
            if orders is not None:
                columns.append(pa.array(orders))
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return schema, batches()
