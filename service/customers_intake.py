"""A customers table, one row per customer: collected as it comes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kernels.keys import KeyTable
from kernels.parts import hash_and_part
from proto.errors import ErrorCode, RequestError
from proto.limits import Limits, over
from proto.schemas import Plan
from service import columns as cols
from service.budget import finishing_bytes, table_bytes
from service.customer_values import TableValues
from service.filtering import RowFilter
from service.grouping import TableGrouping
from service.identities import check_text
from service.intake import Left, batch_bytes
from service.population import Population, population_of_customers
from service.schemes.gathering import TableGathering
from service.schemes.request import Asked

__all__ = ["CustomersIntake"]


class CustomersIntake:
    """Collects a customers table: one row per customer, numeric features."""

    def __init__(
        self,
        plan: Plan,
        schema: pa.Schema,
        nulls: str,
        *,
        limits: Limits,
        where: RowFilter | None = None,
        asked: Sequence[Asked] = (),
        values: TableValues | None = None,
        grouping: TableGrouping | None = None,
    ) -> None:
        self.rows_in = 0
        self._where, self._values, self._grouping = where, values, grouping
        self._nulls, self._limits = nulls, limits
        self._names = {"customer_id": plan.customer_id, **dict(zip(plan.feature_names, plan.features, strict=True))}
        self._id_type = schema.field(plan.customer_id).type
        self._features = plan.feature_names
        self._seed = secrets.randbits(63)  # nobody can craft ids that collide
        self._table = KeyTable(cols.is_fixed_id(self._id_type))
        self._parts: list[list[Any]] = [[] for _ in plan.features]
        self._left = Left()
        self._gathering = TableGathering(asked, plan.wished, limits) if asked else None

    @property
    def held_bytes(self) -> int:
        grouping = self._grouping.held_bytes if self._grouping is not None else 0
        return int(self._table.nbytes + 8 * len(self._parts) * self._table.n_keys + grouping)

    def growing_bytes(self, batch: pa.RecordBatch | None) -> int:
        if batch is None:
            return self.held_bytes
        n, came, n_shards = self._table.n_keys, batch_bytes(batch), 1
        text, features = self._table.text_bytes + came, 8 * len(self._parts) * (n + batch.num_rows)
        table = table_bytes(batch.num_rows, n, 0, text, in_place=False, n_shards=n_shards, with_pairs=False)
        return int(came + features + table)

    def finishing_bytes(self) -> int:
        n_bytes = finishing_bytes(self._table.n_keys, len(self._features), self._table.text_bytes)
        return n_bytes if self._grouping is None else 2 * n_bytes  # the whole, and its groups

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes one batch; RequestError for what cannot be used, and for a customer that was there before."""
        if batch.num_rows == 0:
            return
        arrays = {ours: batch.column(theirs) for ours, theirs in self._names.items()}
        among = self._where.mask(batch) if self._where is not None else None
        if among is not None:
            self._left.filtered += len(among) - int(np.count_nonzero(among))
        holes = cols.find_holes(arrays, finite=self._features, among=among)
        self._left.check(holes, self._names, self.rows_in, self._nulls)
        keys = cols.keys_of(arrays["customer_id"])
        hashes, (rows,) = hash_and_part(keys, self._seed, 1, holes.keep)
        before = self._table.n_keys
        numbers = self._table.number(keys, hashes, rows)
        check_text(self._table.text_bytes, self._limits)
        if self._table.n_keys - before < len(rows):
            seen_before = numbers != np.arange(before, before + len(rows))
            row = int(rows[np.argmax(seen_before)])
            value = arrays["customer_id"][row].as_py()
            raise RequestError(
                ErrorCode.DUPLICATE_CUSTOMER,
                f"Customer {value!r} appears again in row {self.rows_in + row + 1:,}. A customers table "
                "has one row per customer; for one row per purchase send timestamp and amount (input=transactions).",
                column=self._names["customer_id"],
                row=self.rows_in + row + 1,
                found=str(value),
            )
        for part, name in zip(self._parts, self._features, strict=True):
            values = cols.feature_array(arrays[name])
            part.append(values[rows] if holes.keep is not None else values)
        if self._values is not None:
            self._values.add(batch, rows if holes.keep is not None else None)
        if self._grouping is not None:
            self._grouping.add(batch, holes.keep)
        if self._gathering is not None:
            self._gathering.add(batch, holes.keep, self.rows_in)
        self.rows_in += batch.num_rows
        if self._table.n_keys > self._limits.max_customers:
            remedy = "Send fewer customers in one request, or raise SEGSERVE_MAX_CUSTOMERS."
            raise over("max_customers", self._table.n_keys, self._limits.max_customers, remedy)

    def finish(self) -> Population:
        matrix = np.empty((len(self._features), self._table.n_keys))
        for j, part in enumerate(self._parts):
            if part:
                np.concatenate(part, out=matrix[j])
        population = population_of_customers(
            self._table.keys(),
            matrix,
            features=self._features,
            id_type=self._id_type,
            rows_in=self.rows_in,
            nulls=self._left.nulls,
            not_finite=self._left.not_finite,
            filtered=self._left.filtered,
        )
        if self._gathering is not None:
            population.gathered = self._gathering.finish()
        if self._grouping is not None:
            population.groups = self._grouping.finish()
        return population
