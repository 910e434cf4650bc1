"""Which household each member is in, where no column says so: a mapping that comes ahead of the transactions.

As an Arrow stream of its own in front of theirs, or as `"mapping"` in a JSON document: one row per member, in the
columns `customer_id` and the one that `rollup=` names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.keys import Keys, take_keys
from proto.errors import ErrorCode, RequestError
from proto.limits import Limits, over
from proto.schemas import id_type_of
from service import columns as cols
from service.budget import Reservation, table_bytes
from service.numbering import Numbering

__all__ = ["MEMBER", "MemberMapping", "room_for", "two_households"]

Numbers = npt.NDArray[np.int32]

MEMBER = "customer_id"


class MemberMapping:
    """The mapping of one request; empty, and not there, until one comes.

    `column` names the households: what `rollup=`, or a model that is known before the data, says; None where neither
    does, and then only JSON, where a mapping is called so, can have one.
    """

    def __init__(self, column: str | None, limits: Limits, memory: Reservation | None = None) -> None:
        self.column = column
        self.is_there = False
        self.rows = 0
        self._limits, self._memory = limits, memory or Reservation()
        self._names = ("", "")
        self._members: Numbering | None = None
        self._homes: Numbering | None = None
        self._home_of = np.empty(0, np.int32)

    def takes(self, names: Sequence[str]) -> bool:
        """Whether a stream with these columns, ahead of another, is the mapping."""
        return self.column is not None and not self.is_there and sorted(names) == sorted((MEMBER, self.column))

    def begin(self, schema: pa.Schema) -> None:
        """Takes the schema of a mapping; RequestError where it is none."""
        others = [name for name in schema.names if name != MEMBER]
        wanted = self.column if self.column is not None else others[0] if others else None
        if len(schema) != 2 or others != [wanted]:
            raise RequestError(
                ErrorCode.MISSING_COLUMN,
                f"The mapping has the columns {', '.join(map(repr, schema.names[:20])) or 'none'}; it needs two: "
                f"{MEMBER}, and {wanted or 'the one that rollup= names'}, the household of each.",
                column=wanted or MEMBER,
                found=schema.names[:20],
                wanted=[MEMBER, wanted],
            )
        assert wanted is not None
        self.column, self.is_there = wanted, True
        self._names = (MEMBER, wanted)
        self._members = Numbering(id_type_of(schema, MEMBER, MEMBER), self._limits)
        self._homes = Numbering(id_type_of(schema, wanted, wanted), self._limits)

    def check_use(self, wanted: str | None) -> None:
        """RequestError where nothing asks for households, or for others than these."""
        if wanted is None:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"There is a mapping of customers to households ({self.column!r}), and nothing asks for households: "
                f"say rollup={self.column}, or, to score, send a model that was fitted so.",
                option="rollup",
                found=self.column,
            )
        if wanted != self.column:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"The mapping's households are in the column {self.column!r}, and those that are asked for in "
                f"{wanted!r}. Name the mapping's column so.",
                option="rollup",
                found=self.column,
                wanted=wanted,
            )

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes one batch of it."""
        assert self._members is not None
        assert self._homes is not None
        members, homes = (batch.column(name) for name in self._names)
        lacking = cols.find_holes({MEMBER: members}, ())
        if lacking.nulls:
            row = self.rows + lacking.first_null[MEMBER] + 1
            raise RequestError(
                ErrorCode.NULLS,
                f"The mapping has no {MEMBER} in row {row:,}. Leave such rows out of it.",
                column=MEMBER,
                count=lacking.nulls[MEMBER],
                row=row,
            )
        self.rows += batch.num_rows
        allowed = self._limits.max_customers
        if self.rows > allowed:
            raise over("max_customers", self.rows, allowed, "Leave members without transactions out of the mapping.")
        self._memory.set("mapping", self.nbytes + room_for(batch.num_rows, self._members, self._homes))
        keep = cols.validity(homes)  # a member without a household is as good as one that is not there
        _, numbers = self._members.number(cols.keys_of(members), keep)
        _, found = self._homes.number(cols.keys_of(homes), keep)
        self._home_of = with_room(self._home_of, self._members.n)
        wrong = enter(self._home_of, numbers, found)
        if wrong is not None:
            known = int(self._home_of[numbers[wrong]])
            named = self._members.name(int(numbers[wrong]))
            raise two_households(named, self._homes.name(known), self._homes.name(int(found[wrong])), "The mapping")
        self._memory.set("mapping", self.nbytes)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        tables = sum(one.nbytes for one in (self._members, self._homes) if one is not None)
        return tables + self._home_of.nbytes

    @property
    def n_members(self) -> int:
        """Members that have a household."""
        return int(np.count_nonzero(self._home_of >= 0))

    @property
    def homes(self) -> Numbering:
        """The households."""
        assert self._homes is not None
        return self._homes

    def check_ids(self, id_type: pa.DataType) -> None:
        """RequestError where its members have ids of another kind than the transactions' customers."""
        assert self._members is not None
        own = self._members.id_type
        if self._members.n and _kind(own) != _kind(id_type):
            raise RequestError(
                ErrorCode.WRONG_TYPE,
                f"The mapping's {MEMBER} has the type {own}, and that of the transactions {id_type}: members would "
                "not be found. Send both as the same type.",
                column=MEMBER,
                found=str(own),
                wanted=str(id_type),
            )

    def homes_of(self, keys: Keys, rows: Numbers) -> Numbers:
        """The household of the listed members, int32[len(rows)], by its number; -1: none."""
        assert self._members is not None
        if self._members.n == 0 or len(rows) == 0:
            return np.full(len(rows), -1, np.int32)
        _, numbers = self._members.number(take_keys(keys, rows.astype(np.int64)))
        self._home_of = with_room(self._home_of, self._members.n)
        return self._home_of[numbers]


