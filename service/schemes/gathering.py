"""What is kept of a request for its schemes: columns decoded batch by batch, accumulated, and listed at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels._jit import readonly
from kernels.accumulators import Accumulator, Beside
from kernels.last_values import LastValues
from kernels.listing import Arranged, list_rows
from kernels.packing import pack
from proto.limits import Limits
from proto.wishes import Wished
from service import columns as cols
from service.population import Gathered
from service.schemes.accumulations import Accumulation, Figures, Greatest, Last, Setup
from service.schemes.decoding import ExtraColumns, derived
from service.schemes.joining import joined
from service.schemes.moment import Moment
from service.schemes.request import Asked
from service.threads import ThreadTeam

__all__ = ["Gathering", "TableGathering", "accumulations_of"]

Bools = npt.NDArray[np.bool_]


def accumulations_of(one: Asked, available: Iterable[str]) -> dict[str, Accumulation]:
    """What a scheme wants to have kept, by its names for it."""
    return one.scheme.accumulate(one.given, frozenset(available))


def _narrow(wanted: Iterable[Accumulation]) -> set[str]:
    """The columns that only last and greatest values are kept of: those may be narrow."""
    narrow, wide = set[str](), set[str]()
    for one in wanted:
        (narrow if isinstance(one, Last | Greatest) else wide).update(one.columns)
    return narrow - wide


def _counted(missing: dict[str, int], found: Mapping[str, int]) -> None:
    """Adds what was found missing in a batch."""
    for name, count in found.items():
        missing[name] = missing.get(name, 0) + count


class Gathering:
    """The schemes' share of an intake of transactions. `columns` runs in any thread."""

    def __init__(
        self,
        asked: Sequence[Asked],
        extras: Sequence[Wished],
        moment: Moment,
        amount_type: pa.DataType,
        *,
        limits: Limits,
        n_shards: int,
    ) -> None:
        names = [extra.name for extra in extras]
        wanted = dict.fromkeys(one for ask in asked for one in accumulations_of(ask, names).values())
        self._columns = ExtraColumns(extras, limits, n_shards, narrow=_narrow(wanted))
        kind = cols.amount_kind(amount_type)
        self._kept = joined(wanted, are_floats=kind == "float")
        self._derived = {name for one in self._kept for name in one.derived}
        scale = amount_type.scale if kind == "decimal" else 0
        self._setup = Setup(moment, kind, scale, self._columns.dtypes)
        self._packed = [column for one in self._kept for column in one.packed(self._setup)]
        self._missing: dict[str, int] = {}
        self._lock = threading.Lock()

    def accumulators(self) -> list[Accumulator]:
        """Those of one shard, in the order of what is kept."""
        return [one.make(self._setup) for one in self._kept]

    def columns(
        self,
        batch: pa.RecordBatch,
        ticks: npt.NDArray[np.int64],
        amounts: pa.Array,
        keep: Bools | None,
        rows_before: int,
    ) -> Beside:
        """The columns of a batch as the accumulators take them."""
        arrays, missing = self._columns.arrays(batch, keep, rows_before)
        if missing:
            with self._lock:
                _counted(self._missing, missing)
        complete = frozenset(arrays).difference(missing)
        arrays |= derived(self._derived, self._setup.moment, ticks, amounts, arrays)
        packed = pack({name: arrays.pop(name) for name in self._packed}) if self._packed else None
        return Beside(arrays, complete, packed)

    def _ranks(
        self, shards: Sequence[Sequence[Accumulator]], labels: dict[str, list[str]], team: ThreadTeam
    ) -> dict[str, npt.NDArray[np.int64]]:
        """By label column what its codes are in the order of the texts, which are written to `labels`.

        Only last values are kept of labels, so that all of them are narrow.
        """
        narrow = [
            (i, column, part.columns[0])
            for i, (one, own) in enumerate(zip(self._kept, shards[0], strict=False))  # behind them are groups
            if isinstance(own, LastValues)
            for column, part in enumerate(one.parts)
            if self._columns.extras[part.columns[0]].kind == "label"
        ]
        lasts: list[tuple[Any, int]] = [(shard[i], column) for i, column, _ in narrow for shard in shards]
        codes = iter(team.map(lambda last: last[0].codes(last[1]), lasts))
        ranks = {}
        for _, _, name in narrow:
            used = reduce(np.union1d, [np.flatnonzero(next(codes)) for _ in shards])
            ranks[name], labels[name] = self._columns.ranks(name, used)
        return ranks

    def finish(
        self,
        shards: Sequence[Sequence[Accumulator]],
        n_numbers: Sequence[int],
        arranged: Sequence[Arranged],
        moment: Moment,
        team: ThreadTeam,
    ) -> Gathered:
        """What the shards hold, one value per listed customer at its place. OverflowError for a sum beyond 128 bits."""
        n, setup = sum(len(places) for _, places in arranged), self._setup._replace(moment=moment)
        gathered: dict[Accumulation, Figures] = {part: {} for one in self._kept for part in one.parts}
        labels: dict[str, list[str]] = {}
        ranks = self._ranks(shards, labels, team)

        def listed(part: Accumulation, name: str, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
            with self._lock:
                if name not in gathered[part]:
                    gathered[part][name] = np.empty((n, *like.shape[1:]), like.dtype)
                return gathered[part][name]

        def place(i: int, shard: int, column: int) -> None:
            one, own, n_shard, (slots, places) = self._kept[i], shards[shard][i], n_numbers[shard], arranged[shard]
            if isinstance(own, LastValues):
                part = one.parts[column]
                out = listed(part, "value", own.values(0, column))
                own.write(column, slots, places, out, ranks.get(part.columns[0]))
                return
            for part, figures in zip(one.parts, one.figures(own, n_shard, setup), strict=True):
                for name, values in figures.items():
                    if values.ndim == 2:
                        list_rows(readonly(values), readonly(slots), readonly(places), listed(part, name, values))
                    else:
                        listed(part, name, values)[places] = values[slots]

        team.run(
            [
                partial(place, i, shard, column)
                for i, one in enumerate(self._kept)
                for column in range(len(one.parts) if isinstance(shards[0][i], LastValues) else 1)
                for shard in range(len(shards))
            ]
        )
        return Gathered(gathered, labels, self._missing, tuple(self._columns.extras), moment)


class TableGathering:
    """The schemes' share of an intake of a customers table."""

    def __init__(self, asked: Sequence[Asked], extras: Sequence[Wished], limits: Limits) -> None:
        self._asked = asked
        self._columns = ExtraColumns(extras, limits)
        self._parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in self._columns.extras}
        self._missing: dict[str, int] = {}

    def add(self, batch: pa.RecordBatch, keep: Bools | None, rows_before: int) -> None:
        """Takes the columns of the rows that are kept (None: all)."""
        arrays, missing = self._columns.arrays(batch, keep, rows_before)
        _counted(self._missing, missing)
        for name, values in arrays.items():
            self._parts[name].append(values if keep is None else values[keep])

    def finish(self) -> Gathered:
        columns: dict[str, npt.NDArray[Any]] = {}
        labels: dict[str, list[str]] = {}
        for name, parts in self._parts.items():
            columns[name] = np.concatenate(parts) if parts else np.empty(0, self._columns.dtypes[name])
            if self._columns.extras[name].kind == "label":
                columns[name], labels[name] = self._columns.labels(name, columns[name])
        gathered: dict[Accumulation, Figures] = {}
        for one in (one for ask in self._asked for one in accumulations_of(ask, columns).values()):
            figures = one.of_table(columns)
            if figures is not None:
                gathered[one] = figures
        return Gathered(gathered, labels, self._missing, tuple(columns), None, columns)
