"""The main job as plain synchronous functions: schema → batches → outcome. No HTTP, no event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import pyarrow as pa

from proto.audience import AudienceOptions
from proto.bundle import AnyModel, Bundle, Partition, households_of, partition_of, shared_of
from proto.errors import ErrorCode, RequestError
from proto.limits import Limits
from proto.model import Aggregation, Model, seal
from proto.options import FitOptions, ScoreOptions, SegmentOptions
from proto.schemas import Plan, output_schema, resolve
from proto.summary import Summary
from service.audience import audience_of
from service.budget import GROUP_BYTES, Reservation
from service.contradictions import no_model, refuse_contradiction, refuse_other_kind
from service.customer_values import CustomerValues, TableValues
from service.customers_intake import CustomersIntake
from service.features import check_feature_options
from service.filtering import RowFilter
from service.fitting import fit
from service.grouping import Grouping, TableGrouping, with_group
from service.intake import Intake
from service.mapping import MemberMapping
from service.members import members_of
from service.outcome import AnyOutcome, Outcome
from service.partitions import by_group
from service.population import Population
from service.rollup import RollupIntake, rollup_of, wishes_for
from service.schemes.request import Asked, asked_by, check_times
from service.schemes.running import run_schemes
from service.scoring import (
    Scored,
    drift_notice,
    drift_of,
    history_notice,
    percentiles_of,
    score_population,
    segment_summaries,
)
from service.threads import ThreadTeam
from service.transactions_intake import TransactionsIntake

__all__ = ["Job", "Kind", "Options", "no_check"]

Kind = Literal["segment", "fit", "score", "audience"]
Options = SegmentOptions | FitOptions | ScoreOptions

# One shard keeps small requests lean; more let several threads aggregate one batch, each its own customers.
SHARDED_BYTES = 1 << 20


def no_check() -> None:
    """A job that nobody cancels."""


class Job:
    """One request: `start` with the schema, `add` every batch, `finish` for the outcome.

    For segment and fit, `model` is the one to start from (`init=`), if any; for score, the one to score with.
    `check` is called between steps and may raise to end the job early. What the job is about to hold it reserves with
    `memory`, which may refuse.
    """

    def __init__(
        self,
        options: Options,
        model: AnyModel | None,
        *,
        limits: Limits,
        team: ThreadTeam,
        now_ns: int,
        expected_bytes: int | None = None,
        first_row: int = 0,
        check: Callable[[], None] = no_check,
        memory: Reservation | None = None,
        mapping: MemberMapping | None = None,
    ) -> None:
        self.options, self._mapping = options, mapping
        self._model = model
        self._limits, self._team, self._check = limits, team, check
        self._memory = memory or Reservation()
        self._now_ns, self._first_row = now_ns, first_row
        self._n_shards = 1 if expected_bytes is not None and expected_bytes < SHARDED_BYTES else team.n_threads
        self._plan: Plan | None = None
        self._aggregation: Aggregation | None = None
        self._intake: Intake | None = None
        self._asked: list[Asked] = []
        self._partition: Partition | None = None
        self._values: CustomerValues | None = None
        self._table_values: TableValues | None = None
        self.rows_in = 0

    def require_model(self) -> None:
        """Refuses to score without a model, or against what it says, before anything is said about columns."""
        if not isinstance(self.options, ScoreOptions):
            return
        if self._model is None:
            raise no_model()
        refuse_contradiction(self.options, self._model)

    def start(self, schema: pa.Schema) -> None:
        """Decides which column plays which part; RequestError when one is missing or of a wrong type."""
        self.require_model()
        self._partition = partition_of(self.options, self._model)
        scoring = shared_of(self._model) if isinstance(self.options, ScoreOptions) else None
        self._asked = asked_by(self.options, scoring) if self.options.schemes else []
        mapped = self._mapping is not None and self._mapping.is_there
        wanted = with_group(wishes_for(self.options, scoring, mapped=mapped), self._partition)
        plan = resolve(schema, self.options, scoring, wanted)
        self._plan = plan
        households = households_of(self.options, scoring)
        rollup = None if households is None else rollup_of(plan, schema, households, self._mapping)
        if not isinstance(self.options, ScoreOptions):
            refuse_other_kind(self.options, self._model)
            for init in self._model.models.values() if isinstance(self._model, Bundle) else [self._model]:
                check_feature_options(plan, self.options, init)
        parted = (plan, schema, self._partition, self._limits) if self._partition is not None else None
        if plan.kind == "customers":
            where = self._filter(schema, self.options.tz or "UTC")
            named = self.options.named_columns()
            self._table_values = TableValues(schema, named) if named else None
            self._intake = CustomersIntake(
                plan,
                schema,
                self.options.nulls,
                limits=self._limits,
                where=where,
                asked=self._asked,
                values=self._table_values,
                grouping=TableGrouping(*parted) if parted is not None else None,
            )
            return
        self._aggregation = self._aggregation_of(plan)
        as_of = self.options.as_of
        if as_of is None:
            raise RequestError(
                ErrorCode.BAD_OPTION,
                "Scoring transactions needs as_of (now, a date, or a time with its offset): recency counts from it. "
                "A lone customer's own latest row would make every recency 0.",
                option="as_of",
            )
        check_times(self._asked, as_of, self._aggregation.window_days)
        where = self._filter(schema, self._aggregation.tz)
        intake = functools.partial(
            TransactionsIntake,
            as_of=as_of,
            now_ns=self._now_ns,
            team=self._team,
            n_shards=self._n_shards,
            first_row=self._first_row,
            asked=self._asked,
            grouping=Grouping(*parted, self._n_shards) if parted is not None else None,
        )
        taking: dict[str, Any] = {"nulls": self.options.nulls, "where": where, "limits": self._limits}
        if rollup is None:
            self._intake = intake(plan, schema, self._aggregation, **taking)
        else:
            has_rows = isinstance(self.options, SegmentOptions | ScoreOptions)
            taking |= {"intake": intake, "with_members": has_rows}
            self._intake = RollupIntake(plan, schema, rollup, self._aggregation, **taking)
        named = self.options.named_columns()
        if named:
            tick = self._intake.as_of_tick
            self._values = CustomerValues(plan, schema, named, as_of_tick=tick, where=where, limits=self._limits)

    def _filter(self, schema: pa.Schema, tz: str) -> RowFilter | None:
        options = self.options
        return None if options.where is None else RowFilter(options.where, schema, options.columns, tz)

    def _aggregation_of(self, plan: Plan) -> Aggregation:
        if isinstance(self.options, ScoreOptions):
            model = shared_of(self._model)
            assert model is not None
            assert model.aggregation is not None
            return model.aggregation
        options = self.options
        return Aggregation(
            tz=options.tz,
            window_days=options.window,
            occasion=options.occasion or ("order" if plan.order_id is not None else "time"),
            refunds=options.refunds,
            monetary=options.monetary,
            whole_days=options.whole_days,
            rollup=options.rollup,
        )

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes one batch of the schema given to `start`."""
        assert self._intake is not None, "start() comes before add()"
        self._check()
        self._memory.set("table", self._intake.growing_bytes(batch))
        self._intake.add(batch)
        if self._values is not None:
            self._memory.set("values", self._values.growing_bytes(batch))
            self._values.add(batch)
            self._memory.set("values", self._values.held_bytes)
        self._memory.set("table", self._intake.held_bytes)
        self.rows_in = self._intake.rows_in

    def partial(self) -> pa.RecordBatch:
        """The aggregated state so far as Arrow (service/partial.py), to be absorbed by another job."""
        return self._transactions().partial()

    def absorb(self, state: pa.RecordBatch) -> None:
        """Enters the state of another job, started with the same schema and options."""
        self._check()
        self._transactions().absorb(state)
        self.rows_in = self._transactions().rows_in

    def _transactions(self) -> TransactionsIntake:
        if isinstance(self._intake, RollupIntake):
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                "Partial states are of customers, and hold no households: leave rollup= out, or aggregate all rows in "
                "one request.",
                option="rollup",
            )
        if not isinstance(self._intake, TransactionsIntake):
            raise TypeError("partial states are of transactions; start() with a transactions schema comes first")
        return self._intake

    def finish(self) -> AnyOutcome:
        """Fits or scores what came."""
        assert self._plan is not None, "start() comes before finish()"
        assert self._intake is not None
        self._check()
        self._memory.set("table", self._intake.growing_bytes(None))
        self._memory.set("finish", self._intake.finishing_bytes())
        population = self._intake.finish()
        rolled = self._intake.rolled if isinstance(self._intake, RollupIntake) else None
        self._intake = None  # its tables are as large as the population, and done with
        self._memory.set("table", 0)
        options, is_fit = self.options, not isinstance(self.options, ScoreOptions)
        if self._partition is not None:
            assert population.groups is not None
            self._memory.set("groups", GROUP_BYTES * len(population.groups.names))
            return by_group(population, self._partition, self._model, self._team, self._answer, is_fit=is_fit)
        assert not isinstance(self._model, Bundle)
        outcome = self._answer(population, self._model)
        if rolled is not None and outcome.schema is not None:
            outcome = members_of(outcome, *rolled)
        if not isinstance(options, AudienceOptions):
            return outcome
        values = self._values or self._table_values
        return audience_of(outcome, options, values.of(outcome.population.keys) if values is not None else {})

    def _answer(self, population: Population, known: Model | None) -> Outcome:
        """Fits a population, or scores it with the model that is known."""
        assert self._plan is not None
        crosstab = None
        options, asked = self.options, self._asked
        if isinstance(options, ScoreOptions):
            assert known is not None
            model = known
            if asked and self._partition is not None:
                asked = asked_by(options, model)  # with the cuts of its group
            scored = score_population(population, model, self._team)
            warnings = list(population.notices)
        else:
            fitted = fit(population, self._plan, options, self._aggregation, known, self._team, self._check)
            model, scored = fitted.model, Scored(fitted.scores, fitted.segments)
            crosstab, warnings = fitted.crosstab, list(model.fitted_on.warnings)
        self._check()
        lang = "code" if isinstance(options, FitOptions) else options.lang
        schemes = None
        if asked:
            by_value = functools.cache(functools.partial(percentiles_of, scored, model))
            schemes = run_schemes(asked, population, scored.segments, len(model.segments), lang, by_value)
            warnings += schemes.notices
            if not isinstance(options, ScoreOptions):
                model = seal(model.model_copy(update={"schemes": schemes.frozen}))
            self._check()
        drift = None
        skipped = None
        if isinstance(options, ScoreOptions):
            found = drift_of(population, model, scored)
            drift, skipped = (None, found) if isinstance(found, str) else (found, None)
            notices = (
                drift_notice(drift) if drift else None,
                history_notice(population.history_days, population.n_fitted, model),
            )
            warnings += [notice for notice in notices if notice is not None]
        summary = Summary(
            model_id=model.id,
            as_of=population.as_of.text if population.as_of else None,
            history_days=population.history_days,
            counts=population.counts,
            segments=segment_summaries(population, model, scored, self._team),
            drift=drift,
            drift_skipped=skipped,
            crosstab=crosstab,
            ahp=None if isinstance(options, ScoreOptions) else model.fitted_on.ahp,
            k_search=None if isinstance(options, ScoreOptions) else model.fitted_on.k_search,
            warnings=warnings,
            schemes=schemes.summaries if schemes else None,
        )
        schema = None
        columns = schemes.columns if schemes else []
        if not isinstance(options, FitOptions):
            monetary = model.aggregation.monetary if model.aggregation else "sum"
            behind = [field for own in columns for field in own.fields]
            schema = output_schema(self._plan, options.fields, monetary=monetary, behind=behind)
        return Outcome(model, summary, population, schema, lang, scored, columns)
