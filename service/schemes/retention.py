"""retention: of those who bought in the window before, who bought again in this one. Source: period retention rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.schemes.accumulations import Accumulation, PurchasesInWindow
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "retained",
        "Retained",
        "保有",
        Text("Tell them what is new; do not pay for what they do anyway.", "告知新品即可, 不必为其本就会做的事付费。"),
    ),
    SchemeClass(
        "lapsed",
        "Lapsed",
        "流失",
        Text("Call the best of them; learn why before you discount.", "先联系其中最有价值者, 问清原因再谈优惠。"),
    ),
    SchemeClass(
        "gained",
        "Gained",
        "新增",
        Text("Make the second purchase easy: these decide the next rate.", "让第二次购买更容易: 他们决定下期保有率。"),
    ),
    SchemeClass(
        "absent",
        "Absent from both",
        "两期均未购买",
        Text("Leave them to a yearly win-back; they count in no rate.", "留给年度召回活动, 不计入保有率。"),
    ),
)
_RETAINED, _LAPSED, _GAINED, _ABSENT = range(4)


def _looks_back(given: Given) -> float:
    return 2.0 * float(given["window"])


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    window = given["window"]
    return {"now": PurchasesInWindow(window), "before": PurchasesInWindow(2 * window, window)}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    now, before = view.of("now"), view.of("before")
    classes = np.full(view.n, _ABSENT, np.int64)
    classes[now > 0] = _GAINED
    classes[before > 0] = _LAPSED
    classes[(before > 0) & (now > 0)] = _RETAINED
    return Classified(classes, {"purchases": now, "purchases_before": before})


def _rate(buyers: int, kept: int) -> dict[str, Any]:
    return {"buyers_before": buyers, "retained": kept, "rate": kept / buyers if buyers else None}


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """The rate of all customers, and of each segment."""
    assert view.segments is not None
    kept = found.classes == _RETAINED
    before = kept | (found.classes == _LAPSED)
    total = _rate(int(np.count_nonzero(before)), int(np.count_nonzero(kept)))
    inside = view.segments >= 0
    sizes = np.bincount(view.segments[inside & before], minlength=view.n_segments).tolist()
    again = np.bincount(view.segments[inside & kept], minlength=view.n_segments).tolist()
    return total | {"segments": [_rate(buyers, stayed) for buyers, stayed in zip(sizes, again, strict=True)]}


SCHEME = Scheme(
    name="retention",
    title=Text("Retention: who bought again", "保有率: 谁再次购买"),
    question=Text(
        "Of last period's buyers, how many came back, and in which segments?",
        "上期买家中有多少人再次购买? 哪些分群留存更好?",
    ),
    formula="now = purchases in (as_of − W, as_of], before = in (as_of − 2W, as_of − W]. Both: retained; before only: "
    "lapsed; now only: gained; neither: absent. rate = retained ÷ (retained + lapsed), of all customers and of each "
    "segment (in the order of segment ids); null without a buyer before.",
    classes=_CLASSES,
    accumulate=_accumulate,
    classify=_classify,
    summarise=_summarise,
    parameters=(Parameter("window", "days", 90.0, "W: the days of a period.", "W: 每期天数。", 1, 36_500),),
    figures=(
        Figure("purchases", "integer", Text("Purchase rows in this window.", "本期购买行数。")),
        Figure("purchases_before", "integer", Text("Purchase rows in the window before.", "上期购买行数。")),
    ),
    looks_back_days=_looks_back,
)
