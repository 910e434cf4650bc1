"""growth: who buys more than before, against how the whole shop does. Source: period-over-period growth ratios."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.schemes.accumulations import Accumulation, AmountInWindow
from service.schemes.measures import not_below, ratio
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "fast",
        "Fast growing",
        "高速增长",
        Text("Find out why, make sure there is stock, offer more.", "了解增长原因, 保证供货, 加大推荐。"),
    ),
    SchemeClass(
        "steady",
        "Steady",
        "平稳型",
        Text("Keep doing what works; try one new category.", "保持现有做法, 尝试推荐一个新品类。"),
    ),
    SchemeClass(
        "declining",
        "Declining",
        "衰退",
        Text("Ask what changed before the customer is gone.", "在流失之前了解变化原因。"),
    ),
    SchemeClass(
        "new",
        "New",
        "新客",
        Text("Too early to compare: welcome, and bring the second order.", "尚不可比: 做好迎新, 促成复购。"),
    ),
    SchemeClass(
        "inactive",
        "Inactive",
        "沉睡",
        Text("One honest win-back offer, then stop spending.", "给出一次诚意召回优惠, 无效则停止投入。"),
    ),
    SchemeClass(
        "reactivated",
        "Reactivated",
        "回流",
        Text("Note what brought them back, and repeat it soon.", "记录回流原因, 尽快再次触达。"),
    ),
)
_FAST, _STEADY, _DECLINING, _NEW, _INACTIVE, _REACTIVATED = range(6)
_YEAR_DAYS = 365.0


def _looks_back(given: Given) -> float:
    window: float = given["window"]
    return window + (_YEAR_DAYS if given["compare"] == "year_ago" else window)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    back = _looks_back(given)
    return {
        "recent": AmountInWindow(given["window"]),
        "earlier": AmountInWindow(back, back - given["window"]),
    }


def _freeze(view: View, given: Given) -> Frozen:
    recent, earlier = float(view.of("recent").sum()), float(view.of("earlier").sum())
    return {"shop_ratio": recent / earlier if earlier > 0 and recent > 0 else None}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.tenure_days is not None
    recent, earlier = view.of("recent"), view.of("earlier")
    change = ratio(recent, earlier)
    if given["relative"]:
        change = change / (np.nan if frozen["shop_ratio"] is None else frozen["shop_ratio"])
    classes = np.full(view.n, -1, np.int64)
    classes[change < given["steady"]] = _DECLINING
    classes[change >= given["steady"]] = _STEADY
    classes[change >= given["fast"]] = _FAST
    classes[earlier <= 0] = _REACTIVATED
    classes[(earlier <= 0) & (recent <= 0)] = _INACTIVE
    classes[view.tenure_days < _looks_back(given)] = _NEW
    classes[~view.purchased] = -1
    return Classified(classes, {"ratio": change, "recent": recent, "earlier": earlier})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    recent, earlier = float(found.figures["recent"].sum()), float(found.figures["earlier"].sum())
    whole = recent / earlier if earlier > 0 else None
    return {"recent": recent, "earlier": earlier, "ratio": whole, "shop_ratio": frozen["shop_ratio"]}


SCHEME = Scheme(
    name="growth",
    title=Text("Growth: more or less than before", "成长性: 比以前买得多还是少"),
    question=Text("Who grows, who fades, who came back?", "谁在增长, 谁在衰退, 谁已回流?"),
    formula="recent = net spend in (as_of − W, as_of], earlier = in (as_of − 2W, as_of − W] (year_ago: the same W days "
    "365 days before). ratio = recent ÷ earlier, with relative=true ÷ the shop's own ratio, frozen. In this order: "
    "first purchase less than 2W ago (year_ago: W + 365): new; both ≤ 0: inactive; earlier ≤ 0: reactivated; ratio ≥ "
    "fast; ≥ steady; else declining. Without a ratio of the shop, or without a purchase: unknown.",
    classes=_CLASSES,
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    summarise=_summarise,
    parameters=(
        Parameter(
            "window", "days", 90.0, "W: the days that are compared with those before.", "W: 对比的天数。", 1, 36_500
        ),
        Parameter("fast", "number", 1.2, "From this ratio on: fast.", "达到该比值为高速增长。", 0, 1_000),
        Parameter("steady", "number", 0.8, "From this ratio on: steady.", "达到该比值为平稳。", 0, 1_000),
        Parameter("relative", "flag", True, "Divide by the shop's own ratio.", "除以全店自身的比值。"),
        Parameter(
            "compare",
            "choice",
            "previous",
            "With the days before, or with the same days a year ago (for shops with seasons).",
            "与之前同长度时段或去年同期比较(季节性店铺)。",
            choices=("previous", "year_ago"),
        ),
    ),
    figures=(
        Figure(
            "ratio",
            "float",
            Text("Recent ÷ earlier, by the shop's ratio where relative.", "近期÷前期(相对时再除以全店比值)。"),
        ),
        Figure("recent", "float", Text("Net spend in the last W days.", "最近W天净消费。")),
        Figure("earlier", "float", Text("Net spend in the W days compared with.", "对比的W天净消费。")),
    ),
    contradiction=not_below("growth", "fast", "steady"),
    looks_back_days=_looks_back,
)
