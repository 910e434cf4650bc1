"""What a request gets back: the model, the summary, and one row per customer in record batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.percentiles import percentiles
from kernels.scaling import SCORE_PROBABILITIES
from kernels.scoring import class_codes, explain
from proto.bundle import AnyModel
from proto.classes import RFM, RFM_CLASSES, UNDIFFERENTIATED, Lang
from proto.model import Aggregation, Feature, Model
from proto.summary import Summary
from service import columns as cols
from service.population import NO_PURCHASE, Population, view_keys
from service.schemes.running import SchemeColumns
from service.scoring import Scored, scoring_of

__all__ = ["AnyOutcome", "Outcome", "OutputColumns", "WholeColumn", "own_column", "reply_labels", "rfm_cuts"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BATCH_ROWS = 65_536


class WholeColumn(Protocol):
    """A column of all customers, in their order."""

    def slice(self, offset: int, length: int) -> pa.Array: ...

    def take(self, places: Any) -> WholeColumn: ...


class Columns(Protocol):
    """Makes the output columns of a range of customers."""

    def of(self, rows: slice, names: list[str]) -> list[pa.Array]: ...


@dataclass
class AnyOutcome(ABC):
    """The answer of one request. `schema` and `batches` are for segment and score; a fit has only a model."""

    model: AnyModel
    summary: Summary
    population: Population
    schema: pa.Schema | None
    lang: Lang

    @property
    def rows_in(self) -> int:
        return self.summary.counts.rows_in

    @property
    def customers_out(self) -> int:
        return self.population.n

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of the reply, 65 536 at a time, in order of the customers' first appearance."""
        assert self.schema is not None
        columns = self.columns()
        for start in range(0, self.population.n, BATCH_ROWS):
            rows = slice(start, min(start + BATCH_ROWS, self.population.n))
            yield pa.RecordBatch.from_arrays(columns.of(rows, self.schema.names), schema=self.schema)

    @abstractmethod
    def columns(self) -> Columns: ...


@dataclass
class Outcome(AnyOutcome):
    """The answer of one model."""

    model: Model
    scored: Scored
    scheme_columns: Sequence[SchemeColumns] = ()
    extra: Mapping[str, WholeColumn] = field(default_factory=dict)
    """Whole columns that were made with the outcome, such as the rank in an audience."""
    households: Ints | None = None
    """Which household each row is of, where rows are members (-1: none); None where they are customers."""

    def columns(self) -> OutputColumns:
        return OutputColumns(self)


