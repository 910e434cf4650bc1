"""Columns that say something of a customer (a consent, a cost): each customer's last value that is there.

Last by (timestamp, arrival) in transactions, up to as_of; in a customers table there is one. A window leaves older
purchases out, but not what a customer said before it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.keys import Keys
from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.option_values import ValueKind
from proto.schemas import Plan
from service import columns as cols
from service.budget import table_bytes
from service.filtering import RowFilter
from service.numbering import Numbering

__all__ = ["CustomerValues", "TableValues"]

Floats = npt.NDArray[np.float64]

_NEVER = np.iinfo(np.int64).min
_VALUE_BYTES = 64  # of a row and of a customer: value, time, and both again while they are sorted or grow


class CustomerValues:
    """The last values of one request. `columns`: by option, the sender's column and its kind (number or flag)."""

    def __init__(
        self,
        plan: Plan,
        schema: pa.Schema,
        columns: dict[str, tuple[str, ValueKind]],
        *,
        as_of_tick: int | None,
        where: RowFilter | None,
        limits: Limits,
    ) -> None:
        self._customer_id, self._timestamp = plan.customer_id, plan.timestamp
        self._columns = {option: column for option, (column, _) in columns.items()}
        self._as_of_tick, self._where = as_of_tick, where
        for option, (column, kind) in columns.items():
            _check_type(option, column, kind, schema.field(column).type)
        self._customers = Numbering(schema.field(plan.customer_id).type, limits)
        self._values = {option: np.empty(0) for option in columns}
        self._ticks = {option: np.empty(0, np.int64) for option in columns}

    @property
    def held_bytes(self) -> int:
        """The bytes held."""
        arrays = (*self._values.values(), *self._ticks.values())
        return self._customers.nbytes + sum(array.nbytes for array in arrays)

    def growing_bytes(self, batch: pa.RecordBatch) -> int:
        """What it holds at most while it takes in a batch: everything doubles beside what it was."""
        n_rows, n_known = int(batch.num_rows), self._customers.n
        text = self._customers.text_bytes + int(batch.column(self._customer_id).nbytes)
        own = table_bytes(n_rows, n_known, 0, text, n_shards=1, in_place=False, with_pairs=False)
        return self.held_bytes + own + len(self._columns) * (n_rows + n_known) * _VALUE_BYTES

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes one batch that the intake has taken."""
        ids = batch.column(self._customer_id)
        keep = None if self._where is None else self._where.mask(batch)
        keep = cols.find_holes({"customer_id": ids}, (), keep).keep
        ticks = np.zeros(batch.num_rows, np.int64)
        if self._timestamp is not None:
            times = batch.column(self._timestamp)
            ticks = cols.ticks_of(times)
            keep = cols.find_holes({"timestamp": times}, (), keep).keep
            if self._as_of_tick is not None:
                in_time = ticks <= self._as_of_tick
                keep = in_time if keep is None else keep & in_time
        rows, numbers = self._customers.number(cols.keys_of(ids), keep)
        self._grow()
        for option, column in self._columns.items():
            values = _as_floats(batch.column(column))[rows]
            there = np.flatnonzero(~np.isnan(values))
            self._enter(option, numbers[there], ticks[rows[there]], values[there])

    def _grow(self) -> None:
        n = self._customers.n
        for option, values in self._values.items():
            if len(values) < n:
                room = max(n, len(values) * 2)
                more = room - len(values)
                self._values[option] = np.concatenate([values, np.full(more, np.nan)])
                self._ticks[option] = np.concatenate([self._ticks[option], np.full(more, _NEVER)])

    def _enter(self, option: str, numbers: npt.NDArray[np.int32], ticks: npt.NDArray[np.int64], values: Floats) -> None:
        """Keeps the last value of each customer, in order of time and then of arrival (lexsort is stable)."""
        order = np.lexsort((ticks, numbers))
        sorted_numbers = numbers[order]
        is_last = np.ones(len(order), np.bool_)
        is_last[:-1] = sorted_numbers[1:] != sorted_numbers[:-1]
        last = order[is_last]
        who = numbers[last]
        newer = ticks[last] >= self._ticks[option][who]
        who, last = who[newer], last[newer]
        self._values[option][who] = values[last]
        self._ticks[option][who] = ticks[last]

    def of(self, keys: Keys) -> dict[str, Floats]:
        """By option, the value of each of these customers, float64[n]; NaN where there is none."""
        _, numbers = self._customers.number(keys)
        self._grow()
        return {option: values[numbers] for option, values in self._values.items()}


class TableValues:
    """The same of a customers table, whose intake says which rows it keeps: no id has to be looked up again."""

    def __init__(self, schema: pa.Schema, columns: dict[str, tuple[str, ValueKind]]) -> None:
        self._columns = {option: column for option, (column, _) in columns.items()}
        for option, (column, kind) in columns.items():
            _check_type(option, column, kind, schema.field(column).type)
        self._parts: dict[str, list[Floats]] = {option: [] for option in columns}

    def add(self, batch: pa.RecordBatch, rows: npt.NDArray[np.int32] | None) -> None:
        """Takes the rows that are kept (None: all), as the intake has just taken them."""
        for option, column in self._columns.items():
            values = _as_floats(batch.column(column))
            self._parts[option].append(values if rows is None else values[rows])

    def of(self, keys: Keys) -> dict[str, Floats]:
        """By option, the value of each customer of the intake, float64[n]; NaN where there is none."""
        none = np.empty(0)
        return {option: np.concatenate([none, *parts]) for option, parts in self._parts.items()}


def _check_type(option: str, column: str, kind: str, found: pa.DataType) -> None:
    number = pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found)
    fits = number if kind == "number" else pa.types.is_boolean(found) or pa.types.is_integer(found)
    if not fits and not pa.types.is_null(found):
        wanted = "a number" if kind == "number" else "true or false, or an integer"
        raise RequestError(
            ErrorCode.WRONG_TYPE,
            f"{option}={column} names a column of the type {found}; it must hold {wanted}. Cast it, or name another.",
            option=option,
            column=column,
            found=str(found),
            wanted=wanted,
        )


def _as_floats(array: pa.Array) -> Floats:
    """Numbers and booleans as float64, NaN where there is no value."""
    if pa.types.is_null(array.type):
        return np.full(len(array), np.nan)
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    return cols.feature_array(array)
