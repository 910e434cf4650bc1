"""lifecycle: how far a customer has come by orders, and what the next offer is worth. Source: win-rate selling."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.schemes.accumulations import Accumulation, Last
from service.schemes.measures import MARGIN, own_or_given
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "prospect",
        "Prospect",
        "潜在客户",
        Text("Win the first order: a trial, a sample, an easy return.", "促成首单: 试用、样品、无忧退货。"),
    ),
    SchemeClass(
        "first_time",
        "First-time buyer",
        "初次购买客户",
        Text("Ask for the second order while the first is remembered.", "趁首单印象仍在, 引导第二次购买。"),
    ),
    SchemeClass(
        "repeat",
        "Repeat buyer",
        "重复购买客户",
        Text("Widen what they buy, and thank them for coming back.", "扩大购买品类, 感谢持续光顾。"),
    ),
)
_RATES = ("prospect_rate", "first_rate", "repeat_rate")


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"margin": Last("margin")} if "margin" in columns else {}


def _freeze(view: View, given: Given) -> Frozen:
    """The population's mean order, for those who have none of their own."""
    assert view.orders is not None
    assert view.spend is not None
    known = ~np.isnan(view.orders) & ~np.isnan(view.spend) & (view.orders > 0)
    orders, spend = float(view.orders[known].sum()), float(view.spend[known].sum())
    return {"mean_order": spend / orders if orders > 0 and spend > 0 else None}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.orders is not None
    assert view.spend is not None
    known = ~np.isnan(view.orders)
    classes = np.where(known, np.minimum(np.where(known, view.orders, 0), 2), -1).astype(np.int64)
    mean_order = np.full(view.n, np.nan)
    np.divide(view.spend, view.orders, out=mean_order, where=classes > 0)
    mean_order[~(mean_order > 0)] = np.nan
    if frozen["mean_order"] is not None:
        mean_order[classes == 0] = frozen["mean_order"]
    rates = np.array([given[name] for name in _RATES])
    expected = np.where(known, rates[classes], np.nan) * mean_order
    if given["margin"] is None and not view.has("margin"):
        return Classified(classes, {"expected_revenue": expected})
    margin = own_or_given("margin", view, given)
    return Classified(classes, {"expected_profit": expected * margin})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """What all next offers are worth together, and how many customers it is known of."""
    name, values = next(iter(found.figures.items()))
    known = values[~np.isnan(values)]
    return {name: float(known.sum()), "customers_valued": len(known), "mean_order": frozen["mean_order"]}


SCHEME = Scheme(
    name="lifecycle",
    title=Text("Life cycle: prospect, first-time, repeat", "客户生命周期: 潜在·初次·重复"),
    question=Text(
        "How far has a customer come, and what is the next offer worth?", "客户处于哪个阶段, 下一次报价价值几何?"
    ),
    formula="orders (frequency) 0: prospect, 1: first-time, ≥ 2: repeat. expected value of the next offer = win rate × "
    "mean order × margin; mean order = monetary ÷ orders, a prospect's: that of all fitted customers, frozen. Without "
    "margin it is revenue, and the column is named expected_revenue. A mean order ≤ 0 gives none.",
    classes=_CLASSES,
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    summarise=_summarise,
    columns=(MARGIN,),
    parameters=(
        Parameter("prospect_rate", "number", 0.06, "Win rate of an offer to a prospect.", "潜在客户成交率。", 0, 1),
        Parameter(
            "first_rate", "number", 0.15, "Win rate of an offer to a first-time buyer.", "初次客户成交率。", 0, 1
        ),
        Parameter("repeat_rate", "number", 0.5, "Win rate of an offer to a repeat buyer.", "重复客户成交率。", 0, 1),
        Parameter(
            "margin",
            "number",
            None,
            "Margin of those without one in the column.",
            "列中无毛利率的客户所用的毛利率。",
            -10,
            1,
        ),
    ),
    figures=(
        Figure(
            "expected_revenue",
            "float",
            Text("Win rate × mean order; where no margin is given.", "成交率×平均订单额(未提供毛利率时)。"),
        ),
        Figure("expected_profit", "float", Text("Win rate × mean order × margin.", "成交率×平均订单额×毛利率。")),
    ),
    table=("frequency", "monetary"),
)
