"""efficiency: what a customer costs of what it brings, 费效比. Source: cost-to-serve analysis."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.schemes.accumulations import Accumulation, Sum
from service.schemes.measures import not_below, ratio, sum_known, wanted_quantiles
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "high_value",
        "High value: costs little of what it brings",
        "高价值",
        Text("Keep them; spend more where it would bring more.", "重点维系, 在有回报处追加投入。"),
    ),
    SchemeClass(
        "ordinary_value",
        "Ordinary value",
        "普通价值",
        Text("Look for the dearest step in serving them and make it cheaper.", "找出服务成本最高的环节并降低。"),
    ),
    SchemeClass(
        "low_value",
        "Low value: costs much of what it brings",
        "低价值",
        Text(
            "Raise the price or the least order, or serve them by automatic means.", "提价、设起订量或改为自动化服务。"
        ),
    ),
)
_HIGH, _ORDINARY, _LOW = range(3)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"cost": Sum("cost")}


def _freeze(view: View, given: Given) -> Frozen:
    assert view.spend is not None
    ratios = np.where(view.purchased, ratio(view.of("cost"), view.spend), np.nan)
    cuts = wanted_quantiles(ratios, [given["high"] / 100, given["ordinary"] / 100])
    return {"high": None, "ordinary": None} if cuts is None else {"high": cuts[0], "ordinary": cuts[1]}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.spend is not None
    cost = view.of("cost")
    ratios, margin = ratio(cost, view.spend), view.spend - cost
    classes = np.full(view.n, -1, np.int64)
    if frozen["high"] is not None:
        classes[~np.isnan(ratios)] = _LOW
        classes[ratios <= frozen["ordinary"]] = _ORDINARY
        classes[ratios <= frozen["high"]] = _HIGH
    classes[margin <= 0] = _LOW
    classes[~view.purchased] = -1
    return Classified(classes, {"ratio": ratios, "margin": margin})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """Of the customers whose cost and revenue are known."""
    assert view.spend is not None
    margin = found.figures["margin"]
    cost, revenue = sum_known(view.of("cost")), float(view.spend[~np.isnan(margin)].sum())
    return {
        "cost": cost,
        "revenue": revenue,
        "ratio": cost / revenue if revenue > 0 else None,
        "customers_at_a_loss": int(np.count_nonzero(margin <= 0)),
    }


SCHEME = Scheme(
    name="efficiency",
    title=Text("Efficiency: cost against revenue", "费效比: 成本与收入之比"),
    question=Text("Which customers bring much for what they cost?", "哪些客户以较低成本带来较高收入?"),
    formula="ratio = Σ cost ÷ revenue (net spend), low is good: ≤ the frozen percentile high: high value, ≤ ordinary: "
    "ordinary, else low; equal ratios take the better class. Revenue − cost ≤ 0 is always low value, also where "
    "revenue ≤ 0 leaves no ratio. Without a cost or a purchase: unknown.",
    classes=_CLASSES,
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    summarise=_summarise,
    columns=(
        Column(
            "cost",
            "number",
            Text(
                "What a row cost: goods, delivery, selling; summed over purchases.",
                "该行成本: 商品、配送、销售等, 按购买行合计。",
            ),
        ),
    ),
    parameters=(
        Parameter(
            "high",
            "number",
            20.0,
            "Up to this percentile of the ratio: high value.",
            "不超过该百分位为高价值。",
            0,
            100,
        ),
        Parameter(
            "ordinary", "number", 80.0, "Up to this percentile: ordinary value.", "不超过该百分位为普通价值。", 0, 100
        ),
    ),
    figures=(
        Figure("ratio", "float", Text("Cost ÷ revenue.", "成本÷收入。")),
        Figure("margin", "float", Text("Revenue − cost.", "收入−成本。")),
    ),
    contradiction=not_below("efficiency", "ordinary", "high"),
    table=("monetary",),
)
