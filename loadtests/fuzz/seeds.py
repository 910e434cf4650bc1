"""Valid bodies to start from: transactions and customers tables in every type and format that is accepted."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import rfc8785

from loadtests.fuzz.arrow_mutators import stream_of
from loadtests.fuzz.parquet_mutators import file_of
from loadtests.fuzz.text_mutators import odd_value

__all__ = ["PEOPLE_OPTIONS", "Seeds", "as_text", "hostile_model", "people", "sealed", "shop"]

N_ROWS, N_CUSTOMERS = 40, 12
PEOPLE_OPTIONS = "features=visits,-returns"
_UTC = pa.timestamp("us", "UTC")


def shop(ids: pa.DataType | None = None, times: pa.DataType = _UTC, amounts: pa.DataType | None = None) -> pa.Table:
    """Transactions with orders; ids, times and amounts of these types."""
    rng = random.Random(7)
    numbers = [min(i, rng.randrange(N_CUSTOMERS)) for i in range(N_ROWS)]
    instants = pa.array([1_767_225_600_000_000 + rng.randrange(10**13) for _ in numbers], pa.timestamp("us"))
    money = pa.array([rng.randrange(-500, 20_000) / 100 for _ in numbers])
    kind = ids or pa.string()
    if pa.types.is_integer(kind):
        customers = pa.array(numbers, kind)
    elif pa.types.is_fixed_size_binary(kind):
        customers = pa.array([i.to_bytes(16, "big") for i in numbers], kind)
    else:
        customers = pa.array([f"c{i:03d}" for i in numbers]).cast(kind)
    amounts = amounts or pa.float64()
    return pa.table(
        {
            "customer_id": customers,
            "timestamp": instants.cast(times, safe=False),
            "amount": money.cast(amounts, safe=False)
            if not pa.types.is_decimal(amounts)
            else pa.array(numbers, amounts),
            "order_id": pa.array([i // 2 for i in range(N_ROWS)]),
        }
    )


def people() -> pa.Table:
    """A customers table."""
    return pa.table(
        {
            "customer_id": pa.array(range(30), pa.int64()),
            "visits": pa.array([(7 * i) % 11 for i in range(30)], pa.int32()),
            "returns": pa.array([(3 * i % 7) / 10 for i in range(30)]),
        }
    )


def sealed(model: dict[str, Any]) -> dict[str, Any]:
    """The model with the id its content has, so that nothing but its content can be refused."""
    content = {key: value for key, value in model.items() if key != "id"}
    try:
        return {**content, "id": hashlib.sha256(rfc8785.dumps(content)).hexdigest()}
    except (rfc8785.CanonicalizationError, RecursionError, ValueError):
        return {**content, "id": "0" * 64}


def hostile_model(rng: random.Random, model: dict[str, Any]) -> dict[str, Any]:
    """A model with a wrong value somewhere, most often under an id that fits it."""
    model = json.loads(json.dumps(model))
    for _ in range(rng.choice((1, 1, 2))):
        node: Any = model
        while True:
            place = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
            inner = node[place]
            if not isinstance(inner, dict | list) or not inner or rng.random() < 0.1:
                break
            node = inner
        match rng.randrange(6):
            case 0 if isinstance(node, list):
                node.extend(node * rng.choice((1, 20)))
            case 0 | 1:
                del node[place]
            case 2 if isinstance(inner, int | float):
                node[place] = rng.choice((-inner, inner * 1e300, 0, 1e308, 5e-324, -1, 2**53))
            case _:
                node[place] = odd_value(rng)
    return model if rng.random() < 0.1 else sealed(model)


def as_text(value: Any) -> str:
    """A value that JSON has no form for."""
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


class Seeds(NamedTuple):
    """What mutations start from; the models were fitted by the service under test."""

    models: dict[str, dict[str, Any]]
    tables: list[pa.Table]
    arrow: list[bytes]
    parquet: list[bytes]
    csv: list[str]
    rows: list[list[dict[str, Any]]]
    """For JSON."""

    @classmethod
    def of(cls, models: dict[str, dict[str, Any]]) -> Seeds:
        tables = [
            shop(),
            shop(pa.int64()),
            shop(pa.uint8(), pa.date32(), pa.int64()),
            shop(pa.dictionary(pa.int32(), pa.string()), pa.timestamp("ns"), pa.float32()),
            shop(pa.large_string(), pa.date64(), pa.decimal128(12, 2)),
            shop(pa.string_view(), pa.timestamp("s")),
            shop(pa.binary(16), pa.timestamp("ms", "Europe/Berlin")),
            people(),
        ]
        streams, files = [], []
        for i, table in enumerate(tables):
            batches = table.to_batches(max_chunksize=(10, 40)[i % 2])
            streams += [stream_of(table.schema, batches), stream_of(table.schema, batches, ("lz4", "zstd")[i % 2])]
            files.append(file_of(table))
        for name, table in (("shop", tables[1]), ("people", tables[-1])):
            text = json.dumps(models[name]).encode()
            with_model = table.replace_schema_metadata({b"segserve.model": text})
            streams.append(stream_of(with_model.schema, with_model.to_batches()))
        sheets = []
        for table in (tables[0], tables[-1]):
            sink = pa.BufferOutputStream()
            pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
            sheets.append(sink.getvalue().to_pybytes().decode().replace(" ", "T"))
        rows = [json.loads(json.dumps(table.to_pylist(), default=as_text)) for table in tables]
        return cls(models, tables, streams, files, sheets, rows)