class OutputColumns:
    """Makes the output columns of a range of customers."""

    def __init__(self, outcome: Outcome) -> None:
        self._o = outcome
        self._population = outcome.population
        self._model = outcome.model
        self._scoring = scoring_of(outcome.model)
        segments, classes = reply_labels(outcome.model, outcome.lang)
        self._labels, self._classes = pa.array(segments, pa.string()), pa.array(classes, pa.string())
        self._quantiles = np.array(outcome.model.score_quantiles)

    def of(self, rows: slice, names: list[str]) -> list[pa.Array]:
        """The named columns of these customers."""
        population, scored = self._population, self._o.scored
        missing = None if population.purchased is None else ~population.purchased[rows]
        if missing is not None and not missing.any():
            missing = None
        explains = any(name.startswith("distance_") for name in names if name not in self._o.extra)
        explained = self._explained(rows, missing) if explains else {}
        columns = []
        for name in names:
            if name in self._o.extra:
                column = self._o.extra[name].slice(rows.start, rows.stop - rows.start)
            elif name == "segment_id":
                column = pa.array(scored.segments[rows])
            elif name == "segment":
                column = _dictionary(scored.segments[rows], self._labels, missing)
            elif name == "rfm_class":
                column = self._rfm_class(rows, missing)
            elif name == "value_score":
                column = pa.array(scored.scores[rows], mask=missing)
            elif name == "value_percentile":
                column = pa.array(percentiles(scored.scores[rows], self._quantiles, SCORE_PROBABILITIES), mask=missing)
            elif name in explained:
                column = explained[name]
            elif (of_scheme := self._of_scheme(name, rows)) is not None:
                column = of_scheme
            else:
                column = own_column(population, self._model.aggregation, name, rows, missing)
            columns.append(column)
        return columns

    def _of_scheme(self, name: str, rows: slice) -> pa.Array | None:
        found = (own.of(name, rows) for own in self._o.scheme_columns)
        return next((column for column in found if column is not None), None)

    def _rfm_class(self, rows: slice, missing: npt.NDArray[np.bool_] | None) -> pa.Array:
        n = rows.stop - rows.start
        if len(self._classes) == 1:
            return _dictionary(np.zeros(n, np.int16), self._classes, missing)
        matrix = self._matrix(rows, list(RFM), missing)
        codes = class_codes(matrix, *rfm_cuts(self._model))
        return _dictionary(codes, self._classes, missing)

    def _explained(self, rows: slice, missing: npt.NDArray[np.bool_] | None) -> dict[str, pa.Array]:
        names = [f.name for f in self._model.features]
        found = explain(self._matrix(rows, names, missing), self._scoring)
        columns = {f"x_{name}": pa.array(x, mask=missing) for name, x in zip(names, found.contributions, strict=True)}
        columns["distance_own"] = pa.array(found.own_distance, mask=missing)
        second = found.second_distance
        alone = np.isnan(second)  # one segment has no second; pyarrow leaves NaN in where it is given a mask
        columns["distance_second"] = pa.array(second, mask=alone if missing is None else alone | missing)
        return columns

    def _matrix(self, rows: slice, names: list[str], missing: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.float64]:
        matrix = np.stack([self._population.features[name][rows] for name in names])
        if missing is not None:
            matrix[:, missing] = 0.0
        return matrix


def own_column(
    population: Population,
    aggregation: Aggregation | None,
    name: str,
    rows: slice,
    missing: npt.NDArray[np.bool_] | None,
) -> pa.Array:
    """A column that no model has a say in: ids, what aggregation made, the features of a customers table.

    `missing` bool[n]: which of these customers have no purchase (None: all have).
    """
    if name == "customer_id":
        return cols.id_column(view_keys(population.keys, rows), population.id_type)
    if population.time_type is not None:
        if name in ("first_at", "last_at"):
            ticks = population.first_ticks if name == "first_at" else population.last_ticks
            assert ticks is not None
            return cols.time_column(ticks[rows], ticks[rows] == NO_PURCHASE, population.time_type)
        if name == "frequency" and population.frequency is not None:
            return pa.array(population.frequency[rows])
        assert aggregation is not None
        if name == "monetary" and aggregation.monetary == "sum" and population.sums is not None:
            return cols.monetary_column(population.sums[rows], population.amount_type)
    return pa.array(population.features[name][rows], mask=missing)


def reply_labels(model: Model, lang: Lang) -> tuple[list[str], list[str]]:
    """What segments and classes are called, by their codes. One class where no feature of the three varies.

    Classes are only used where the schema has rfm_class, which is where the three are features.
    """
    differs = any(_varies(feature) for feature in model.features if feature.name in RFM)
    classes = RFM_CLASSES if differs else (UNDIFFERENTIATED,)
    return [str(getattr(s, lang)) for s in model.segments], [c.label(lang) for c in classes]


def rfm_cuts(model: Model) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """(cuts, signs, varies) of recency, frequency and monetary, as `class_codes` takes them."""
    by_name = {f.name: f for f in model.features}
    features = [by_name[name] for name in RFM]
    return (
        np.array([f.mean if model.class_cut == "mean" else f.median for f in features]),
        np.array([f.sign for f in features], np.float64),
        np.array([_varies(f) for f in features]),
    )


def _varies(feature: Feature) -> bool:
    return feature.minimum != feature.maximum


def _dictionary(
    codes: npt.NDArray[np.integer], labels: pa.Array, missing: npt.NDArray[np.bool_] | None
) -> pa.DictionaryArray:
    if missing is not None:
        codes = np.where(missing, 0, codes)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int16), mask=missing), labels)
