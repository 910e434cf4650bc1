"""A small shop that has every column that any scheme reads, and requests that ask for schemes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from proto.model import Model
from service.outcome import Outcome
from service.schemes.scheme import Scheme
from tests.data.jobs import rows, run

AS_OF = "2024-06-15"
_END = dt.datetime(2024, 6, 14, tzinfo=dt.UTC)
_DAYS = 900


def columns_of(scheme: Scheme) -> dict[str, tuple[str, tuple[str, ...]]]:
    """(kind, examples) of the columns that a scheme reads, a name that ends in * as two."""
    found = {}
    for column in scheme.columns:
        names = [column.name]
        if column.name.endswith("*"):
            names = [column.name[:-1] + end for end in ("one", "two")]
        found |= dict.fromkeys(names, (column.kind, column.examples))
    return found


def _values(kind: str, examples: tuple[str, ...], n: int, rng: np.random.Generator) -> pa.Array:
    missing = rng.random(n) < 0.15
    if kind == "number":
        return pa.array(rng.gamma(1.0, 0.3, n), mask=missing)
    if kind == "flag":
        return pa.array(rng.random(n) < 0.1, mask=missing)
    if kind in ("label", "ordered"):
        return pa.array(rng.choice(examples, n), pa.utf8(), mask=missing).dictionary_encode()
    if kind == "id":
        return pa.array([f"id-{i}" for i in rng.integers(0, 6, n)], pa.utf8(), mask=missing)
    days = rng.integers(0, _DAYS, n)
    return pa.array([(_END - dt.timedelta(days=int(day))).date() for day in days], pa.date32(), mask=missing)


def transactions(scheme: Scheme, n_rows: int = 500, n_customers: int = 40, seed: int = 0) -> pa.Table:
    """Random rows: customers of all kinds, refunds, ties, some with refunds only."""
    rng = np.random.default_rng(seed)
    customers = rng.integers(0, n_customers, n_rows)
    seconds = rng.integers(0, _DAYS * 86_400, n_rows) // (1 + 3 * (customers % 4))
    amounts = np.round(rng.gamma(2.0, 20.0, n_rows) - 8.0, 2)
    amounts[customers == 0] = -5.0
    table = {
        "customer_id": pa.array([f"c{i}" for i in customers]),
        "timestamp": pa.array([_END - dt.timedelta(seconds=int(s)) for s in seconds], pa.timestamp("us", "UTC")),
        "amount": pa.array(amounts),
        "order_id": pa.array(np.arange(n_rows) // 2),
    }
    for name, (kind, examples) in columns_of(scheme).items():
        table.setdefault(name, _values(kind, examples, n_rows, rng))
    return pa.table(table)


def customers_table(scheme: Scheme, n: int = 60, seed: int = 0) -> pa.Table:
    """A table with one row per customer that has the scheme's columns, and recency, frequency and monetary value."""
    rng = np.random.default_rng(seed)
    table = {
        "customer_id": pa.array([f"c{i}" for i in range(n)]),
        "recency_days": pa.array(rng.gamma(2.0, 30.0, n)),
        "frequency": pa.array(rng.integers(0, 9, n)),
        "monetary": pa.array(np.round(rng.gamma(2.0, 60.0, n) - 10.0, 2)),
        "tenure_days": pa.array(rng.gamma(2.0, 200.0, n)),
    }
    for name, (kind, examples) in columns_of(scheme).items():
        table.setdefault(name, _values(kind, examples, n, rng))
    return pa.table(table)


def asked(scheme: Scheme) -> dict[str, str]:
    """The options that ask for a scheme, with the parameters that it cannot do without."""
    needed = {f"{scheme.name}.{p.name}": p.example for p in scheme.parameters if p.example}
    return {"schemes": scheme.name, **needed}


def request(table: pa.Table, schemes: str | dict[str, str], model: Model | None = None, **options: Any) -> Outcome:
    """Segments the table, or scores it, with schemes and their parameters (`growth.window` and so on)."""
    texts = {"schemes": schemes} if isinstance(schemes, str) else schemes
    if "timestamp" in table.column_names:
        options = {"as_of": AS_OF, **options}
    if model is None:
        options = {"k": 2, "n_init": 1, **options}
    return run(table, model, **options, **texts)


def told(outcome: Outcome, scheme: str) -> dict[Any, dict[str, Any]]:
    """The scheme's columns by customer, without its name in front; the class is `class`."""
    found = {}
    for row in rows(outcome).to_pylist():
        own = {name: value for name, value in row.items() if name == scheme or name.startswith(f"{scheme}_")}
        found[row["customer_id"]] = {name.removeprefix(scheme).removeprefix("_") or "class": own[name] for name in own}
    return found


def purchases(*bought: tuple[str, str, float], **columns: Sequence[Any]) -> pa.Table:
    """Transactions by hand: (customer, day or time, amount), and further columns."""
    times = [dt.datetime.fromisoformat(time).replace(tzinfo=dt.UTC) for _, time, _ in bought]
    return pa.table(
        {
            "customer_id": [customer for customer, _, _ in bought],
            "timestamp": pa.array(times, pa.timestamp("us", "UTC")),
            "amount": [float(amount) for _, _, amount in bought],
            **columns,
        }
    )
