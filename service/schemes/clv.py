"""clv: lifetime value against the cost of winning a customer. Source: customer lifetime value in selling."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from service.schemes.accumulations import Accumulation, AmountInWindow, Last
from service.schemes.measures import MARGIN, own_or_given, ratio, sum_known
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

Floats = npt.NDArray[np.float64]

_YEAR_DAYS = 365.0
_LEAST_ORDERS = 3  # two gaps: one alone is no cycle


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    kept: dict[str, Accumulation] = {name: Last(name) for name in ("margin", "years") if name in columns}
    if given["revenue"] == "year":
        kept["year"] = AmountInWindow(_YEAR_DAYS)
    return kept


def _acquisition_cost(given: Given) -> float:
    cost: float = given["annual_selling_cost"] / given["visits_per_year"] * given["visits_per_win"]
    return cost


def _annual_revenue(view: View, given: Given) -> Floats:
    if given["revenue"] == "year":
        return np.where(view.purchased, view.of("year"), np.nan)
    assert view.spend is not None
    assert view.orders is not None
    assert view.recency_days is not None
    assert view.tenure_days is not None
    between = view.tenure_days - view.recency_days  # first to last purchase
    mean_order, mean_gap = ratio(view.spend, view.orders), ratio(between, view.orders - 1)
    return np.where(view.orders >= _LEAST_ORDERS, ratio(mean_order * _YEAR_DAYS, mean_gap), np.nan)


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    acquisition = np.full(view.n, _acquisition_cost(given))
    annual = _annual_revenue(view, given)
    annual_margin = annual * own_or_given("margin", view, given)
    value = annual_margin * own_or_given("years", view, given)
    figures: dict[str, npt.NDArray[Any]] = {
        "annual_revenue": annual,
        "lifetime_value": value,
        "ratio": ratio(value, acquisition),
        "payback_years": ratio(acquisition, annual_margin),
    }
    if given["revenue"] == "year":
        assert view.tenure_days is not None
        figures["short_history"] = view.tenure_days < _YEAR_DAYS
    return Classified(np.where(np.isnan(value), -1, 0), figures)


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """What all customers of known value are worth, and how many are worth less than winning one costs."""
    acquisition, value = _acquisition_cost(given), found.figures["lifetime_value"]
    known = int(np.count_nonzero(~np.isnan(value)))
    total = sum_known(value)
    told = {
        "acquisition_cost": acquisition,
        "retention_cost": acquisition / given["retention_divisor"],
        "lifetime_value": total,
        "mean_lifetime_value": total / known if known else None,
        "customers_valued": known,
        "customers_below_acquisition": int(np.count_nonzero(value < acquisition)),
    }
    if "short_history" in found.figures:
        told["customers_short_history"] = int(found.figures["short_history"].sum())
    return told


def _columns_of(given: Given) -> tuple[Column, ...]:
    return tuple(column._replace(is_needed=given[column.name] is None) for column in _COLUMNS)


_COLUMNS = (
    MARGIN,
    Column(
        "years",
        "number",
        Text("How many years a customer stays; its last value counts.", "客户预计保持年数, 取最后一次的值。"),
        is_needed=False,
    ),
)

SCHEME = Scheme(
    name="clv",
    title=Text("Lifetime value against acquisition cost", "客户终身价值与获客成本"),
    question=Text("What is a customer worth, and is winning one worth it?", "一个客户价值多少, 获取他是否划算?"),
    formula="acquisition cost = annual_selling_cost ÷ visits_per_year × visits_per_win (by default 182,500 ÷ 365 × 4 "
    "= 2,000: put in your own, in the currency of amount). annual revenue = net spend of the last 365 days, never "
    "extrapolated; short_history where the first purchase is less than 365 days ago. revenue=cycle: mean order × 365 "
    "÷ mean days between orders, from 3 orders on, else unknown; it looks at no window, so as_of may be max. lifetime "
    "value = annual revenue × years × margin, both from a column or else the parameter (needed). ratio = lifetime "
    "value ÷ acquisition cost. payback years = acquisition cost ÷ (annual revenue × margin), null where that is ≤ 0. "
    "retention cost = acquisition cost ÷ 5 (retention_divisor). Unknown is counted.",
    classes=(),
    accumulate=_accumulate,
    classify=_classify,
    summarise=_summarise,
    columns=_COLUMNS,
    columns_of=_columns_of,
    parameters=(
        Parameter(
            "margin",
            "number",
            None,
            "Margin of those without one in the column; needed without that column.",
            "列中无毛利率的客户所用的毛利率; 无该列时必填。",
            -10,
            1,
            example="0.3",
        ),
        Parameter(
            "years",
            "number",
            None,
            "Years of those without a number in the column; needed without that column.",
            "列中无年数的客户所用的年数; 无该列时必填。",
            0,
            100,
            example="3",
        ),
        Parameter(
            "annual_selling_cost", "number", 182_500.0, "What a salesperson costs a year.", "一名销售的年成本。", 0
        ),
        Parameter("visits_per_year", "number", 365.0, "Visits a salesperson makes a year.", "每名销售年拜访次数。", 1),
        Parameter("visits_per_win", "number", 4.0, "Visits that win one customer.", "赢得一个客户所需拜访次数。", 0),
        Parameter(
            "retention_divisor",
            "number",
            5.0,
            "How many times less keeping a customer costs than winning one.",
            "维系成本为获客成本的几分之一。",
            1,
        ),
        Parameter(
            "revenue",
            "choice",
            "year",
            "Of the last 365 days, or by the cycle of orders.",
            "year: 最近365天消费; cycle: 按购买周期推算。",
            choices=("year", "cycle"),
        ),
    ),
    figures=(
        Figure("annual_revenue", "float", Text("Revenue of a year.", "年收入。")),
        Figure(
            "short_history",
            "flag",
            Text("First purchase less than 365 days ago: a year is not full.", "首购不足365天, 年收入尚不完整。"),
        ),
        Figure("lifetime_value", "float", Text("Annual revenue × years × margin.", "年收入×年数×毛利率。")),
        Figure("ratio", "float", Text("Lifetime value ÷ acquisition cost.", "终身价值÷获客成本。")),
        Figure("payback_years", "float", Text("Years until winning has paid off.", "收回获客成本的年数。")),
    ),
    looks_back_days=lambda given: _YEAR_DAYS if given["revenue"] == "year" else None,
)
