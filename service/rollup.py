"""`rollup=`: transactions of members, aggregated by household, and beside that what each member spent itself.

The households are customers like any others: the intake of transactions numbers them by the household's column. The
members' side is a second intake of the same rows, whose customers are the pairs (member, category); it has the same
window, refunds and limits, so both count the same rows. What the members' rows say of their household is checked as
they come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from proto.bundle import households_of
from proto.errors import ErrorCode, RequestError
from proto.limits import Limits, over
from proto.model import Aggregation, Model, Notice
from proto.options import FitOptions, ScoreOptions, SegmentOptions
from proto.schemas import Plan, id_type_of
from proto.summary import RollupSummary
from proto.wishes import NO_WISHES, Wish, Wishes
from service import columns as cols
from service.budget import finishing_bytes
from service.filtering import RowMask
from service.mapping import MEMBER, MemberMapping, enter, room_for, two_households, with_room
from service.members import NO_MEMBERS, Members, members_of_pairs, pairs_of
from service.numbering import Numbering
from service.population import Population
from service.schemes.request import wishes_of
from service.transactions_intake import TransactionsIntake

__all__ = ["Rollup", "RollupIntake", "rollup_of", "wishes_for"]

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int32]
Options = FitOptions | SegmentOptions | ScoreOptions

_CATEGORY = "category"
_PAIR = "\0pair"  # no sender's column
_ANY = 2**62  # pairs are counted against a limit of their own


def wishes_for(options: Options, model: Model | None, *, mapped: bool = False) -> Wishes:
    """The columns wanted beside the base's: those of schemes, and the household's and the category's of a rollup.

    `mapped`: a mapping says the households, so that no column has to.
    """
    found = wishes_of(options, model) if options.schemes else NO_WISHES
    column = households_of(options, model)
    if column is None:
        return found
    rows = {wish.name: wish for wish in found.rows}
    if not mapped:
        fits = not isinstance(options, ScoreOptions)
        who = f"rollup={column}" if fits else "the model, which was fitted on households,"
        why = (
            "it says which household a customer is in, as a mapping ahead of the data does where that is Arrow or JSON"
        )
        rows[column] = Wish(column, "id", True, f"{why}; {who}")
    rows.setdefault(_CATEGORY, Wish(_CATEGORY, "id", False, "rollup="))
    return found._replace(rows=tuple(rows.values()))


class Rollup(NamedTuple):
    """Which columns a rollup reads."""

    name: str
    """What `rollup=` says."""
    household: str
    """The column of the data; the same name where a mapping has it."""
    household_type: pa.DataType
    category: str | None
    mapping: MemberMapping | None


def rollup_of(plan: Plan, schema: pa.Schema, name: str, mapping: MemberMapping | None) -> Rollup:
    """The rollup of data of this schema; RequestError where households cannot be told."""
    if plan.kind == "customers":
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            f"rollup={name} adds up the transactions of a household's members, and this is a table with one row per "
            "customer. Send transactions (customer_id, timestamp, amount).",
            option="rollup",
            found="customers",
            wanted="transactions",
        )
    by_name = {wished.name: wished.column for wished in plan.wished}
    category = by_name.get(_CATEGORY)
    if mapping is not None and mapping.is_there:
        if name in schema.names:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"The transactions have a column {name!r}, and the mapping says which household a customer is in as "
                "well. Send one of the two.",
                option="rollup",
                column=name,
            )
        mapping.check_ids(plan.id_type)
        return Rollup(name, name, mapping.homes.id_type, category, mapping)
    household = by_name[name]
    if household in (plan.customer_id, plan.timestamp, plan.amount):
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            f"rollup={name} names the column {household!r}, which is the customers' own "
            f"{'id' if household == plan.customer_id else 'time or amount'}: members and households need a column "
            "each. Leave rollup out where every row's customer is a household already.",
            option="rollup",
            column=household,
        )
    return Rollup(name, household, id_type_of(schema, household, name), category, None)


class _Housed:
    """The rows that a filter keeps and that have a household; also those without a customer, to be refused as such."""

    def __init__(self, household: str, member: str, where: RowMask | None) -> None:
        self._household, self._member, self._where = household, member, where
        self.text = "" if where is None else where.text

    def mask(self, batch: pa.RecordBatch) -> Bools | None:
        among = None if self._where is None else self._where.mask(batch)
        housed = cols.validity(batch.column(self._household))
        if housed is None:
            return among
        known = cols.validity(batch.column(self._member))
        housed = housed if known is None else housed | ~known
        return housed if among is None else housed & among


class RollupIntake:
    """An intake whose population is the households; `members` has the rest once it is finished.

    `intake` makes an intake of transactions from (plan, schema, aggregation) and keywords. Without `with_members`
    nothing is kept of what members spent: a fit has no use for it.
    """

    def __init__(
        self,
        plan: Plan,
        schema: pa.Schema,
        rollup: Rollup,
        aggregation: Aggregation,
        nulls: str,
        *,
        where: RowMask | None,
        limits: Limits,
        intake: Callable[..., TransactionsIntake],
        with_members: bool,
    ) -> None:
        assert plan.timestamp is not None
        assert plan.amount is not None
        self.rows_in = 0
        self.members: Members = NO_MEMBERS
        self.summary: RollupSummary | None = None
        self._plan, self._rollup, self._where, self._limits = plan, rollup, where, limits
        self._timestamp, self._amount = plan.timestamp, plan.amount
        self._field = pa.field(rollup.household, rollup.household_type)
        own = (rollup.name, _CATEGORY)
        self._households = intake(
            plan._replace(
                customer_id=rollup.household, wished=tuple(one for one in plan.wished if one.name not in own)
            ),
            schema if rollup.mapping is None else schema.append(self._field),
            aggregation,
            nulls=nulls,
            limits=limits,
            where=_Housed(rollup.household, plan.customer_id, where),
            beside={"member_id": plan.customer_id},
        )
        self._spend: TransactionsIntake | None = None
        if with_members:
            parts = (pa.field(_PAIR, pa.int64()), schema.field(plan.timestamp), schema.field(plan.amount))
            self._spend = intake(
                plan._replace(customer_id=_PAIR, order_id=None, wished=()),
                pa.schema(parts),
                aggregation.model_copy(update={"occasion": "row", "monetary": "sum"}),
                nulls="drop",
                limits=limits._replace(max_customers=_ANY),
                where=None,
                asked=(),
            )
        self._numbers = Numbering(plan.id_type, limits)
        self._homes = rollup.mapping.homes if rollup.mapping else Numbering(rollup.household_type, limits)
        category = None if rollup.category is None else id_type_of(schema, rollup.category, _CATEGORY)
        self._categories = None if category is None or not with_members else Numbering(category, limits)
        self._home_of = np.empty(0, np.int32)
        self._mapped: pa.Array | None = None
        self._rows_without = 0

    @property
    def as_of_tick(self) -> int | None:
        """The last tick that counts, where as_of is explicit."""
        return self._households.as_of_tick

    @property
    def rolled(self) -> tuple[Members, RollupSummary]:
        """The members, and what the summary says of them; once it is finished."""
        assert self.summary is not None
        return self.members, self.summary

    @property
    def _tables(self) -> list[Numbering]:
        tables = [self._numbers, self._homes, self._categories]
        return [table for table in tables if table is not None]

    @property
    def held_bytes(self) -> int:
        own = sum(table.nbytes for table in self._tables) + self._home_of.nbytes
        return own + self._households.held_bytes + (self._spend.held_bytes if self._spend is not None else 0)

    def growing_bytes(self, batch: pa.RecordBatch | None) -> int:
        own = sum(table.nbytes for table in self._tables) + self._home_of.nbytes
        if batch is not None:
            own += room_for(batch.num_rows, *self._tables) + 4 * self._home_of.nbytes
        spend = 0 if self._spend is None else self._spend.growing_bytes(batch)
        return own + self._households.growing_bytes(batch) + spend

    def finishing_bytes(self) -> int:
        own = finishing_bytes(self._numbers.n, 4, self._numbers.text_bytes)
        spend = 0 if self._spend is None else self._spend.finishing_bytes()
        return own + self._households.finishing_bytes() + spend

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes one batch; RequestError for a member in two households."""
        ids, times = batch.column(self._plan.customer_id), batch.column(self._timestamp)
        among = None if self._where is None else self._where.mask(batch)
        keep = cols.find_holes({MEMBER: ids}, (), among).keep
        known = self._numbers.n
        rows, members = self._numbers.number(cols.keys_of(ids), keep)
        self._home_of = with_room(self._home_of, self._numbers.n)
        self._check_limit()
        counts = self._in_time(times)[rows]
        if self._rollup.mapping is None:
            homes = self._homes_in(batch, keep)
            self._enter(members[counts], homes[rows[counts]], rows[counts])
        else:
            new = members >= known
            found = self._rollup.mapping.homes_of(cols.keys_of(ids), rows[new])
            self._home_of[members[new]] = found
            homes = np.full(batch.num_rows, -1, np.int32)
            homes[rows] = self._home_of[members]
            batch = batch.append_column(self._field, self._home_column(homes))
        self._rows_without += int(np.count_nonzero(homes[rows] < 0))
        self._households.add(batch)
        self.rows_in = self._households.rows_in
        if self._spend is not None:
            self._spend.add(self._pairs(batch, rows[counts], members[counts], homes))
            self._check_pairs()

    def _in_time(self, times: pa.Array) -> Bools:
        """The rows that neither as_of nor the window leaves out."""
        lower, upper = self._households.ticks_between
        ticks = cols.ticks_of(times)
        within = (ticks <= upper) & ((ticks > lower) | (lower == np.iinfo(np.int64).min))
        there = cols.validity(times)
        return within if there is None else within & there

    def _homes_in(self, batch: pa.RecordBatch, keep: Bools | None) -> Numbers:
        """The household of each row by its number, -1: none."""
        column = batch.column(self._rollup.household)
        rows, numbers = self._homes.number(cols.keys_of(column), cols.find_holes({"": column}, (), keep).keep)
        homes = np.full(batch.num_rows, -1, np.int32)
        homes[rows] = numbers
        return homes

    def _enter(self, members: Numbers, homes: Numbers, rows: Numbers) -> None:
        """Notes the households of members; RequestError where one has another."""
        housed = homes >= 0
        members, homes = members[housed], homes[housed]
        wrong = enter(self._home_of, members, homes)
        if wrong is None:
            return
        row = self._households.rows_in + int(rows[housed][wrong]) + 1
        name = self._homes.name
        first, second = name(int(self._home_of[members[wrong]])), name(int(homes[wrong]))
        raise two_households(self._numbers.name(int(members[wrong])), first, second, f"Row {row:,}")

    def _home_column(self, homes: Numbers) -> pa.Array:
        """The mapping's households of a batch's rows; it came whole before the first of them."""
        if self._mapped is None:
            self._mapped = cols.id_column(self._homes.keys(), self._rollup.household_type)
        return self._mapped.take(pa.array(homes, mask=homes < 0))

    def _pairs(self, batch: pa.RecordBatch, rows: Numbers, members: Numbers, homes: Numbers) -> pa.RecordBatch:
        """Member, category and whether there is a household as one id per row; null where the row does not count."""
        categories = np.full(batch.num_rows, -1, np.int32)
        if self._categories is not None:
            column = batch.column(self._rollup.category)
            named, numbers = self._categories.number(cols.keys_of(column), cols.validity(column))
            categories[named] = numbers
        pairs, missing = np.zeros(batch.num_rows, np.int64), np.ones(batch.num_rows, np.bool_)
        pairs[rows] = pairs_of(members, categories[rows], homes[rows] >= 0)
        missing[rows] = False
        columns = [pa.array(pairs, mask=missing), batch.column(self._timestamp), batch.column(self._amount)]
        return pa.RecordBatch.from_arrays(columns, [_PAIR, self._timestamp, self._amount])

    def _check_limit(self) -> None:
        n, allowed = self._numbers.n, self._limits.max_customers
        if n > allowed:
            raise over("max_customers", n, allowed, "Members count as well as households; send fewer in one request.")

    def _check_pairs(self) -> None:
        assert self._spend is not None
        n, allowed = self._spend.n_customers, self._limits.max_pairs
        if n > allowed:
            raise over("max_pairs", n, allowed, "Members and their categories are too many; leave the category out.")

    def finish(self) -> Population:
        """The households."""
        population = self._households.finish()
        place_of = np.full(self._homes.n + 1, -1, np.int64)  # the last is for members without a household
        if population.n:
            _, numbers = self._homes.number(population.keys)
            place_of[numbers] = np.arange(population.n)
        places = place_of[self._home_of[: self._numbers.n]]
        left_out = 0
        if self._spend is not None:
            spend = self._spend.finish()
            self._spend = None
            self._check_members(spend.n)
            self.members = members_of_pairs(
                spend,
                places,
                population,
                keys=self._numbers.keys(),
                id_type=self._plan.id_type,
                categories=self._categories,
            )
            left_out = self._numbers.n - self.members.n
            places = self.members.places
            if self.members.n and not population.n:
                raise self._nobody()
        self._tell(population, places, left_out)
        return population

    def _check_members(self, n_pairs: int) -> None:
        if n_pairs > self._limits.max_pairs:
            raise over("max_pairs", n_pairs, self._limits.max_pairs, "Leave the category out, or send fewer members.")

    def _nobody(self) -> RequestError:
        told = "the mapping" if self._rollup.mapping else f"the column {self._rollup.household!r}"
        return RequestError(
            ErrorCode.NO_CUSTOMERS,
            f"None of the {self.members.n:,} customers has a household in {told}. Check that ids are written alike in "
            "both places (00123 is not 123), or leave rollup out.",
            option="rollup",
            found=0,
        )

    def _tell(self, population: Population, places: npt.NDArray[np.int64], left_out: int) -> None:
        """Counts who is in no household, and says so."""
        without, mapping = int(np.count_nonzero(places < 0)), self._rollup.mapping
        counts = population.counts
        filtered = counts.rows_filtered - self._rows_without
        population.counts = counts.model_copy(update={"rows_filtered": filtered})
        mapped = None if mapping is None else mapping.n_members
        seen = int(np.count_nonzero(self._home_of[: self._numbers.n] >= 0))
        self.summary = RollupSummary(
            column=self._rollup.name,
            source="column" if mapping is None else "mapping",
            households=population.n,
            members=len(places),
            members_without_household=without,
            members_left_out=left_out,
            rows_without_household=self._rows_without,
            mapped_members=mapped,
            mapped_without_rows=None if mapped is None else mapped - seen,
        )
        if self._rows_without:
            population.notices.append(
                Notice(
                    code="members_without_household",
                    message=f"{without:,} member(s) have no household, and {self._rows_without:,} row(s) are in no "
                    "household's figures. Such members come back without a segment; give each a household of its own "
                    "if it is to be fitted.",
                    facts={"members": without, "rows": self._rows_without},
                )
            )