def _kind(id_type: pa.DataType) -> str:
    """What ids can be equal to: below zero an integer has the bits of a large one of uint64."""
    if pa.types.is_integer(id_type):
        return "uint64" if pa.types.is_uint64(id_type) else "integer"
    return "uuid" if pa.types.is_fixed_size_binary(id_type) else "text"


def with_room(homes: Numbers, n: int) -> Numbers:
    """`homes` with a place for `n` members at least, those that are new without a household (-1)."""
    if n <= len(homes):
        return homes
    larger = np.full(max(n, 2 * len(homes)), -1, np.int32)
    larger[: len(homes)] = homes
    return larger


def enter(home_of: Numbers, members: Numbers, homes: Numbers) -> int | None:
    """Writes the household of each member into `home_of`; the first place of one that has another, or None."""
    known = home_of[members]
    new = known < 0
    # In reverse, so that of a member's several rows the first one stays: what comes later is what is wrong.
    home_of[members[new][::-1]] = homes[new][::-1]
    wrong = home_of[members] != homes
    return int(np.argmax(wrong)) if wrong.any() else None


def room_for(n_rows: int, *tables: Numbering) -> int:
    """What these tables may take at most, beside what they have, while they take in so many rows."""
    n, text = sum(one.n for one in tables), sum(one.text_bytes for one in tables)
    return table_bytes(len(tables) * n_rows, n, 0, text, in_place=False, n_shards=1, with_pairs=False)


def two_households(member: str, first: str, second: str, who: str) -> RequestError:
    """The refusal of a member that is in two households."""
    shown = [text[:120] for text in (member, first, second)]
    return RequestError(
        ErrorCode.TWO_HOUSEHOLDS,
        f"{who} says that the customer {shown[0]!r} is in the household {shown[1]!r} and in {shown[2]!r}. A member has "
        "one household: correct it, or keep one of them.",
        column=MEMBER,
        found=shown[1:],
        wanted=shown[0],
    )
