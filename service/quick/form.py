"""One form of request, prepared: what its rows mean, and what describes their customers."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels._jit import readonly
from kernels.few_rows import NO_VALUES, FewPlan, aggregate_few, all_distinct
from kernels.few_scores import FewScores, ScoringOfFew, prepare_few, score_few
from kernels.recency import local_days
from kernels.scaling import SCORE_PROBABILITIES
from proto.classes import RFM
from proto.instants import NANOSECONDS_PER_DAY, instant_ns
from proto.model import Model
from proto.options import ScoreOptions
from proto.schemas import Plan, output_schema, resolve
from service import columns as cols
from service.contradictions import refuse_contradiction
from service.outcome import reply_labels, rfm_cuts
from service.population import Instant
from service.quick.few import MAX_CUSTOMERS, Few, Rows
from service.quick.summary_text import SummaryText
from service.scoring import history_notice, scoring_of
from service.zones import zone_table

__all__ = ["Form", "NotPlain", "Source", "places_of"]

Ints = npt.NDArray[np.int64]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
FEATURES_OF_ROWS = (*RFM, "tenure_days", "revenue")  # the rows of few_rows.FewCustomers.features

NOTHING = np.zeros(0)

Source = str | int
"""Where an output column comes from: the place of a told column, or a name of what scoring gives."""


class NotPlain(Exception):
    """A form that is left to the general path."""


class Form:
    """What options, model and schema say together; NotPlain where the quick path has nothing for it.

    `sources` names, for each column of `schema` (the reply's), where it comes from.
    """

    def __init__(self, options: ScoreOptions, model: Model, schema: pa.Schema) -> None:
        refuse_contradiction(options, model)
        if model.aggregation is not None and model.aggregation.rollup is not None:
            raise NotPlain
        self.plan: Plan = resolve(schema, options, model)
        self.is_table = self.plan.kind == "customers"
        self.model = model
        names = [f.name for f in model.features]
        if self.is_table:
            given, revenue = tuple(names), "monetary"
        else:
            self._prepare_rows(options)
            names += [name for name in RFM if name not in names]
            given, revenue = FEATURES_OF_ROWS, "revenue"
        self.told = names  # what segments are described by; behind it comes the revenue, where there is one
        self.has_revenue = revenue in given
        self.columns = tuple(given.index(name) for name in ([*names, revenue] if self.has_revenue else names))
        monetary = model.aggregation.monetary if model.aggregation else "sum"
        self.schema = output_schema(self.plan, options.fields, monetary=monetary)
        self.sources = [self._source(name) for name in self.schema.names]
        self.segments, self.classes = reply_labels(model, options.lang)
        self._scoring = self._prepare_scores()
        self.summary = SummaryText(model, names, None if self.is_table else self._as_of.text)

    def _source(self, name: str) -> Source:
        if name == "frequency" and not self.is_table:
            return name
        if name in self.told:
            return self.told.index(name)
        if name in ("customer_id", "value_score", "value_percentile", "segment_id", "segment", "rfm_class"):
            return name
        raise NotPlain

    def _prepare_scores(self) -> ScoringOfFew:
        has_classes = "rfm_class" in self.schema.names and len(self.classes) > 1
        places = [self.told.index(name) for name in RFM] if has_classes else []
        cuts, signs, varies = rfm_cuts(self.model) if has_classes else (NOTHING, NOTHING, NOTHING > 0)
        quantiles = np.array(self.model.score_quantiles)
        return prepare_few(scoring_of(self.model), quantiles, SCORE_PROBABILITIES, places, cuts, signs, varies)

    def _prepare_rows(self, options: ScoreOptions) -> None:
        """Only times with a clock, float amounts, all history and an as_of that stands still are plain."""
        aggregation, plan = self.model.aggregation, self.plan
        assert aggregation is not None
        assert plan.amount_type is not None
        unit = cols.time_unit(plan.time_type)
        if unit.is_date or plan.amount_type != pa.float64() or aggregation.window_days is not None:
            raise NotPlain
        if options.as_of in (None, "now"):
            raise NotPlain
        assert options.as_of is not None
        as_of = Instant.of_ns(instant_ns(options.as_of, aggregation.tz, 0), unit.ticks_per_day)
        if not INT64_MIN < as_of.tick < INT64_MAX:
            raise NotPlain
        self._as_of = as_of
        self._few_plan = FewPlan(
            lower_tick=INT64_MIN,
            upper_tick=as_of.tick,
            takes_refunds=aggregation.refunds == "net",
            mean=aggregation.monetary == "mean",
            as_of_rest_ns=as_of.rest_ns,
            ticks_per_day=unit.ticks_per_day,
            whole_days=aggregation.whole_days,
        )
        self.occasion = aggregation.occasion
        if self.occasion == "day":
            zone = zone_table(aggregation.tz)
            per_second = unit.ticks_per_day // 86_400
            self._zone = zone.transitions * per_second, zone.offsets * per_second

    # One request

    def customers(self, rows: Rows) -> Few | None:
        """The request's customers; None where they are no plain case."""
        if self.is_table:
            assert rows.values is not None
            assert rows.places is not None
            ids = rows.ids
            distinct = len(set(ids)) == rows.n if isinstance(ids, list) else all_distinct(ids)
            few = Few(rows.n, rows.n, ids, rows.values, rows.places, document=rows.document)
            return few if distinct else None
        assert rows.ticks is not None
        assert rows.amounts is not None
        assert not isinstance(rows.ids, list)
        found = aggregate_few(rows.ids, rows.ticks, rows.amounts, self._occasions(rows), self._few_plan)
        if found is None or found.n > MAX_CUSTOMERS:
            return None
        ns_per_tick = NANOSECONDS_PER_DAY // self._few_plan.ticks_per_day
        history = (self._as_of.ns - found.first_tick * ns_per_tick) / NANOSECONDS_PER_DAY
        if history_notice(history, found.n, self.model) is not None:
            return None
        return Few(
            found.n,
            rows.n,
            found.ids[: found.n],
            readonly(found.features.reshape(-1)),
            places_of(self.columns, rows.n),
            found.frequencies[: found.n],
            history,
            found.refund_rows,
            found.zero_amount_rows,
        )

    def _occasions(self, rows: Rows) -> Ints:
        assert rows.ticks is not None
        if self.occasion == "row":
            return NO_VALUES
        if self.occasion == "time":
            return rows.ticks
        if self.occasion == "day":
            return readonly(local_days(rows.ticks, self._few_plan.ticks_per_day, *self._zone))
        assert rows.orders is not None
        return rows.orders

    def score(self, few: Few) -> FewScores | None:
        """Scores, segments, classes, and what the segments look like; None where a number is not finite."""
        return score_few(few.values, few.places, few.n, self._scoring, has_revenue=self.has_revenue)


@functools.lru_cache(maxsize=4096)
def places_of(columns: tuple[int, ...], n_rows: int) -> Ints:
    """Where these columns begin in an array that has one after the other, each `n_rows` long."""
    return readonly(np.array(columns, np.int64) * n_rows)
