"""What both intakes share: batches in, one population out, and a count of every row that is left out.

Transactions are aggregated as they come (transactions_intake.py), customers tables are collected
(customers_intake.py). Both refuse what they cannot use with the column and the row, and never hold transactions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from proto.errors import ErrorCode, RequestError
from service import columns as cols
from service.population import Population

__all__ = ["Intake", "Left", "batch_bytes", "sum_overflow"]


class Intake(Protocol):
    """What the pipeline needs of an intake."""

    rows_in: int

    @property
    def held_bytes(self) -> int:
        """What it holds."""

    def growing_bytes(self, batch: pa.RecordBatch | None) -> int:
        """What it may hold at most while it takes this batch, or while it takes what is left at the end."""

    def finishing_bytes(self) -> int:
        """What `finish`, and all that is done with its population, may take beside that."""

    def add(self, batch: pa.RecordBatch) -> None: ...

    def finish(self) -> Population: ...


def batch_bytes(batch: pa.RecordBatch) -> int:
    """What a batch holds; of dictionaries their indices, since batches share the entries."""
    return sum((column.indices if pa.types.is_dictionary(column.type) else column).nbytes for column in batch.columns)


def sum_overflow(column: str, amount_type: pa.DataType) -> RequestError:
    """The refusal of amounts that sum to more than the reply's column holds."""
    room, remedy = {
        "integer": ("a 64-bit integer", "in a larger unit, as decimal128 or as float64"),
        "decimal": ("38 digits", "in a larger unit or as float64"),
        "float": ("a 64-bit float", "in a larger unit"),
    }[cols.amount_kind(amount_type)]
    return RequestError(
        ErrorCode.OVERFLOW,
        f"The amounts of a customer in column {column} sum to more than {room} holds; send them {remedy}.",
        column=column,
    )


@dataclass
class Left:
    """Rows left out: those `where=` does not hold for, and those that lack something, by column."""

    nulls: dict[str, int] = field(default_factory=dict)
    not_finite: int = 0
    filtered: int = 0

    def check(self, holes: cols.Holes, names: dict[str, str], rows_before: int, policy: str) -> None:
        """Counts the holes of a batch, or refuses them: `names` maps our column names to the sender's."""
        if policy == "error" and holes.nulls:
            ours, count = next(iter(holes.nulls.items()))
            column, row = names[ours], rows_before + holes.first_null[ours] + 1
            raise RequestError(
                ErrorCode.NULLS,
                f"Column {column} has missing values, the first in row {row:,}. Fill them, or leave such rows out "
                "with nulls=drop.",
                column=column,
                count=count,
                row=row,
            )
        if policy == "error" and holes.not_finite:
            assert holes.not_finite_column is not None
            column, row = names[holes.not_finite_column], rows_before + holes.first_not_finite + 1
            count = holes.not_finite
            raise RequestError(
                ErrorCode.NOT_FINITE,
                f"Column {column} has values that are NaN or infinite, the first in row {row:,}. Correct them, or "
                "leave such rows out with nulls=drop.",
                column=column,
                count=count,
                row=row,
            )
        for ours, count in holes.nulls.items():
            self.nulls[names[ours]] = self.nulls.get(names[ours], 0) + count
        self.not_finite += holes.not_finite
