"""Transactions → one record per customer: batches are queued, and aggregated a few at a time on all threads."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kernels.accumulators import Accumulator
from kernels.day_counts import DayCounts
from kernels.hashing import RowKeys
from kernels.rfm import Occasion, Prepared, Refunds, RfmTable, Rows
from kernels.rfm import Plan as KernelPlan
from proto.errors import ErrorCode, RequestError
from proto.instants import NANOSECONDS_PER_DAY, instant_ns, local_date_days
from proto.limits import Limits, over
from proto.model import Aggregation, Notice
from proto.schemas import Plan
from service import columns as cols
from service.budget import finishing_bytes, table_bytes
from service.filtering import RowMask
from service.grouping import Grouping, with_groups
from service.identities import Identities, check_text
from service.intake import Left, batch_bytes, sum_overflow
from service.partial import from_batch, to_batch
from service.population import Instant, Population, population_of_transactions
from service.rounds import PIECE_ROWS, Piece, Rounds
from service.schemes.gathering import Gathering
from service.schemes.moment import Moment
from service.schemes.request import Asked
from service.threads import ThreadTeam
from service.zones import zone_table

__all__ = ["TransactionsIntake"]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
AS_OF_OUTLIER_DAYS = 7


class TransactionsIntake:
    """Aggregates transactions, batch by batch, into one record per customer."""

    def __init__(
        self,
        plan: Plan,
        schema: pa.Schema,
        aggregation: Aggregation,
        as_of: str,
        nulls: str,
        *,
        now_ns: int,
        limits: Limits,
        team: ThreadTeam,
        n_shards: int,
        first_row: int = 0,
        where: RowMask | None = None,
        asked: Sequence[Asked] = (),
        grouping: Grouping | None = None,
        beside: Mapping[str, str] | None = None,  # columns that must hold a value too, by our name for them
    ) -> None:
        assert plan.timestamp is not None
        assert plan.amount is not None
        self.rows_in = 0
        self._first_row, self._where, self._grouping = first_row, where, grouping
        self._aggregation, self._nulls, self._limits, self._team = aggregation, nulls, limits, team
        self._names = {"customer_id": plan.customer_id, "timestamp": plan.timestamp, "amount": plan.amount}
        if aggregation.occasion == "order":
            assert plan.order_id is not None
            self._names["order_id"] = plan.order_id
        self._names |= beside or {}
        self._types = {ours: schema.field(theirs).type for ours, theirs in self._names.items()}
        self._unit = cols.time_unit(self._types["timestamp"])
        self._left = Left()
        self._fixed_as_of = None if as_of == "max" else self._instant(as_of, now_ns)
        self._days = DayCounts(self._unit.ticks_per_day) if as_of == "max" else None
        self._gathering: Gathering | None = None
        if asked:
            moment = Moment(self._fixed_as_of, self._unit, aggregation.tz)
            self._gathering = Gathering(
                asked, plan.wished, moment, self._types["amount"], limits=limits, n_shards=n_shards
            )
        # Accumulators need customers that are numbered; where only rows are counted, short texts need none.
        packs = aggregation.occasion == "row" and not asked and grouping is None
        self._identities = Identities(self._types["customer_id"], count_rows=packs, limits=limits, n_shards=n_shards)
        self._kernel = self._kernel_plan()
        self._table = RfmTable(self._kernel, n_shards, accumulators=self._accumulators)
        self._packs, self._n_shards = packs, n_shards
        self._rounds = Rounds(self._table, team)
        self._lock = threading.Lock()  # of what several pieces count in: what was left out

    def _accumulators(self) -> list[Accumulator]:
        own = self._gathering.accumulators() if self._gathering is not None else []
        return own + self._grouping.accumulators() if self._grouping is not None else own

    def _instant(self, as_of: str, now_ns: int) -> Instant:
        ns = instant_ns(as_of, self._aggregation.tz, now_ns)
        if self._unit.is_date:
            return Instant.of_day(local_date_days(ns, self._aggregation.tz))
        instant = Instant.of_ns(ns, self._unit.ticks_per_day)
        if not INT64_MIN < instant.tick < INT64_MAX:
            raise RequestError(
                ErrorCode.BAD_OPTION,
                f"as_of={as_of} lies outside what timestamps in nanoseconds can hold; send microseconds.",
                option="as_of",
                found=as_of,
            )
        return instant

    def _kernel_plan(self) -> KernelPlan:
        aggregation, tpd = self._aggregation, self._unit.ticks_per_day
        lower, upper = INT64_MIN, INT64_MAX
        if self._fixed_as_of is not None:
            upper = self._fixed_as_of.tick
            if aggregation.window_days is not None:
                if self._unit.is_date:
                    lower = max(INT64_MIN, upper - math.ceil(aggregation.window_days))
                else:
                    start_ns = self._fixed_as_of.ns - round(aggregation.window_days * NANOSECONDS_PER_DAY)
                    lower = max(INT64_MIN, start_ns * tpd // NANOSECONDS_PER_DAY)
        zone = zone_table(aggregation.tz if aggregation.occasion == "day" and not self._unit.is_date else "UTC")
        ticks_per_second = tpd // 86_400 or 1
        return KernelPlan(
            occasion=Occasion[aggregation.occasion.upper()],
            refunds=Refunds[aggregation.refunds.upper()],
            lower_tick=lower,
            upper_tick=upper,
            ticks_per_day=tpd,
            zone_transitions=zone.transitions * ticks_per_second,
            zone_offsets=zone.offsets * ticks_per_second,
            amount_kind=cols.amount_kind(self._types["amount"]),
            fixed_ids=self._identities.kind == "fixed" and (self._grouping is None or not self._grouping.by_row),
            wide_ids=self._identities.kind == "wide",
            fixed_orders=cols.is_fixed_id(self._types["order_id"]) if "order_id" in self._types else None,
        )

    @property
    def as_of_tick(self) -> int | None:
        """The last tick that counts, where as_of is explicit."""
        return None if self._fixed_as_of is None else self._fixed_as_of.tick

    @property
    def ticks_between(self) -> tuple[int, int]:
        """Rows count after the first of these ticks, up to the second."""
        return self._kernel.lower_tick, self._kernel.upper_tick

    @property
    def n_customers(self) -> int:
        """In the table so far; some rows may still wait."""
        return self._table.n_customers

    @property
    def held_bytes(self) -> int:
        grouping = self._grouping.held_bytes if self._grouping is not None else 0
        return self._table.nbytes + self._identities.held_bytes + grouping + self._rounds.held_bytes

    def growing_bytes(self, batch: pa.RecordBatch | None) -> int:
        rows, came = self._rounds.rows, 0
        if batch is not None:
            rows, came = rows + batch.num_rows, batch_bytes(batch)
            if not self._rounds.is_due(batch.num_rows, 1):  # it is only queued
                return self.held_bytes + came
        table, waiting = self._table, self._rounds.held_bytes + came
        grown = table_bytes(
            rows,
            table.n_customers,
            table.n_pairs,
            table.text_bytes + self._identities.text_bytes + waiting,
            in_place=self._packs and self._identities.kind != "bytes",
            n_shards=self._n_shards,
            with_pairs=self._aggregation.occasion != "row",
        )
        if self._gathering is not None or self._grouping is not None:
            grown += 2 * table.nbytes  # its columns double beside the old ones
        return waiting + max(grown, table.nbytes) + self._identities.held_bytes

    def finishing_bytes(self) -> int:
        text = self._table.text_bytes + self._identities.text_bytes
        n_bytes = finishing_bytes(self._table.n_customers + self._rounds.rows, 4, text)
        return n_bytes if self._grouping is None else 2 * n_bytes  # the whole, and its groups

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes one batch; a few are aggregated at a time, so RequestError may come with a later one."""
        self._rounds.add(batch, self.rows_in)
        self._count_in(batch.num_rows)
        if self._rounds.is_due():
            self._rounds.run(self._prepare)
            self._check()

    def _count_in(self, n_rows: int) -> None:
        self.rows_in += n_rows
        if self.rows_in > self._limits.max_rows:
            raise over("max_rows", self.rows_in, self._limits.max_rows, "Send fewer rows in one request.")

    def _aggregate(self) -> None:
        """Aggregates all that came."""
        self._rounds.finish(self._prepare)
        self._check()

    def _check(self) -> None:
        self._check_limits()
        self._check_refunds()

    def _prepare(self, piece: Piece) -> Prepared:
        """One piece as the table takes it; RequestError for what cannot be used. In any thread."""
        rows_before = piece.rows_before + piece.start
        batch = piece.whole.slice(piece.start, PIECE_ROWS)
        arrays = {ours: batch.column(theirs) for ours, theirs in self._names.items()}
        among = self._where.mask(batch) if self._where is not None else None
        holes = cols.find_holes(arrays, finite=("amount",), among=among)
        ticks = cols.ticks_of(arrays["timestamp"])
        codes = self._grouping.codes(batch) if self._grouping is not None else None
        customers: RowKeys
        if codes is not None and self._grouping is not None and self._grouping.by_row:
            customers = self._grouping.keys_of(arrays["customer_id"], holes.keep, codes)
        else:
            customers = self._identities.keys_of(arrays["customer_id"], holes.keep)
        rows = Rows(
            customers=customers,
            ticks=ticks,
            amounts=cols.amount_array(
                arrays["amount"], self._names["amount"], keep=holes.keep, rows_before=rows_before
            ),
            orders=cols.keys_of(arrays["order_id"]) if "order_id" in arrays else None,
            keep=holes.keep,
        )
        if self._gathering is not None:
            beside = self._gathering.columns(batch, ticks, arrays["amount"], holes.keep, rows_before)
            rows = rows._replace(beside=beside)
        if codes is not None:
            rows = rows._replace(beside=with_groups(rows.beside, codes))
        if holes.keep is not None:
            with self._lock:
                if among is not None:
                    self._left.filtered += len(among) - int(np.count_nonzero(among))
                if holes.dropped:
                    self._leave_out(holes, piece)
        if self._days is not None:
            self._days.add(ticks, holes.keep)
        return self._table.prepare(rows, self._first_row + rows_before)

    def _leave_out(self, holes: cols.Holes, piece: Piece) -> None:
        """Counts the rows that lack something, or refuses them in the terms of the batch that was sent."""
        if self._nulls == "error":
            arrays = {ours: piece.whole.column(theirs) for ours, theirs in self._names.items()}
            among = self._where.mask(piece.whole) if self._where is not None else None
            holes = cols.find_holes(arrays, finite=("amount",), among=among)
        self._left.check(holes, self._names, piece.rows_before, self._nulls)

    def _check_limits(self) -> None:
        table, limits = self._table, self._limits
        if table.n_customers > limits.max_customers:
            remedy = "Send fewer customers in one request, or raise SEGSERVE_MAX_CUSTOMERS."
            raise over("max_customers", table.n_customers, limits.max_customers, remedy)
        if table.n_pairs > limits.max_pairs:
            remedy = "occasion=row needs no pairs; or send fewer rows, or raise SEGSERVE_MAX_PAIRS."
            raise over("max_pairs", table.n_pairs, limits.max_pairs, remedy)
        check_text(self._identities.text_bytes + table.text_bytes, limits)

    def _check_refunds(self) -> None:
        counts = self._table.counts
        if self._aggregation.refunds == "error" and counts.refund_rows:
            raise RequestError(
                ErrorCode.REFUNDS,
                f"{counts.refund_rows:,} row(s) have an amount below 0, the first in row "
                f"{counts.first_refund_row + 1:,}; refunds=error allows none. refunds=net lets them lower "
                "the customer's total, refunds=drop leaves them out.",
                column=self._names["amount"],
                count=int(counts.refund_rows),
                row=int(counts.first_refund_row) + 1,
            )

    def _refuse_partial(self) -> None:
        option = "partition_by" if self._grouping is not None else "schemes"
        if self._gathering is not None or self._grouping is not None:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"Partial states hold recency, frequency and monetary value, and nothing of schemes or groups: leave "
                f"{option}= out, or aggregate all rows in one request.",
                option=option,
            )

    def partial(self) -> pa.RecordBatch:
        """The state so far, for `absorb` elsewhere; the rows' numbers begin at this intake's `first_row`."""
        self._refuse_partial()
        self._aggregate()
        left = self._left
        facts = {**self._facts(), "rows_in": self.rows_in, "nulls": left.nulls, "filtered": left.filtered}
        try:
            facts["not_finite"] = left.not_finite
            return to_batch(self._table.export(), self._types, facts, self._identities)
        except OverflowError:
            raise sum_overflow(self._names["amount"], self._types["amount"]) from None

    def absorb(self, state: pa.RecordBatch) -> None:
        """Enters another intake's partial state, as if its rows had come here."""
        self._refuse_partial()
        theirs, facts = from_batch(state, self._facts(), self._identities)
        self._table.merge(theirs, self._team.run)
        self._count_in(facts["rows_in"])
        self._left.not_finite += facts["not_finite"]
        self._left.filtered += facts["filtered"]
        for column, count in facts["nulls"].items():
            self._left.nulls[column] = self._left.nulls.get(column, 0) + count
        self._check_limits()
        self._check_refunds()

    def _facts(self) -> dict[str, Any]:
        """What two states must share to be merged. as_of=max is known to none of them."""
        if self._fixed_as_of is None:
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                "Partial states need an explicit as_of (a date, a time, or now): as_of=max is known only once all rows "
                "are there.",
                option="as_of",
            )
        types = {ours: str(kind) for ours, kind in self._types.items()}
        where = self._where.text if self._where is not None else None
        return {
            "as_of": self._fixed_as_of.text,
            "where": where,
            "types": types,
            **self._aggregation.model_dump(mode="json"),
        }

    def finish(self) -> Population:
        self._aggregate()
        counts = self._table.counts
        if counts.overflow:
            raise sum_overflow(self._names["amount"], self._types["amount"])
        customers, arranged = self._table.finish_arranged(self._team.run, self._identities.restore)
        table = self._table.accumulators, self._table.n_numbers
        keys, groups = customers.keys, None
        if self._grouping is not None:
            keys, groups = self._grouping.finish(keys, *table, arranged)
        customers = customers._replace(keys=self._identities.restore(keys, self._team.run))
        as_of, notices = self._fixed_as_of, []
        if as_of is None and counts.rows_kept:
            latest = int(counts.max_tick)
            as_of = Instant.of_day(latest) if self._unit.is_date else Instant.of_tick(latest, self._unit.ticks_per_day)
            notices = self._as_of_notices(as_of)
        try:
            population = population_of_transactions(
                customers,
                counts=counts,
                outside_window=self._table.n_outside_window,
                types=self._types,
                unit=self._unit,
                as_of=as_of,
                aggregation=self._aggregation,
                rows_in=self.rows_in,
                nulls=self._left.nulls,
                not_finite=self._left.not_finite,
                filtered=self._left.filtered,
                notices=notices,
                team=self._team,
            )
            if self._gathering is not None:
                moment = Moment(as_of, self._unit, self._aggregation.tz)
                population.gathered = self._gathering.finish(*table, arranged, moment, self._team)
        except OverflowError:
            raise sum_overflow(self._names["amount"], self._types["amount"]) from None
        population.groups = groups
        return population

    def _as_of_notices(self, as_of: Instant) -> list[Notice]:
        """One row dated 2099 ruins every recency: say so when the latest row stands far from the others."""
        assert self._days is not None
        end_of_usual_day = self._days.percentile(99.9) + self._unit.ticks_per_day - 1
        gap_days = (as_of.tick - end_of_usual_day) / self._unit.ticks_per_day
        if gap_days <= AS_OF_OUTLIER_DAYS:
            return []
        return [
            Notice(
                code="as_of_outlier",
                message=f"The latest row ({as_of.text}) is {gap_days:,.0f} days after 99.9 % of the rows, and every "
                "recency counts from it. Check that row, or give as_of.",
                facts={"as_of": as_of.text, "gap_days": round(gap_days, 1)},
            )
        ]
