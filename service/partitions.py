"""Customers parted into groups: each group fitted or scored as if it had come alone, and put back in order of arrival.

What a group gets is what the same job gives for its rows by themselves (with the same as_of): a sub-population goes
through the functions of the whole; several groups at a time, as much of a small fit is done by one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from proto.bundle import AnyModel, Bundle, Partition, seal_bundle
from proto.errors import ErrorCode, RequestError
from proto.limits import over
from proto.model import Aggregation, Model, Notice
from proto.schemas import GROUP, LABEL
from proto.summary import GroupSummary, PartitionSummary, Summary
from service.outcome import AnyOutcome, Outcome, OutputColumns, own_column
from service.population import Population
from service.threads import ThreadTeam

__all__ = ["PartitionedOutcome", "by_group"]

Ints = npt.NDArray[np.int64]
Answer = Callable[[Population, Model | None], Outcome]
"""Fits a population, starting from the model where there is one; or scores it with the model."""

OF_THE_WHOLE = ("options_without_effect", "history_span")
"""Warnings that say the same of every group."""
MOST_LABELS = 2**15  # indices of segments are int16
_SHOWN = 20


class Part(NamedTuple):
    """One group: `places` int64[n] of its units in the population, ascending; no outcome where it has no model."""

    group: str
    places: Ints
    outcome: Outcome | None


@dataclass
class PartitionedOutcome(AnyOutcome):
    """The answer of a request with groups, which has a bundle for a model; the schema has the column `group`."""

    model: Bundle
    parts: Sequence[Part]

    def columns(self) -> _Columns:
        return _Columns(self)


def by_group(
    population: Population,
    partition: Partition,
    model: AnyModel | None,
    team: ThreadTeam,
    answer: Answer,
    *,
    is_fit: bool,
) -> PartitionedOutcome:
    """Answers each group by itself, several at a time. `model` is the bundle to score with, or to start from."""
    groups = population.groups
    assert groups is not None
    known = model.models if isinstance(model, Bundle) else {}
    order = np.argsort(groups.codes, kind="stable")
    edges = np.searchsorted(groups.codes[order], np.arange(len(groups.names) + 1))

    def answered(i: int) -> tuple[Part, GroupSummary]:
        group, places = groups.names[i], order[edges[i] : edges[i + 1]]
        own = _part_of(population, places)
        outcome = None
        if own.n_fitted > 0 if is_fit else group in known:
            try:
                outcome = answer(own, known.get(group))
            except RequestError as error:
                raise _of_group(error, partition.column, group) from None
        return Part(group, places, outcome), _summary(group, own, outcome, is_fit=is_fit)

    found = team.map(answered, range(len(groups.names)))
    parts, summaries = [part for part, _ in found], [told for _, told in found]
    outcomes = {part.group: part.outcome for part in parts if part.outcome is not None}
    without_group = int(edges[0])
    warnings = _warnings(population, partition, summaries, without_group, outcomes.values())
    if is_fit:
        if not outcomes:
            raise _nobody(population, partition)
        bundle = _sealed(population, partition, outcomes, summaries, warnings)
    else:
        assert isinstance(model, Bundle)
        bundle = model
    told = [summary.model_copy(update={"warnings": _own_warnings(summary.warnings)}) for summary in summaries]
    summary = Summary(
        model_id=bundle.id,
        as_of=population.as_of.text if population.as_of else None,
        history_days=population.history_days,
        counts=population.counts,
        segments=[],
        ahp=bundle.shared.fitted_on.ahp if is_fit else None,
        warnings=warnings,
        partition=PartitionSummary(
            partition_by=partition.column, unit=partition.unit, groups=told, customers_without_group=without_group
        ),
    )
    # Where every group is new to the model, the columns are those that a group without customers would have.
    shapes = list(outcomes.values()) or [answer(_part_of(population, order[:0]), bundle.shared)]
    return PartitionedOutcome(bundle, summary, population, _schema(shapes), shapes[0].lang, parts)


def _schema(outcomes: Sequence[Outcome]) -> pa.Schema | None:
    """The columns of all groups, which schemes may give some and not others; and the group, behind the id."""
    if outcomes[0].schema is None:
        return None
    fields: dict[str, pa.Field] = {}
    for outcome in outcomes:
        fields |= {field.name: field for field in outcome.schema or ()}
    listed = list(fields.values())
    listed.insert(1 if listed[0].name == "customer_id" else 0, GROUP)
    return pa.schema(listed)


def _part_of(population: Population, places: Ints) -> Population:
    """The units at these places as a population of their own; what is counted in rows stays that of the whole."""
    own = population.take(places)
    negative = 0 if own.revenue is None else int(np.count_nonzero(own.revenue < 0))
    counts = population.counts.model_copy(
        update={
            "customers_out": own.n,
            "customers_without_purchase": own.n - own.n_fitted,
            "customers_with_negative_monetary": negative,
        }
    )
    purchased = None if own.n_fitted == own.n else own.purchased
    gathered = population.gathered
    if gathered is not None:
        figures: dict[Any, dict[str, npt.NDArray[Any]]] = {
            one: {name: values[places] for name, values in of_one.items()} for one, of_one in gathered.figures.items()
        }
        table = {name: values[places] for name, values in gathered.table.items()}
        gathered = gathered._replace(figures=figures, table=table)
    return replace(own, counts=counts, purchased=purchased, gathered=gathered, notices=[], groups=None)


def _sealed(
    population: Population,
    partition: Partition,
    outcomes: dict[str, Outcome],
    summaries: Sequence[GroupSummary],
    warnings: list[Notice],
) -> Bundle:
    models = {group: outcome.model for group, outcome in outcomes.items()}
    return seal_bundle(
        Bundle(
            partition_by=partition.column,
            unit=partition.unit,
            customers=sum(model.fitted_on.customers for model in models.values()),
            rows=population.counts.rows_used,
            as_of=population.as_of.text if population.as_of else None,
            not_fitted={one.group: one.customers for one in summaries if one.model_id is None},
            warnings=warnings,
            models=models,
        )
    )


def _summary(group: str, own: Population, outcome: Outcome | None, *, is_fit: bool) -> GroupSummary:
    told = None if outcome is None else outcome.summary
    return GroupSummary(
        group=group,
        model_id=None if told is None else told.model_id,
        customers=own.n,
        customers_without_purchase=own.n - own.n_fitted,
        k=0 if outcome is None else len(outcome.model.segments),
        without_model=None if outcome is not None else "no_purchase" if is_fit else "unseen",
        segments=[] if told is None else told.segments,
        drift=None if told is None else told.drift,
        drift_skipped=None if told is None else told.drift_skipped,
        crosstab=None if told is None else told.crosstab,
        k_search=None if told is None else told.k_search,
        warnings=[] if told is None else told.warnings,
        schemes=None if told is None else told.schemes,
    )


# What is told of the whole


def _own_warnings(warnings: Iterable[Notice]) -> list[Notice]:
    return [notice for notice in warnings if notice.code not in OF_THE_WHOLE]


def _listed(groups: Sequence[GroupSummary]) -> str:
    shown = ", ".join(repr(one.group[:40]) for one in groups[:_SHOWN])
    return shown + (f" and {len(groups) - _SHOWN:,} more" if len(groups) > _SHOWN else "")


def _warnings(
    population: Population,
    partition: Partition,
    summaries: Sequence[GroupSummary],
    without_group: int,
    outcomes: Iterable[Outcome],
) -> list[Notice]:
    """Those of the request, once; which groups have fewer segments or none; who has no group."""
    of_all = [*population.notices]
    for outcome in outcomes:
        for notice in outcome.summary.warnings:
            if notice.code in OF_THE_WHOLE and notice.code not in [one.code for one in of_all]:
                of_all.append(notice)
    lowered = [one for one in summaries if any(notice.code == "k_lowered" for notice in one.warnings)]
    if lowered:
        of_all.append(
            Notice(
                code="group_k_lowered",
                message=f"Groups with fewer distinct customers than segments asked for have fewer segments: "
                f"{_listed(lowered)}.",
                facts={"groups": len(lowered), "k": {one.group: one.k for one in lowered[:_SHOWN]}},
            )
        )
    for reason, code, why in (
        ("no_purchase", "group_not_fitted", "Nobody in these groups has a purchase, so they have no segments"),
        ("unseen", "group_unseen", "The model was fitted without these groups, so it cannot score their customers"),
    ):
        those = [one for one in summaries if one.without_model == reason]
        if those:
            customers = sum(one.customers for one in those)
            of_all.append(
                Notice(
                    code=code,
                    message=f"{why} (segment_id −1, {customers:,} customers): {_listed(those)}.",
                    facts={
                        "groups": len(those),
                        "customers": customers,
                        "first_groups": [one.group for one in those[:_SHOWN]],
                    },
                )
            )
    if without_group:
        of_all.append(
            Notice(
                code="without_group",
                message=f"{without_group:,} customers have no value of {partition.column}, so they belong to no group "
                "and no segment (segment_id −1).",
                facts={"customers": without_group, "column": partition.column},
            )
        )
    return of_all


def _of_group(error: RequestError, column: str, group: str) -> RequestError:
    return RequestError(error.code, f"In the group {column}={group[:100]}: {error.detail}", **error.facts, group=group)


def _nobody(population: Population, partition: Partition) -> RequestError:
    counts = population.counts
    return RequestError(
        ErrorCode.NO_CUSTOMERS,
        f"There is no group of {partition.column} with a customer who has a purchase: of {counts.rows_in:,} rows "
        f"{counts.rows_used:,} could be used, and they give {population.n:,} customers. Send purchases (amount ≥ 0) "
        f"inside the window, with a value of {partition.column}.",
        rows_in=counts.rows_in,
        customers=population.n,
    )


# The columns of the reply

_OWN = ("customer_id", "recency_days", "frequency", "monetary", "tenure_days", "first_at", "last_at")


class _Columns:
    """Makes the output columns of a range of units: what no model has a say in for all, the rest group by group."""

    def __init__(self, outcome: PartitionedOutcome) -> None:
        assert outcome.schema is not None
        self._o, self._population = outcome, outcome.population
        self._aggregation: Aggregation | None = outcome.model.shared.aggregation
        groups = outcome.population.groups
        assert groups is not None
        self._codes, self._names = groups.codes, pa.array(groups.names, pa.string())
        self._types = {field.name: field.type for field in outcome.schema}
        self._by_model = [name for name in outcome.schema.names if name not in _OWN and name != GROUP.name]
        self._scored = [
            (part.places, OutputColumns(part.outcome), self._there(part.outcome))
            for part in outcome.parts
            if part.outcome is not None
        ]
        self._labels = {name: self._union(name) for name in self._by_model if self._types[name] == LABEL}

    def _there(self, outcome: Outcome) -> list[str]:
        assert outcome.schema is not None
        return [name for name in self._by_model if name in outcome.schema.names]

    def _union(self, name: str) -> dict[str, int]:
        """The texts of a label column in all groups, with their places in the one dictionary of the reply."""
        texts: dict[str, int] = {}
        for _, columns, there in self._scored:
            if name in there:
                for text in columns.of(slice(0, 0), [name])[0].dictionary.to_pylist():
                    texts.setdefault(text, len(texts))
        if len(texts) > MOST_LABELS:
            raise over(f"the number of labels in {name}", len(texts), MOST_LABELS, "Ask for fewer groups or segments.")
        return texts

    def of(self, rows: slice, names: list[str]) -> list[pa.Array]:
        """The columns of these units."""
        population = self._population
        missing = None if population.purchased is None else ~population.purchased[rows]
        by_model = self._of_models(rows)
        columns = []
        for name in names:
            if name == GROUP.name:
                codes = self._codes[rows]
                indices = pa.array(np.maximum(codes, 0).astype(np.int16), mask=codes < 0)
                columns.append(pa.DictionaryArray.from_arrays(indices, self._names))
            elif name in by_model:
                columns.append(by_model[name])
            else:
                columns.append(own_column(population, self._aggregation, name, rows, missing))
        return columns

    def _of_models(self, rows: slice) -> dict[str, pa.Array]:
        """The columns that the groups' models make: one group's after the other's, then all in order of arrival."""
        n = rows.stop - rows.start
        pieces: dict[str, list[pa.Array]] = {name: [] for name in self._by_model}
        where = []
        for places, columns, there in self._scored:
            start, stop = np.searchsorted(places, (rows.start, rows.stop)).tolist()
            if start == stop:
                continue
            where.append(places[start:stop] - rows.start)
            found = dict(zip(there, columns.of(slice(start, stop), there), strict=True))
            for name, of_name in pieces.items():
                of_name.append(self._piece(name, found.get(name), stop - start))
        at = np.concatenate([np.empty(0, np.int64), *where])
        rest = np.ones(n, np.bool_)
        rest[at] = False
        others = np.flatnonzero(rest)
        if len(others):
            at = np.concatenate([at, others])
            for name, of_name in pieces.items():
                of_name.append(self._piece(name, None, len(others)))
        back = np.empty(n, np.int64)
        back[at] = np.arange(n)
        taken = pa.array(back)
        return {name: self._whole(name, pa.concat_arrays(of_name).take(taken)) for name, of_name in pieces.items()}

    def _piece(self, name: str, found: pa.Array | None, n: int) -> pa.Array:
        """One group's part of a column; labels as places in the dictionary of all groups."""
        if found is None:
            if name == "segment_id":
                return pa.array(np.full(n, -1, np.int32))
            return pa.nulls(n, pa.int16() if name in self._labels else self._types[name])
        if name not in self._labels:
            return found
        texts = self._labels[name]
        places = pa.array([texts[text] for text in found.dictionary.to_pylist()], pa.int16())
        return places.take(found.indices)

    def _whole(self, name: str, values: pa.Array) -> pa.Array:
        if name not in self._labels:
            return values
        return pa.DictionaryArray.from_arrays(values, pa.array(list(self._labels[name]), pa.string()))
