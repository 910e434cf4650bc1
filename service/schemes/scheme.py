"""What a value scheme declares: question, columns, parameters, classes, formula, and the functions behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from proto.classes import Lang
from proto.model import Notice
from proto.wishes import WishKind
from service.schemes.accumulations import Accumulation
from service.schemes.parameters import Parameter
from service.schemes.view import View

__all__ = ["UNKNOWN", "Classified", "Column", "Figure", "Frozen", "Given", "Scheme", "SchemeClass", "Text"]

Given = Mapping[str, Any]
"""The parameters of a request by name, as their kinds read them."""

Frozen = Mapping[str, Any]
"""What a fit found in the population, as it stands in the model's JSON: cuts, ratios."""


class Text(NamedTuple):
    """The same words in both languages."""

    en: str
    zh: str


class SchemeClass(NamedTuple):
    """One class: how a reply can name it, and what to do about its customers."""

    code: str
    en: str
    zh: str
    action: Text

    def label(self, lang: Lang) -> str:
        return self.code if lang == "code" else self.en if lang == "en" else self.zh


UNKNOWN = SchemeClass(
    "unknown",
    "Unknown",
    "无法判断",
    Text("Collect what is missing before you decide anything.", "先补全缺失的数据, 再做判断。"),
)


class Column(NamedTuple):
    """A column that a scheme reads beside those of the base. `name` may end in * for all with that beginning."""

    name: str
    kind: WishKind
    what: Text
    is_needed: bool = True
    examples: tuple[str, ...] = ("north", "south", "east")
    """Of a label column: texts that it may hold; of an ordered one: all of them, in order."""


class Figure(NamedTuple):
    """A column of the reply, `<scheme>_<name>`, beside the class; left out where `classify` does not give it.

    A label is a second class, one of `classes`: int[n] into them, −1: unknown.
    """

    name: str
    kind: Literal["float", "integer", "flag", "label"]
    what: Text
    classes: tuple[SchemeClass, ...] = ()


class Classified(NamedTuple):
    """Each customer's class, int[n] into the scheme's classes (−1: unknown), and its figures by name.

    Figures are float64[n] (NaN: none), int64[n] (MISSING: none; labels −1: unknown) or bool[n].
    """

    classes: npt.NDArray[np.integer[Any]]
    figures: dict[str, npt.NDArray[Any]]


Summarised = dict[str, Any]


def _nothing_frozen(view: View, given: Given) -> Frozen:
    return {}


def _nothing_wrong(given: Given) -> str | None:
    return None


def _nothing_summarised(view: View, found: Classified, given: Given, frozen: Frozen) -> Summarised:
    return {}


def _no_notices(given: Given, frozen: Frozen) -> list[Notice]:
    return []


@dataclass(frozen=True)
class Scheme:
    """One scheme: all that the catalogue shows, and the functions that compute it.

    `accumulate` names what is to be kept per customer while rows pass, given the parameters and the names of the
    columns that are there. `freeze` finds the population's cuts when a model is fitted; `classify` is a pure function
    of each customer, the parameters and what was frozen; `summarise` tells figures of the whole. `table` names the
    columns that a table with one row per customer must have (beside `columns`); None: the scheme needs transactions.
    `any_of`: at least one of these columns, where `columns_of` reads any of them. `looks_back_days`: how far before
    as_of rows matter, which needs an explicit as_of; None where the parameters ask for no window.
    """

    name: str
    title: Text
    question: Text
    formula: str
    classes: tuple[SchemeClass, ...]
    accumulate: Callable[[Given, frozenset[str]], dict[str, Accumulation]]
    classify: Callable[[View, Given, Frozen], Classified]
    freeze: Callable[[View, Given], Frozen] = _nothing_frozen
    summarise: Callable[[View, Classified, Given, Frozen], Summarised] = _nothing_summarised
    columns: tuple[Column, ...] = ()
    any_of: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    figures: tuple[Figure, ...] = ()
    table: tuple[str, ...] | None = None
    looks_back_days: Callable[[Given], float | None] | None = None
    contradiction: Callable[[Given], str | None] = _nothing_wrong
    """What is wrong with parameters that are each fine, in a sentence; None for nothing."""
    segment_only: Callable[[Given], str | None] = _nothing_wrong
    """Why these parameters leave nothing to score with later, in a sentence: then only /v1/segment takes them."""
    notices: Callable[[Given, Frozen], list[Notice]] = _no_notices
    """Warnings about what was frozen, for the summary of the fit and of every scoring."""
    columns_of: Callable[[Given], tuple[Column, ...]] | None = None
    """The columns where they depend on parameters; `columns` then is what the catalogue shows."""
    classes_of: Callable[[Given, Frozen], tuple[SchemeClass, ...]] | None = None
    """The same for classes."""

    def columns_for(self, given: Given) -> tuple[Column, ...]:
        return self.columns if self.columns_of is None else self.columns_of(given)

    def classes_for(self, given: Given, frozen: Frozen) -> tuple[SchemeClass, ...]:
        return self.classes if self.classes_of is None else self.classes_of(given, frozen)
