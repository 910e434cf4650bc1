"""Records become columns, customers in the order of their first kept row.

    place of a customer = how many customers have a smaller first_row

Row numbers are a bitmap, and a place is a count of the bits before it (rank; Jacobson 1989), so that nothing is sorted:
two lookups in L2 a customer. Row numbers that clash, as those of tables since merged may, or that lie far apart are
sorted, and ties are ordered by a hash of the id alone: the same for every seed and number of shards.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels import records as rec
from kernels._jit import count_ones, kernel, lowest_one, prefetch, readonly
from kernels._run import Run, run_serially
from kernels.customers import CustomerTable
from kernels.hashing import FixedKeys, Keys, WideKeys, stable_hash
from kernels.keys import concatenate_keys, take_keys
from kernels.money import Amounts, get_sum
from kernels.pages import zeros
from kernels.recency import NO_PURCHASE
from kernels.shard import Shard
from kernels.slots import ONE, TWO, ZERO

_BLOCK = 128  # lines fetched at once: a sixth faster than one by one, between the writes to seven columns
_AHEAD = 16
_SPAN = 16_384  # places written before the next ones: all shards write to them while they are in L2
_FEW_WORDS = 1 << 17  # 1 MiB of bitmap is always worth it
_SIX, _LOW_SIX = np.uint64(6), np.uint64(63)


class Customers(NamedTuple):
    """One customer per place."""

    keys: Keys  # [n]
    first_row: NDArray[np.int64]  # [n] global number of the first kept row
    first_tick: NDArray[np.int64]  # [n] first purchase; INT64_MIN: no purchase
    last_tick: NDArray[np.int64]  # [n] last purchase; INT64_MIN: no purchase
    frequency: NDArray[np.int64]  # [n]
    sums: Amounts  # [n] float, [n, 2] integer and decimal as (low, high) words


Arranged = tuple[NDArray[np.int32], NDArray[np.int64]]
"""Of one shard: the numbers of the customers that are listed, and their places."""


class _Part(NamedTuple):
    """The customers of one shard that are to be listed."""

    numbers: NDArray[np.int32]  # [n] places of their records
    first_rows: NDArray[np.int64]  # [n]
    ascending: bool = False  # the first rows


@kernel
def list_rows(
    values: NDArray[np.float64], slots: NDArray[np.int32], places: NDArray[np.int64], out: NDArray[np.float64]
) -> None:
    """Write values[slots[k]] to out[places[k]], both float64[…, c]; by numpy it takes two copies."""
    for k in range(len(slots)):
        if k + _AHEAD < len(slots):
            prefetch(out, places[k + _AHEAD])
        slot, place = np.uint64(slots[k]), np.uint64(places[k])
        for column in range(values.shape[1]):
            out[place, column] = values[slot, column]


@kernel
def _select(
    records: NDArray[np.void], n_records: int, with_all: bool, numbers: NDArray[np.int32], first_rows: NDArray[np.int64]
) -> tuple[int, bool]:
    """Write the customers' numbers and first rows; return how many have a kept row, or all, and whether in its order.

    They came in that order unless a customer's first row of all was not kept, or another table was merged.
    """
    n, before, ascending = 0, rec.NEVER, True
    for number in range(n_records):
        first_row = records[number]["first_row"]
        if with_all or first_row != rec.NEVER:
            numbers[n] = number
            first_rows[n] = first_row
            ascending &= n == 0 or before < first_row
            before = first_row
            n += 1
    return n, ascending


@kernel
def _mark(first_rows: NDArray[np.int64], lowest: int, ranks: NDArray[np.uint64]) -> bool:
    """Set the bit of every row less lowest; tell whether one was set before. ranks uint64[2·words]: bits, 0, bits, …"""
    clash = ZERO
    for i in range(len(first_rows)):
        row = np.uint64(first_rows[i] - lowest)
        bit = ONE << (row & _LOW_SIX)
        word = (row >> _SIX) * TWO
        clash |= ranks[word] & bit
        ranks[word] |= bit
    return bool(clash != ZERO)


@kernel
def _unite(ranks: NDArray[np.uint64], out: NDArray[np.uint64]) -> bool:
    """Add the bits of ranks to out; tell whether one was set before."""
    clash = ZERO
    for word in range(0, len(out), 2):
        clash |= out[word] & ranks[word]
        out[word] |= ranks[word]
    return bool(clash != ZERO)


@kernel
def _rank(ranks: NDArray[np.uint64]) -> None:
    """Write after each word how many bits are set before it."""
    n = 0
    for word in range(0, len(ranks), 2):
        ranks[word + 1] = np.uint64(n)
        n += int(count_ones(ranks[word]))


@kernel
def _put_in_order(
    numbers: NDArray[np.int32],
    first_rows: NDArray[np.int64],
    lowest: int,
    own: NDArray[np.uint64],
    order: NDArray[np.int32],
) -> None:
    """Write the numbers in the order of their first rows; own has this shard's bits.

    Block by block, what is read and then what is written fetched first: two thirds of the time for many customers.
    """
    targets = np.empty(_BLOCK, dtype=np.int64)
    for first in range(0, len(numbers), _BLOCK):
        n = min(_BLOCK, len(numbers) - first)
        for i in range(n):
            row = np.uint64(first_rows[first + i] - lowest)
            prefetch(own, np.int64((row >> _SIX) * TWO))
        for i in range(n):
            row = np.uint64(first_rows[first + i] - lowest)
            word = (row >> _SIX) * TWO
            below = own[word] & ((ONE << (row & _LOW_SIX)) - ONE)
            targets[i] = np.int64(own[word + ONE]) + count_ones(below)
            prefetch(order, targets[i])
        for i in range(n):
            order[np.uint64(targets[i])] = numbers[first + i]


@kernel
def _place(own: NDArray[np.uint64], ranks: NDArray[np.uint64], places: NDArray[np.int64]) -> None:
    """Write each customer's place among all, in their order; own has this shard's bits."""
    n = 0
    for start in range(0, len(own), 2):
        bits = own[start]
        while bits != ZERO:
            below = ranks[start] & ((ONE << lowest_one(bits)) - ONE)
            places[n] = np.int64(ranks[start + 1]) + count_ones(below)
            n += 1
            bits &= bits - ONE


@kernel
def _gather(
    records: NDArray[np.void],
    order: NDArray[np.int32],
    places: NDArray[np.int64],
    first_rows: NDArray[np.int64],
    first_ticks: NDArray[np.int64],
    last_ticks: NDArray[np.int64],
    frequencies: NDArray[np.int64],
    sums: Any,
    words: Any,
) -> None:
    """Write record order[k] to place places[k] of the columns.

    Both ticks are INT64_MIN where there was no purchase. words uint64[n] or [n, 2], the ids in the records; [0]: none.
    """
    for k in range(len(order)):
        if k % _BLOCK == 0:
            for ahead in range(k, min(k + _BLOCK, len(order))):
                prefetch(records, np.int64(order[ahead]))
        number, place = np.uint64(order[k]), np.uint64(places[k])
        last = records[number]["last_tick"]
        first_rows[place] = records[number]["first_row"]
        first_ticks[place] = NO_PURCHASE if last == NO_PURCHASE else records[number]["first_tick"]
        last_ticks[place] = last
        frequencies[place] = records[number]["frequency"]
        get_sum(records[number], sums, int(place))
        if words.ndim == 2:
            words[place, 0] = np.uint64(records[number]["last_value"])
            words[place, 1] = np.uint64(records[number]["first_value"])
        elif len(words) != 0:
            words[place] = np.uint64(records[number]["last_value"])


def _shifts(parts: Sequence[_Part]) -> list[int]:
    """Return where each part starts when they are put one after the other, and where the last one ends."""
    return [0, *np.cumsum([len(part.numbers) for part in parts]).tolist()]


def _selected(shards: Sequence[Shard], with_all: bool, run: Run) -> list[_Part]:
    """Return the customers of each shard that have a kept row, or all of them."""
    parts = [_Part(zeros(s.table.n_keys, np.int32), zeros(s.table.n_keys, np.int64)) for s in shards]

    def work(number: int) -> None:
        shard, part = shards[number], parts[number]
        n, ascending = _select(shard.records, shard.table.n_keys, with_all, part.numbers, part.first_rows)
        parts[number] = _Part(part.numbers[:n], part.first_rows[:n], ascending)

    run([partial(work, number) for number in range(len(shards))])
    return parts


def _ranked(parts: Sequence[_Part], run: Run) -> list[tuple[NDArray[np.int32], NDArray[np.int64]]] | None:
    """Return each shard's customers in the order of first_row, and their places; None where only sorting will do."""
    n = sum(len(part.numbers) for part in parts)
    lowest = min((int(part.first_rows.min()) for part in parts if len(part.numbers)), default=0)
    highest = max((int(part.first_rows.max()) for part in parts if len(part.numbers)), default=0)
    n_words = (highest - lowest) // 64 + 1
    if n_words > max(_FEW_WORDS, 2 * n):
        return None
    marks = [zeros(2 * n_words, np.uint64) for _ in parts]
    clashes = [False] * len(parts)

    def mark(number: int) -> None:
        clashes[number] = _mark(readonly(parts[number].first_rows), lowest, marks[number])
        if len(parts) > 1 and not parts[number].ascending:
            _rank(marks[number])

    run([partial(mark, number) for number in range(len(parts))])
    ranks = marks[0] if len(parts) == 1 else zeros(2 * n_words, np.uint64)

    def unite(start: int, stop: int) -> None:
        clashes.extend([_unite(readonly(own[start:stop]), ranks[start:stop]) for own in marks])

    if len(parts) > 1:
        cuts = [2 * (n_words * number // len(parts)) for number in range(len(parts) + 1)]
        run([partial(unite, *cut) for cut in pairwise(cuts)])
    if any(clashes):
        return None
    _rank(ranks)
    arranged = [(part.numbers, zeros(len(part.numbers), np.int64)) for part in parts]

    def arrange(number: int) -> None:
        part, places, own = parts[number], arranged[number][1], readonly(marks[number])
        if not part.ascending:
            order = zeros(len(part.numbers), np.int32)
            _put_in_order(readonly(part.numbers), readonly(part.first_rows), lowest, own, order)
            arranged[number] = order, places
        _place(own, readonly(ranks), places)

    run([partial(arrange, number) for number in range(len(parts))])
    return arranged


def _sorted(
    shards: Sequence[Shard], parts: Sequence[_Part], identify: Callable[[Keys], Keys] | None
) -> list[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """Do as _ranked for any row numbers; of equal ones, the smaller stable hash goes first."""
    first = np.concatenate([part.first_rows for part in parts])
    order = np.argsort(first, kind="stable")
    if bool((first[order[1:]] == first[order[:-1]]).any()):  # rows numbered twice, by tables since merged
        keys = _keys_at(shards, [part.numbers for part in parts])
        order = np.lexsort((stable_hash(keys if identify is None else identify(keys)), first))
    shifts = _shifts(parts)
    owner = np.searchsorted(shifts, order, side="right") - 1
    places = [np.flatnonzero(owner == number) for number in range(len(parts))]
    return [(part.numbers[order[own] - shift], own) for part, own, shift in zip(parts, places, shifts, strict=False)]


def _keys_at(
    shards: Sequence[Shard], numbers: Sequence[NDArray[np.int32]], places: Sequence[NDArray[np.int64]] | None = None
) -> Keys:
    """Return the ids of the customers of each shard, one shard after the other, or at the places given."""
    in_records = [(s.table, own) for s, own in zip(shards, numbers, strict=True) if isinstance(s.table, CustomerTable)]
    if in_records:
        return concatenate_keys([table.keys_of(own) for table, own in in_records])
    shifts = np.cumsum([0] + [shard.table.n_keys for shard in shards])
    source = np.concatenate([own.astype(np.int64) + shift for own, shift in zip(numbers, shifts, strict=False)])
    if places is not None:
        placed = np.empty_like(source)
        placed[np.concatenate(places)] = source
        source = placed
    keys = [shard.table.keys() for shard in shards if not isinstance(shard.table, CustomerTable)]
    return take_keys(concatenate_keys(keys), source)


def _written(
    shards: Sequence[Shard],
    arranged: Sequence[tuple[NDArray[np.int32], NDArray[np.int64]]],
    float_sums: bool,
    run: Run,
) -> Customers:
    """Return the columns of the records of each shard's customers, each at its place."""
    n = sum(len(order) for order, _ in arranged)
    first_row, first_tick, last_tick, frequency = (np.empty(n, dtype=np.int64) for _ in range(4))
    sums: Amounts = np.empty(n, dtype=np.float64) if float_sums else np.empty((n, 2), dtype=np.int64)
    table, words = shards[0].table, np.empty(0, dtype=np.uint64)
    if isinstance(table, CustomerTable):
        words = np.empty((n, 2) if table.wide else n, dtype=np.uint64)

    columns = first_row, first_tick, last_tick, frequency, sums, words

    def work(start: int, stop: int) -> None:
        for first in range(start, stop, _SPAN):
            for shard, (order, places) in zip(shards, arranged, strict=True):
                own = slice(*np.searchsorted(places, (first, min(first + _SPAN, stop))).tolist())
                _gather(shard.records, readonly(order[own]), readonly(places[own]), *columns)

    bounds = [n * number // len(shards) for number in range(len(shards) + 1)]
    run([partial(work, *pair) for pair in pairwise(bounds)])
    if isinstance(table, CustomerTable):
        keys: Keys = WideKeys(words) if table.wide else FixedKeys(words)
    else:
        keys = _keys_at(shards, [order for order, _ in arranged], [places for _, places in arranged])
    return Customers(keys, first_row, first_tick, last_tick, frequency, sums)


def list_all(shards: Sequence[Shard], float_sums: bool, run: Run = run_serially) -> Customers:
    """Return every customer, also those without a kept row, by shard and number."""
    parts = _selected(shards, True, run)
    shifts = _shifts(parts)
    places = [np.arange(start, stop) for start, stop in pairwise(shifts)]
    return _written(shards, [(part.numbers, own) for part, own in zip(parts, places, strict=True)], float_sums, run)


def arrange(
    shards: Sequence[Shard], run: Run = run_serially, identify: Callable[[Keys], Keys] | None = None
) -> list[Arranged]:
    """Return the customers of each shard that have a kept row, and their places: all in the order of their first one.

    identify turns keys into those whose values decide between equal row numbers: the caller's keys may be codes.
    """
    parts = _selected(shards, False, run)
    arranged = _ranked(parts, run)
    return _sorted(shards, parts, identify) if arranged is None else arranged


def list_arranged(
    shards: Sequence[Shard], arranged: Sequence[Arranged], float_sums: bool, run: Run = run_serially
) -> Customers:
    """Return the customers so arranged."""
    return _written(shards, arranged, float_sums, run)


def list_in_order(
    shards: Sequence[Shard],
    float_sums: bool,
    run: Run = run_serially,
    identify: Callable[[Keys], Keys] | None = None,
) -> Customers:
    """Return the customers that have a kept row, in the order of their first one; identify as for arrange."""
    return list_arranged(shards, arrange(shards, run, identify), float_sums, run)
