"""The column that customers are parted by (`partition_by=`), while rows pass: who, and of which group, each row is.

With unit=customer the table keeps each customer's last group by (timestamp, arrival). With unit=row the key of the
table is group and customer together, so that all that is kept, for schemes too, is kept of both. A row without a group
is a unit of its customer without one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import types as pt

from kernels.accumulators import MISSING, Accumulator, Beside
from kernels.keys import ByteKeys, FixedKeys, Keys
from kernels.last_values import LastValues
from kernels.listing import Arranged
from proto.bundle import MAX_GROUPS, Partition
from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.schemas import Plan
from proto.wishes import Wish, Wishes
from service import columns as cols
from service.identities import Identities
from service.numbering import by_appearance
from service.population import Groups
from service.text_codes import TextCodes

__all__ = ["Grouping", "TableGrouping", "with_group", "with_groups"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

GROUP_COLUMN = "@group"
"""What the accumulators call it."""
NO_GROUP = -1
_WORD_BYTES = 8
_TEXTS = pa.dictionary(pa.int32(), pa.utf8())
_SHOWN = 10


def with_group(wishes: Wishes, partition: Partition | None) -> Wishes:
    """The columns that are wanted, and the one that parts customers: as an id, so that texts stay as they are."""
    if partition is None:
        return wishes
    wish = Wish(partition.column, "id", True, f"partition_by={partition.column}")

    def added(known: tuple[Wish, ...]) -> tuple[Wish, ...]:
        if all(one.name != wish.name for one in known):
            return (*known, wish)
        return tuple(one._replace(is_needed=True, why=wish.why) if one.name == wish.name else one for one in known)

    return wishes._replace(rows=added(wishes.rows), table=added(wishes.table))


def with_groups(beside: Beside, codes: Ints) -> Beside:
    """The columns of a batch, and its groups among them."""
    complete = {GROUP_COLUMN} if bool((codes != MISSING).all()) else set()
    return beside._replace(columns={**beside.columns, GROUP_COLUMN: codes}, complete=beside.complete | complete)


class _Codes:
    """Groups as numbers; texts and integers alike, so that 12 in an Arrow column is "12" in a CSV file."""

    def __init__(self, plan: Plan, schema: pa.Schema, partition: Partition, limits: Limits, n_shards: int) -> None:
        self._partition = partition
        self._column = next(one.column for one in plan.wished if one.name == partition.column)
        self._texts = TextCodes(limits, n_shards)
        kind = schema.field(self._column).type
        text = kind.value_type if pt.is_dictionary(kind) else kind
        if not (pt.is_integer(kind) or pt.is_string(text) or pt.is_large_string(text) or pt.is_null(kind)):
            raise RequestError(
                ErrorCode.WRONG_TYPE,
                f"partition_by={partition.column} names a column of the type {kind}; groups are texts, dictionaries of "
                "text, or integers. Cast it, or name another.",
                option="partition_by",
                column=self._column,
                found=str(kind),
                wanted="text, a dictionary of text, or an integer",
            )

    @property
    def held_bytes(self) -> int:
        return self._texts.held_bytes

    def of(self, batch: pa.RecordBatch) -> Ints:
        """int64[n], MISSING without a group. In any thread."""
        array = batch.column(self._column)
        if not (pt.is_dictionary(array.type) or pt.is_string(array.type) or pt.is_large_string(array.type)):
            array = array.cast(pa.utf8())
        return self._texts.of(array)

    def groups(self, codes: Ints) -> Groups:
        """The groups of these units, in the order of their first one; RequestError when they are too many."""
        there = np.flatnonzero(codes != MISSING)
        distinct, places = by_appearance(codes[there])
        if len(distinct) > MAX_GROUPS:
            raise self._too_many(len(distinct), self._texts.texts(distinct[:_SHOWN]))
        found = np.full(len(codes), NO_GROUP, np.int64)
        found[there] = places
        return Groups(found, self._texts.texts(distinct))

    def _too_many(self, found: int, first: Sequence[str]) -> RequestError:
        shown = ", ".join(repr(name[:40]) for name in first)
        return RequestError(
            ErrorCode.TOO_MANY_GROUPS,
            f"partition_by={self._partition.column} has {found:,} different values ({shown}, …), and each becomes a "
            f"group with a fit of its own; {MAX_GROUPS:,} is the most. Name a column that many customers share, or "
            "send fewer groups with where=.",
            option="partition_by",
            column=self._column,
            found=found,
            wanted=MAX_GROUPS,
        )


class Grouping:
    """The groups of an intake of transactions. `codes` and `keys_of` run in any thread."""

    def __init__(self, plan: Plan, schema: pa.Schema, partition: Partition, limits: Limits, n_shards: int) -> None:
        self.by_row = partition.unit == "row"
        self._codes = _Codes(plan, schema, partition, limits, n_shards)
        id_type = schema.field(plan.customer_id).type
        # Ids of bytes become numbers, so that every key has the same few words.
        is_plain = cols.is_fixed_id(id_type) or pt.is_fixed_size_binary(id_type)
        self._ids = Identities(id_type if is_plain else _TEXTS, count_rows=False, limits=limits, n_shards=n_shards)
        self._n_words = 3 if pt.is_fixed_size_binary(id_type) else 2

    @property
    def held_bytes(self) -> int:
        return self._codes.held_bytes + self._ids.held_bytes

    @property
    def text_bytes(self) -> int:
        return self._ids.text_bytes

    def codes(self, batch: pa.RecordBatch) -> Ints:
        """Each row's group as a number, int64[n]."""
        return self._codes.of(batch)

    def accumulators(self) -> list[Accumulator]:
        """What one shard keeps for it."""
        return [] if self.by_row else [LastValues({GROUP_COLUMN: np.dtype(np.int64)})]

    def keys_of(self, ids: pa.Array, keep: Bools | None, codes: Ints) -> Keys:
        """Group and customer as one key of a few words (unit=row)."""
        keys = self._ids.keys_of(ids, keep)
        words = np.empty((len(codes), self._n_words), np.uint64)
        words[:, 0] = codes.view(np.uint64)
        words[:, 1:] = keys.bits[:, None] if isinstance(keys, FixedKeys) else cols.uuid_words(ids)
        size = self._n_words * _WORD_BYTES
        starts = np.arange(len(words), dtype=np.int64) * size
        return ByteKeys(words.reshape(-1).view(np.uint8), starts, np.full(len(words), size, np.int32))

    def finish(
        self,
        keys: Keys,
        shards: Sequence[Sequence[Accumulator]],
        n_numbers: Sequence[int],
        arranged: Sequence[Arranged],
    ) -> tuple[Keys, Groups]:
        """The customers' keys and groups, for the units as the table listed them."""
        if self.by_row:
            words = self._words(keys)
            groups = self._codes.groups(words[:, 0].view(np.int64))
            if self._n_words > 2:
                return cols.uuid_keys(words[:, 1:]), groups
            return self._ids.restore(FixedKeys(np.ascontiguousarray(words[:, 1]))), groups
        codes = np.empty(sum(len(places) for _, places in arranged), np.int64)
        for shard, n_shard, (slots, places) in zip(shards, n_numbers, arranged, strict=True):
            own = shard[-1]
            assert isinstance(own, LastValues)
            codes[places] = own.values(n_shard)[slots]
        return keys, self._codes.groups(codes)

    def _words(self, keys: Keys) -> npt.NDArray[np.uint64]:
        assert isinstance(keys, ByteKeys)
        size = self._n_words * _WORD_BYTES
        first = int(keys.starts[0]) if len(keys.starts) else 0  # keys out of the kernels follow each other without gaps
        data = np.ascontiguousarray(keys.data[first : first + size * len(keys.starts)])
        return data.view(np.uint64).reshape(-1, self._n_words)


class TableGrouping:
    """The groups of a customers table, where the group is a column like any other."""

    def __init__(self, plan: Plan, schema: pa.Schema, partition: Partition, limits: Limits) -> None:
        if partition.unit == "row":
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                "unit=row parts the rows of transactions; a table with one row per customer has one group for each. "
                "Leave unit out, or send transactions (customer_id, timestamp, amount).",
                option="unit",
                found="row",
                wanted="customer",
            )
        self._codes = _Codes(plan, schema, partition, limits, 1)
        self._parts: list[Ints] = []

    @property
    def held_bytes(self) -> int:
        return self._codes.held_bytes + sum(part.nbytes for part in self._parts)

    def add(self, batch: pa.RecordBatch, keep: Bools | None) -> None:
        """Takes the groups of the rows that are kept (None: all)."""
        codes = self._codes.of(batch)
        self._parts.append(codes if keep is None else codes[keep])

    def finish(self) -> Groups:
        return self._codes.groups(np.concatenate([np.empty(0, np.int64), *self._parts]))
