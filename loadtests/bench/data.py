"""The bench's tables: transactions with every kind of id, and customers to cluster; seeded, the same in every run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loadtests.bench.sizes import SEED

__all__ = ["FeatureTable", "blob_customers", "customer_indices", "ids_of", "rfm_customers", "transactions_table"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

START_US = 1_704_067_200 * 10**6  # 2024-01-01
YEAR_US = 366 * 86_400 * 10**6
ODD = 0x2545F4914F6CDD1D  # spreads customer numbers over 63 bits, one to one


def customer_indices(rows: int, customers: int, how: str = "uniform") -> Ints:
    """Which customer each row is of: uniform, zipf (exponent 1) or sorted (uniform, in order of the ids)."""
    random = np.random.default_rng(SEED)
    if how == "zipf":
        cumulated = np.cumsum(1.0 / np.arange(1, customers + 1))
        ranks = np.searchsorted(cumulated, random.random(rows) * cumulated[-1])
        return np.asarray(random.permutation(customers)[np.minimum(ranks, customers - 1)])
    indices = random.integers(0, customers, rows)
    if how == "sorted":
        indices.sort()
    return indices


def ids_of(indices: Ints, kind: str) -> pa.Array:
    """The ids of these customers: int64, adversarial (one bucket of an unseeded hash), string, dictionary or uuid."""
    if kind == "int64":
        return pa.array((indices.astype(np.uint64) * np.uint64(ODD) & np.uint64(2**63 - 1)).view(np.int64))
    if kind == "ordered":
        return pa.array(indices)
    if kind == "adversarial":
        return pa.array(indices << 32)
    customers = int(indices.max(initial=0)) + 1
    if kind == "uuid":
        raw = np.random.default_rng(SEED + 1).bytes(16 * customers)
        distinct = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), customers, [None, pa.py_buffer(raw)])
        return distinct.take(pa.array(indices))
    names = pa.array([f"cust-{number:08d}" for number in range(customers)])
    if kind == "dictionary":
        return pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int32)), names)
    return names.take(pa.array(indices))


def transactions_table(indices: Ints, kind: str = "int64", orders: int | None = None) -> pa.Table:
    """Transactions of these customers over a year, amounts in cents of a gamma distribution.

    With `orders`, `indices` are the rows' orders' customers by chance: rows get an order each, an order one customer
    and one time, as the lines of a receipt have.
    """
    random = np.random.default_rng(SEED + 2)
    n = len(indices)
    columns = {}
    if orders is None:
        times = random.integers(0, YEAR_US, n)
    else:
        numbers = random.integers(0, orders, n)
        customers = int(indices.max(initial=0)) + 1
        indices = random.integers(0, customers, orders)[numbers]
        times = random.integers(0, YEAR_US, orders)[numbers]
        columns["order_id"] = ids_of(numbers, "int64")
    amounts = np.round(random.gamma(2.0, 20.0, n), 2)
    time_type = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "customer_id": ids_of(indices, kind),
            "timestamp": pa.array(START_US + times).view(time_type),
            "amount": pa.array(amounts),
            **columns,
        }
    )


class FeatureTable(NamedTuple):
    """Customers to cluster: `matrix` float64[d, n], a row per name; `logs` are the names that get a logarithm."""

    names: list[str]
    matrix: Floats
    logs: list[str]


def rfm_customers(n: int) -> FeatureTable:
    """Recency exponential, frequency geometric with a gamma rate, monetary frequency times lognormal."""
    random = np.random.default_rng(SEED + 3)
    frequency = 1.0 + random.poisson(random.gamma(0.8, 6.0, n))
    monetary = np.round(frequency * random.lognormal(3.0, 0.9, n), 2)
    recency = np.minimum(random.exponential(90.0, n), 365.0)
    return FeatureTable(
        ["recency_days", "frequency", "monetary"], np.stack([recency, frequency, monetary]), ["frequency", "monetary"]
    )


def blob_customers(n: int, features: int, blobs: int) -> FeatureTable:
    """Overlapping normal clouds around `blobs` centres; the first two features are exponentials, to get a logarithm."""
    random = np.random.default_rng(SEED + 4)
    centres = random.normal(0.0, 1.5, (features, blobs))
    matrix = centres[:, random.integers(0, blobs, n)] + random.normal(0.0, 1.0, (features, n))
    matrix[:2] = np.exp(matrix[:2])
    names = [f"feature_{number}" for number in range(features)]
    return FeatureTable(names, matrix, names[:2])
