"""pareto: who brings the most, 20/80. Source: Pareto's concentration curve; ABC analysis (Dickie 1951); Gini (1912)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from service.schemes.accumulations import Accumulation, Sum
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

Floats = npt.NDArray[np.float64]

_CLASSES = (
    SchemeClass(
        "a",
        "A: brings most of the revenue",
        "A类: 主要收入来源",
        Text("Give them a named contact and look after every order.", "安排专人服务, 用心跟进每一笔订单。"),
    ),
    SchemeClass(
        "b",
        "B: brings a good part",
        "B类: 重要补充",
        Text("Offer what A customers buy and they do not yet.", "推荐A类客户常买而他们尚未购买的商品。"),
    ),
    SchemeClass(
        "c",
        "C: the long tail",
        "C类: 长尾客户",
        Text("Serve them by automatic means; spend no selling time.", "以自动化方式服务, 不投入人工销售成本。"),
    ),
)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"cost": Sum("cost")} if "cost" in columns else {}


def _descending(spend: Floats) -> Floats:
    return np.sort(np.maximum(spend[~np.isnan(spend)], 0.0))[::-1]


def _shares_before(descending: Floats) -> Floats:
    """The share of all spend that customers before each one bring."""
    total = descending.sum()
    return np.concatenate([[0.0], np.cumsum(descending)[:-1]]) / total if total > 0 else np.ones(len(descending))


def _freeze(view: View, given: Given) -> Frozen:
    assert view.spend is not None
    positive = _descending(view.spend)
    positive = positive[positive > 0]
    before = _shares_before(positive)
    cuts = {}
    for name in ("a", "b"):
        inside = np.count_nonzero(before < given[name])
        cuts[f"least_{name}"] = float(positive[inside - 1]) if inside else None
    return cuts


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.spend is not None
    spend, figures = np.maximum(view.spend, 0.0), {}
    classes = np.full(view.n, 2, np.int64)
    if frozen["least_b"] is None:  # nobody had spent anything: there is nothing to share
        classes[:] = -1
    else:
        classes[spend >= frozen["least_b"]] = 1
        classes[spend >= frozen["least_a"]] = 0
        classes[np.isnan(spend)] = -1
    if view.has("cost"):
        figures["profit"] = view.spend - view.of("cost")
    return Classified(classes, figures)


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    assert view.spend is not None
    spend = _descending(view.spend)
    n, total = len(spend), float(spend.sum())
    if not n or total <= 0:
        return {"best_share": None, "customers_for_a": None, "customers_for_a_share": None, "gini": None}
    best = math.ceil(given["best"] * n)
    needed = int(np.count_nonzero(_shares_before(spend) < given["a"]))
    ranks = np.arange(n, 0, -1)  # ascending: the smallest is 1
    told: dict[str, Any] = {
        "best_share": float(spend[:best].sum()) / total,
        "customers_for_a": needed,
        "customers_for_a_share": needed / n,
        "gini": 2 * float((ranks * spend).sum()) / (n * total) - (n + 1) / n,
    }
    return told | (_whale(found.figures["profit"], given) if "profit" in found.figures else {})


def _whale(profit: Floats, given: Given) -> dict[str, Any]:
    """Profit added up from the best customer to the worst: it rises above the total, and falls where customers cost."""
    known = np.sort(profit[~np.isnan(profit)])[::-1]
    n = len(known)
    if not n:
        return {}
    cumulated = np.concatenate([[0.0], np.cumsum(known)])
    best, worst = math.ceil(given["best"] * n), math.ceil(given["worst"] * n)
    return {
        "profit": float(cumulated[-1]),
        "profit_of_best": float(cumulated[best]),
        "profit_of_others": float(cumulated[-1] - cumulated[best]),
        "profit_of_worst": float(cumulated[-1] - cumulated[n - worst]),
        "highest_profit": float(cumulated.max()),
        "whale_curve": [float(cumulated[math.ceil(n * tenth / 10)]) for tenth in range(11)],
    }


def _contradiction(given: Given) -> str | None:
    return "pareto.b is below pareto.a: B customers come after A customers." if given["b"] < given["a"] else None


SCHEME = Scheme(
    name="pareto",
    title=Text("20/80: who brings the revenue", "二八分析: 谁带来收入"),
    question=Text("Which few customers bring most of the revenue?", "哪些少数客户带来了大部分收入?"),
    formula="spend = max(0, monetary), descending. A while the share of those before a customer is < a, B while it is "
    "< b, else C; equal spend takes the better class. Frozen: the least spend of A and of B. gini = 2·Σ i·x_i ÷ "
    "(n·Σ x) − (n + 1)/n over ascending x. profit = monetary − Σ cost; the best, the worst: rounded up to customers.",
    classes=_CLASSES,
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    summarise=_summarise,
    columns=(
        Column(
            "cost",
            "number",
            Text("What the goods of a row cost; for profit and whale curve.", "该行商品成本, 用于利润与鲸鱼曲线。"),
            False,
        ),
    ),
    parameters=(
        Parameter("a", "number", 0.8, "Share of revenue that A customers bring.", "A类客户的收入占比。", 0.01, 1),
        Parameter(
            "b",
            "number",
            0.95,
            "Share of revenue that A and B bring; not below a.",
            "A、B类合计收入占比, 不小于a。",
            0.01,
            1,
        ),
        Parameter(
            "best", "number", 0.2, "Share of customers taken as the best ones.", "视为最优客户的人数占比。", 0.01, 1
        ),
        Parameter(
            "worst", "number", 0.3, "Share of customers taken as the worst ones.", "视为最差客户的人数占比。", 0.01, 1
        ),
    ),
    figures=(
        Figure(
            "profit", "float", Text("Net spend less cost; where there is a cost column.", "净消费减成本, 需有成本列。")
        ),
    ),
    contradiction=_contradiction,
    table=("monetary",),
)
