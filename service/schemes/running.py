"""Schemes on the customers of a request: cuts frozen at a fit, classes and figures, and what the whole says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.accumulators import MISSING
from proto.classes import Lang
from proto.model import FrozenScheme, Notice
from proto.schemas import LABEL
from proto.summary import SchemeClassSummary, SchemeSummary
from service.population import Population
from service.schemes.gathering import accumulations_of
from service.schemes.request import Asked
from service.schemes.scheme import UNKNOWN, Classified, SchemeClass
from service.schemes.view import View

__all__ = ["SchemeColumns", "SchemeResult", "run_schemes"]

_TYPES = {"float": pa.float64(), "integer": pa.int64(), "flag": pa.bool_(), "label": LABEL}


def _dictionary(codes: npt.NDArray[np.integer[Any]], classes: Sequence[SchemeClass], lang: Lang) -> pa.Array:
    labels = pa.array([one.label(lang) for one in (*classes, UNKNOWN)], pa.string())
    indices = np.where(codes < 0, len(classes), codes).astype(np.int16)
    return pa.DictionaryArray.from_arrays(pa.array(indices), labels)


class SchemeColumns:
    """The columns of the reply that one scheme brings."""

    def __init__(self, asked: Asked, classes: tuple[SchemeClass, ...], found: Classified, lang: Lang) -> None:
        self.name = name = asked.scheme.name
        self.codes = [one.code for one in (*classes, UNKNOWN)]
        self._found, self._classes, self._lang = found, classes, lang
        figures = [figure for figure in asked.scheme.figures if figure.name in found.figures]
        self._figures = {f"{name}_{figure.name}": figure for figure in figures}
        self._class_name = name if classes else None
        self.fields = [pa.field(name, LABEL)] if classes else []
        self.fields += [pa.field(f"{name}_{one.name}", _TYPES[one.kind]) for one in figures]

    def has_class(self, codes: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which customers have one of these classes."""
        own = np.where(self._found.classes < 0, len(self._classes), self._found.classes)
        return np.isin(own, [self.codes.index(code) for code in codes])

    def of(self, column: str, rows: slice | npt.NDArray[np.int64]) -> pa.Array | None:
        """A column of these customers; None where it is not one of this scheme."""
        if column == self._class_name:
            return _dictionary(self._found.classes[rows], self._classes, self._lang)
        if column not in self._figures:
            return None
        figure = self._figures[column]
        values = self._found.figures[figure.name][rows]
        if figure.kind == "label":
            return _dictionary(values, figure.classes, self._lang)
        if values.dtype == np.bool_:
            return pa.array(values)
        return pa.array(values, mask=np.isnan(values) if values.dtype == np.float64 else values == MISSING)


class SchemeResult(NamedTuple):
    """What all schemes of a request say; `frozen` goes into the model of a fit."""

    columns: list[SchemeColumns]
    summaries: dict[str, SchemeSummary]
    frozen: dict[str, FrozenScheme]
    notices: list[Notice]


def run_schemes(
    asked: Sequence[Asked],
    population: Population,
    segments: npt.NDArray[np.int32],
    n_segments: int,
    lang: Lang,
    percentiles: Callable[[], npt.NDArray[np.float64]],
) -> SchemeResult:
    """Freezes where nothing is frozen yet, classifies and sums up. `percentiles` gives the customers' by value."""
    result = SchemeResult([], {}, {}, [])
    for one in asked:
        scheme, given = one.scheme, one.given
        view = _view(population, one)
        view.percentiles = percentiles
        frozen = scheme.freeze(view, given) if one.frozen is None else one.frozen
        found = scheme.classify(view, given, frozen)
        classes = scheme.classes_for(given, frozen)
        view.segments, view.n_segments = segments, n_segments
        figures = scheme.summarise(view, found, given, frozen)
        result.columns.append(SchemeColumns(one, classes, found, lang))
        result.summaries[scheme.name] = _summary(one, classes, found, figures, population)
        result.notices.extend(scheme.notices(given, frozen))
        result.frozen[scheme.name] = FrozenScheme(parameters=given, frozen=dict(frozen))
    return result


def _summary(
    one: Asked, classes: tuple[SchemeClass, ...], found: Classified, figures: dict[str, Any], population: Population
) -> SchemeSummary:
    assert population.gathered is not None
    missing = population.gathered.missing
    wanted = [column.name for column in one.scheme.columns_for(one.given)]
    labelled = {
        figure.name: [part.model_dump() for part in _counted(figure.classes, found.figures[figure.name])]
        for figure in one.scheme.figures
        if figure.kind == "label" and figure.name in found.figures
    }
    return SchemeSummary(
        parameters=one.given,
        classes=_counted(classes, found.classes) if classes else [],
        unknown=int(np.count_nonzero(found.classes < 0)),
        missing_values={name: rows for name, rows in missing.items() if _is_one_of(name, wanted)},
        figures=labelled | figures,
    )


def _is_one_of(name: str, wanted: Iterable[str]) -> bool:
    """Whether the column is named, or begins as one that ends in * does."""
    return any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in wanted)


def _counted(classes: tuple[SchemeClass, ...], codes: npt.NDArray[np.integer[Any]]) -> list[SchemeClassSummary]:
    """The classes with their customers, unknown last."""
    n = len(codes)
    counts = np.bincount(np.where(codes < 0, len(classes), codes), minlength=len(classes) + 1)
    return [
        SchemeClassSummary(
            code=name.code,
            en=name.en,
            zh=name.zh,
            action_en=name.action.en,
            action_zh=name.action.zh,
            customers=int(count),
            share=int(count) / n if n else 0.0,
        )
        for name, count in zip((*classes, UNKNOWN), counts.tolist(), strict=True)
    ]


def _view(population: Population, one: Asked) -> View:
    gathered = population.gathered
    assert gathered is not None
    features, table = population.features, gathered.table
    is_table = gathered.moment is None
    told = {name: features.get(name, table.get(name)) for name in ("frequency", "recency_days", "tenure_days")}
    spend = features.get("monetary", table.get("monetary")) if is_table else population.revenue
    purchased = np.ones(population.n, np.bool_) if population.purchased is None else population.purchased
    return View(
        n=population.n,
        spend=spend,
        monetary=features.get("monetary", table.get("monetary")),
        orders=told["frequency"],
        recency_days=told["recency_days"],
        tenure_days=told["tenure_days"],
        purchased=purchased,
        moment=gathered.moment,
        history_days=population.history_days,
        accumulated={
            name: gathered.figures[wanted]
            for name, wanted in accumulations_of(one, gathered.available).items()
            if wanted in gathered.figures
        },
        labels=gathered.labels,
    )
