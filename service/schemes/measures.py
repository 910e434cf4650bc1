"""What several schemes compute alike: ratios, cuts of a population, columns held to those of the fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from proto.errors import ErrorCode, RequestError
from service.schemes.scheme import Column, Given, Text
from service.schemes.view import View

__all__ = [
    "MARGIN",
    "columns_found",
    "discount_share",
    "hold_to_fit",
    "not_below",
    "own_or_given",
    "ratio",
    "sum_known",
    "wanted_quantiles",
]

Floats = npt.NDArray[np.float64]

MARGIN = Column(
    "margin",
    "number",
    Text("A customer's margin, 0 … 1; its last value counts.", "客户毛利率(0至1), 取最后一次的值。"),
    is_needed=False,
)


def ratio(over: Floats, under: Floats) -> Floats:
    """over ÷ under, NaN where either is missing or `under` is not above 0."""
    found = np.full(len(under), np.nan)
    np.divide(over, under, out=found, where=under > 0)
    return found


def discount_share(discount: Floats, revenue: Floats) -> Floats:
    """What a customer was let off, of the price before it: d ÷ (revenue + d), d = |Σ discount|.

    The sign is the sender's custom: some systems write a discount of 3 as −3.
    """
    let_off = np.abs(discount)
    return ratio(let_off, revenue + let_off)


def own_or_given(name: str, view: View, given: Given) -> Floats:
    """A customer's own value of a column, where it has none the parameter of that name; NaN without either."""
    fallback = np.full(view.n, np.nan if given[name] is None else given[name])
    if not view.has(name):
        return fallback
    own = view.of(name)
    return np.where(np.isnan(own), fallback, own)


def not_below(scheme: str, upper: str, lower: str) -> Callable[[Given], str | None]:
    """The contradiction of a scheme whose one threshold must not be below another one."""
    sentence = f"{scheme}.{upper} is below {scheme}.{lower}."
    return lambda given: sentence if given[upper] < given[lower] else None


def wanted_quantiles(values: Floats, shares: Sequence[float] | Floats) -> list[float] | None:
    """The linear quantiles of the values that are known, at shares of 0 … 1; None where none is."""
    known = values[~np.isnan(values)]
    return np.quantile(known, shares).tolist() if len(known) else None


def sum_known(values: Floats) -> float:
    """The sum of the values that are known, 0 where none is."""
    return float(values[~np.isnan(values)].sum())


def columns_found(view: View) -> list[str]:
    """The columns that the fit had, of those that a scheme can do without; for a scheme that keeps each by its name."""
    return sorted(view.accumulated)


def hold_to_fit(scheme: str, there: Sequence[str], fitted: Sequence[str]) -> None:
    """RequestError unless the same columns are there: with others, a customer's class would be another one."""
    if list(there) == list(fitted):
        return
    missing = sorted(set(fitted) - set(there))
    beyond = sorted(set(there) - set(fitted))
    said = [f"with {', '.join(missing)}, which the data lack"] if missing else []
    said += [f"without {', '.join(beyond)}"] if beyond else []
    raise RequestError(
        ErrorCode.MISSING_COLUMN if missing else ErrorCode.CONFLICTING_OPTIONS,
        f"schemes={scheme}: the model was fitted {' and '.join(said)}. Send the columns of the fit (null where a value "
        "is not known), or fit again.",
        option="schemes",
        found=list(there),
        wanted=list(fitted),
    )
