"""When each order of a customer was due and when it was paid, and how many orders were paid late.

    due(order) = latest due date of its purchase rows,   paid(order) = latest paid date, if any
    late = due on or before as_of, and unpaid or paid after it was due

An order is a (customer, order id) pair, compared exactly: order ids become numbers, and number and customer one key.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import kernel, prefetch, readonly
from kernels.accumulators import MISSING, Part, with_room
from kernels.hashing import PROCESS_SEED, FixedKeys, hash_keys
from kernels.keys import KeyTable
from kernels.slots import AHEAD, HALF


class OrderColumns(NamedTuple):
    """The names of the columns: an order's id (None: the time of its rows), its due date and its paid date."""

    order: str | None
    due: str
    paid: str


@kernel
def _select(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    actions: NDArray[np.uint8],
    orders: NDArray[np.int64],
    due: NDArray[np.int64],
    out_rows: NDArray[np.int32],
    out_numbers: NDArray[np.int32],
    out_orders: NDArray[np.uint64],
) -> int:
    """Write the purchase rows with an order and a due date: row, customer, order; return how many."""
    n = 0
    for j in range(len(rows)):
        i = np.uint64(rows[j])
        if actions[i] == rec.PURCHASE and due[i] != MISSING and orders[i] != MISSING:
            out_rows[n] = rows[j]
            out_numbers[n] = numbers[j]
            out_orders[n] = np.uint64(orders[i])
            n += 1
    return n


@kernel
def _keys(numbers: NDArray[np.int32], orders: NDArray[np.int32], out: NDArray[np.uint64]) -> None:
    """customer · 2³² + order"""
    for j in range(len(numbers)):
        out[j] = np.uint64(numbers[j]) << HALF | np.uint64(orders[j])


@kernel
def _add(
    rows: NDArray[np.int32],
    numbers: NDArray[np.int32],
    pairs: NDArray[np.int32],
    due: NDArray[np.int64],
    paid: NDArray[np.int64],
    customers: NDArray[np.int64],
    dates: NDArray[np.int64],
) -> None:
    """dates int64[n_pairs, 2]: due, paid; MISSING is the smallest int64."""
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(customers, np.int64(pairs[j + AHEAD]))
        i, pair = np.uint64(rows[j]), np.uint64(pairs[j])
        customers[pair] = numbers[j]
        dates[pair, 0] = max(dates[pair, 0], due[i])
        dates[pair, 1] = max(dates[pair, 1], paid[i])


@kernel
def _count(
    customers: NDArray[np.int64],
    dates: NDArray[np.int64],
    ticks_per_day: int,
    as_of_day: int,
    due_orders: NDArray[np.int64],
    late_orders: NDArray[np.int64],
) -> None:
    for pair in range(len(customers)):
        due_day = dates[pair, 0] // ticks_per_day
        if due_day <= as_of_day:
            due_orders[customers[pair]] += 1
            late_orders[customers[pair]] += dates[pair, 1] == MISSING or dates[pair, 1] // ticks_per_day > due_day


class OrderDates:
    """The dates of the orders of one shard."""

    def __init__(self, columns: OrderColumns) -> None:
        self._names = columns
        self._orders, self._pairs = KeyTable(fixed=True), KeyTable(fixed=True)
        self._customers = np.empty(0, dtype=np.int64)
        self._dates = np.empty((0, 2), dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._orders.nbytes + self._pairs.nbytes + self._customers.nbytes + self._dates.nbytes

    @property
    def n_pairs(self) -> int:
        """Distinct (customer, order) pairs held."""
        return self._pairs.n_keys

    def add(self, part: Part) -> None:
        """Take the dates of purchase rows that have a due date."""
        columns, m = part.columns, len(part.rows)
        rows, numbers = np.empty(m, dtype=np.int32), np.empty(m, dtype=np.int32)
        orders = np.empty(m, dtype=np.uint64)
        ids = part.batch.ticks if self._names.order is None else readonly(columns[self._names.order])
        due, paid = readonly(columns[self._names.due]), readonly(columns[self._names.paid])
        n = _select(part.rows, part.numbers, part.batch.actions, ids, due, rows, numbers, orders)
        rows, numbers = readonly(rows[:n]), readonly(numbers[:n])
        pairs = np.empty(n, dtype=np.uint64)
        _keys(numbers, readonly(_numbered(self._orders, orders[:n])), pairs)
        places = _numbered(self._pairs, pairs)
        self._customers = with_room(self._customers, self.n_pairs, 0)
        self._dates = with_room(self._dates, self.n_pairs, MISSING)
        _add(rows, numbers, readonly(places), due, paid, self._customers, self._dates)

    def counts(self, n: int, ticks_per_day: int, as_of_day: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (orders due by the end of as_of's day, those of them paid late or not), int64[n] each, by customer.

        Days begin at multiples of ticks_per_day; a payment on the due date is in time.
        """
        due, late = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        customers, dates = self._customers[: self.n_pairs], self._dates[: self.n_pairs]
        _count(readonly(customers), readonly(dates), int(ticks_per_day), int(as_of_day), due, late)
        return due, late


def _numbered(table: KeyTable, bits: NDArray[np.uint64]) -> NDArray[np.int32]:
    keys = FixedKeys(bits)
    return table.number(keys, hash_keys(keys, PROCESS_SEED), np.arange(len(bits), dtype=np.int32))
