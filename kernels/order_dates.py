"""When each order of a customer was due and when it was paid, and how many orders were paid late.

    due(order) = latest due date of its purchase rows,   paid(order) = latest paid date, if any
    late = due on or before as_of, and unpaid or paid after it was due

An order is a (customer, order id) pair, compared exactly. Ids become numbers, and a number belongs to the customer
that had it first; only where another customer has the same id do number and customer become one key.
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
    places: NDArray[np.int32],
    due: NDArray[np.int64],
    paid: NDArray[np.int64],
    orders: NDArray[np.int64],
    out_rows: NDArray[np.int32],
    out_numbers: NDArray[np.int32],
    out_places: NDArray[np.int32],
) -> int:
    """Enter the dates into orders int64[n_orders, 3]: customer, due, paid; MISSING, the smallest int64, is none yet.

    Write the rows whose place is another customer's to the outputs; return how many.
    """
    n = 0
    for j in range(len(rows)):
        if j + AHEAD < len(rows):
            prefetch(orders, np.int64(places[j + AHEAD]))
        i, place = np.uint64(rows[j]), np.uint64(places[j])
        if orders[place, 0] == MISSING:
            orders[place, 0] = numbers[j]
        if orders[place, 0] == numbers[j]:
            orders[place, 1] = max(orders[place, 1], due[i])
            orders[place, 2] = max(orders[place, 2], paid[i])
        else:
            out_rows[n], out_numbers[n], out_places[n] = rows[j], numbers[j], places[j]
            n += 1
    return n


@kernel
def _count(
    orders: NDArray[np.int64],
    ticks_per_day: int,
    as_of_day: int,
    due_orders: NDArray[np.int64],
    late_orders: NDArray[np.int64],
) -> None:
    for i in range(len(orders)):
        due_day = orders[i, 1] // ticks_per_day
        if due_day <= as_of_day:
            due_orders[orders[i, 0]] += 1
            late_orders[orders[i, 0]] += orders[i, 2] == MISSING or orders[i, 2] // ticks_per_day > due_day


class OrderDates:
    """The dates of the orders of one shard."""

    def __init__(self, columns: OrderColumns) -> None:
        self._names = columns
        self._ids, self._pairs = KeyTable(fixed=True), KeyTable(fixed=True)
        self._orders, self._others = np.empty((0, 3), dtype=np.int64), np.empty((0, 3), dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._ids.nbytes + self._pairs.nbytes + self._orders.nbytes + self._others.nbytes

    @property
    def n_pairs(self) -> int:
        """Distinct (customer, order) pairs held."""
        return self._ids.n_keys + self._pairs.n_keys

    def add(self, part: Part) -> None:
        """Take the dates of purchase rows that have a due date."""
        columns, m = part.columns, len(part.rows)
        rows, numbers = np.empty(m, dtype=np.int32), np.empty(m, dtype=np.int32)
        ids = np.empty(m, dtype=np.uint64)
        by_row = part.batch.ticks if self._names.order is None else readonly(columns[self._names.order])
        due, paid = readonly(columns[self._names.due]), readonly(columns[self._names.paid])
        n = _select(part.rows, part.numbers, part.batch.actions, by_row, due, rows, numbers, ids)
        rows, numbers, places = rows[:n], numbers[:n], _numbered(self._ids, ids[:n])
        self._orders = with_room(self._orders, self._ids.n_keys, MISSING)
        rows, numbers, places = _entered(self._orders, rows, numbers, places, due, paid)
        if len(rows):
            pairs = np.empty(len(rows), dtype=np.uint64)
            _keys(readonly(numbers), readonly(places), pairs)
            places = _numbered(self._pairs, pairs)
            self._others = with_room(self._others, self._pairs.n_keys, MISSING)
            _entered(self._others, rows, numbers, places, due, paid)

    def counts(self, n: int, ticks_per_day: int, as_of_day: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (orders due by the end of as_of's day, those of them paid late or not), int64[n] each, by customer.

        Days begin at multiples of ticks_per_day; a payment on the due date is in time.
        """
        due, late = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        for orders in (self._orders[: self._ids.n_keys], self._others[: self._pairs.n_keys]):
            _count(readonly(orders), int(ticks_per_day), int(as_of_day), due, late)
        return due, late


Int32s = NDArray[np.int32]


def _entered(
    orders: NDArray[np.int64],
    rows: Int32s,
    numbers: Int32s,
    places: Int32s,
    due: NDArray[np.int64],
    paid: NDArray[np.int64],
) -> tuple[Int32s, Int32s, Int32s]:
    """Enter the dates of rows at these places of orders; return (rows, numbers, places) of those left over."""
    left = [np.empty(len(rows), dtype=np.int32) for _ in range(3)]
    n = _add(readonly(rows), readonly(numbers), readonly(places), due, paid, orders, *left)
    return left[0][:n], left[1][:n], left[2][:n]


def _numbered(table: KeyTable, bits: NDArray[np.uint64]) -> NDArray[np.int32]:
    keys = FixedKeys(bits)
    return table.number(keys, hash_keys(keys, PROCESS_SEED), np.arange(len(bits), dtype=np.int32))
