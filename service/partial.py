"""Partial states as Arrow: parts of the rows are aggregated apart, on other threads, replicas or Spark, then merged.

One row per customer of the part:

    customer_id   as it came, a dictionary as its value type
    first_row     int64, number of its first kept row among all rows; null: only rows outside the window
    first_at      as timestamp came; null: no purchase
    last_at       as timestamp came; null: no purchase
    frequency     int64, purchase rows (occasion=row) or distinct occasions
    monetary      float64, or decimal128(38, s) for integers (s = 0) and decimals
    occasions     list of int64 (ticks or days) or of the order ids; null where the occasion is row

The schema metadata `segserve.partial` is JSON: the format version, what was aggregated how, and the counts. States
merge in any order: counts, dates, integer and decimal sums are then as if all rows had come in one stream, and float
sums differ by rounding only. A state can be cut by customers; its counts then come with each piece, so take them from
one piece only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from kernels.hashing import EntryKeys
from kernels.keys import FixedKeys, take_keys
from kernels.rfm import Counts, Customers, Partial, sums_fit
from proto.errors import ErrorCode, RequestError
from service import columns as cols
from service.identities import Identities
from service.population import NO_PURCHASE

__all__ = ["PARTIAL_KEY", "from_batch", "to_batch"]

PARTIAL_KEY = b"segserve.partial"
FORMAT_VERSION = 1
NEVER = np.iinfo(np.int64).max  # first_row of a customer without a kept row

Ints = npt.NDArray[np.int64]


def to_batch(
    partial: Partial, types: dict[str, pa.DataType], facts: dict[str, Any], identities: Identities
) -> pa.RecordBatch:
    """A table's state as one record batch; `types` are those of the input columns by our names.

    OverflowError when a sum has more than 38 digits.
    """
    customers = partial.customers
    n = len(customers.frequency)
    sums: npt.NDArray[Any] = customers.sums
    exact = cols.amount_kind(types["amount"]) != "float"
    if exact and not sums_fit(sums, "decimal38"):
        raise OverflowError
    missing = customers.last_tick == NO_PURCHASE
    never = customers.first_row == NEVER
    columns = {
        "customer_id": cols.id_column(identities.restore(customers.keys), types["customer_id"]),
        "first_row": pa.array(np.where(never, 0, customers.first_row), mask=never),
        "first_at": cols.time_column(customers.first_tick, missing, types["timestamp"]),
        "last_at": cols.time_column(customers.last_tick, missing, types["timestamp"]),
        "frequency": pa.array(customers.frequency),
        "monetary": cols.monetary_column(sums, _exact_type(types["amount"]) if exact else types["amount"]),
        "occasions": _occasions(partial, n, types),
    }
    content = {"format_version": FORMAT_VERSION, **facts, "counts": partial.counts._asdict()}
    schema = pa.schema(
        [(name, column.type) for name, column in columns.items()], metadata={PARTIAL_KEY: orjson.dumps(content)}
    )
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)


def from_batch(batch: pa.RecordBatch, facts: dict[str, Any], identities: Identities) -> tuple[Partial, dict[str, Any]]:
    """The state in a record batch and its metadata; RequestError when it was aggregated otherwise than `facts` say."""
    content = _content(batch.schema)
    for name, wanted in facts.items():
        if content.get(name) != wanted:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"A partial state was aggregated with {name}={content.get(name)}, this one with {wanted}; states that "
                "are merged must be made with the same options.",
                option=name,
                found=content.get(name),
                wanted=wanted,
            )
    n = batch.num_rows
    kept = np.asarray(batch["first_row"].is_valid().to_numpy(zero_copy_only=False))
    first_row = np.where(kept, batch["first_row"].fill_null(0).to_numpy(), NEVER)
    sums: npt.NDArray[Any] = cols.amount_array(batch["monetary"], "monetary")
    occasions = batch["occasions"]
    places, values, orders = np.zeros(0, np.int32), np.zeros(0, np.int64), None
    if not pa.types.is_null(occasions.type):
        places = np.repeat(np.arange(n, dtype=np.int32), occasions.value_lengths().fill_null(0).to_numpy())
        flat = occasions.flatten()
        if pa.types.is_int64(flat.type):
            values = np.asarray(flat.to_numpy())
        else:
            keys = cols.keys_of(flat)
            if isinstance(keys, FixedKeys):
                values = keys.bits.view(np.int64)
            else:
                orders = keys
    ids = identities.keys_of(batch["customer_id"])
    assert not isinstance(ids, EntryKeys)  # a state has no dictionary
    customers = Customers(
        keys=ids,
        first_row=first_row,
        first_tick=_ticks(batch["first_at"]),
        last_tick=_ticks(batch["last_at"]),
        frequency=np.asarray(batch["frequency"].to_numpy()),
        sums=sums,
    )
    return Partial(customers, places, values, orders, Counts(**content["counts"])), content


def _content(schema: pa.Schema) -> dict[str, Any]:
    found = (schema.metadata or {}).get(PARTIAL_KEY)
    content = orjson.loads(found) if found is not None else {}
    if content.get("format_version") != FORMAT_VERSION:
        raise RequestError(
            ErrorCode.MALFORMED_BODY,
            f"This is no partial state of format version {FORMAT_VERSION}: the schema metadata {PARTIAL_KEY.decode()} "
            f"says {content.get('format_version')}.",
            found=content.get("format_version"),
            wanted=FORMAT_VERSION,
        )
    return dict(content)


def _exact_type(amount_type: pa.DataType) -> pa.DataType:
    """Decimals for exact sums: integers too, whose sums may have left 64 bits on the way."""
    return amount_type if pa.types.is_decimal(amount_type) else pa.decimal128(38, 0)


def _ticks(column: pa.Array) -> Ints:
    valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
    return np.where(valid, cols.ticks_of(column), NO_PURCHASE)


def _occasions(partial: Partial, n: int, types: dict[str, pa.DataType]) -> pa.Array:
    """Each customer's distinct occasions as a list; all null where frequency counts rows."""
    places = partial.pair_customers
    order = np.argsort(places, kind="stable")
    if partial.pair_orders is not None:
        values = cols.id_column(take_keys(partial.pair_orders, order), types["order_id"])
    elif "order_id" in types:
        values = cols.id_column(FixedKeys(partial.pair_values[order].view(np.uint64)), types["order_id"])
    elif len(places):
        values = pa.array(partial.pair_values[order])
    else:
        return pa.nulls(n)
    offsets = np.zeros(n + 1, np.int32)
    np.cumsum(np.bincount(places, minlength=n), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values)
