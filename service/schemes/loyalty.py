"""loyalty: in how many of its months a customer bought. Source: purchase regularity by calendar month."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.accumulators import MISSING
from service.schemes.accumulations import Accumulation, Days
from service.schemes.measures import not_below
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "sustained",
        "Sustained loyalty",
        "持续忠诚",
        Text(
            "Reward without discounts: early access, a say, a thank-you.",
            "以非折扣方式回馈: 优先体验、参与共创、致谢。",
        ),
    ),
    SchemeClass(
        "intermittent",
        "Intermittent loyalty",
        "间断忠诚",
        Text("Remind them shortly before the gap they usually leave.", "在其惯常间隔到来之前提醒。"),
    ),
    SchemeClass(
        "not_loyal",
        "Not loyal",
        "不忠诚",
        Text("Find the occasion they come for; serve that one well.", "找出其光顾的特定场合, 做好那一次。"),
    ),
    SchemeClass(
        "too_new",
        "Too new to tell",
        "观察期",
        Text("Wait for more months; make the next visit easy.", "继续观察数月, 让下次光顾更便捷。"),
    ),
)
_SUSTAINED, _INTERMITTENT, _NOT_LOYAL, _TOO_NEW = range(4)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"days": Days()}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.moment is not None
    first, active = view.of("days", "first_month"), view.of("days", "months")
    bought = first != MISSING
    months = np.where(bought, np.maximum(view.moment.last_whole_month() - first + 1, 0), MISSING)
    share = np.full(view.n, np.nan)
    np.divide(active, months, out=share, where=months > 0)
    classes = np.full(view.n, _NOT_LOYAL, np.int64)
    classes[share >= given["intermittent"]] = _INTERMITTENT
    classes[share >= given["sustained"]] = _SUSTAINED
    classes[months < given["least_months"]] = _TOO_NEW
    classes[~bought] = -1
    return Classified(
        classes,
        {
            "share": share,
            "months": months,
            "active_months": np.where(bought, active, MISSING),
            "longest_gap_days": view.of("days", "longest_gap"),
        },
    )


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    known = found.figures["share"][found.classes >= 0]
    known = known[~np.isnan(known)]
    return {"mean_share": float(known.mean()) if len(known) else None}


SCHEME = Scheme(
    name="loyalty",
    title=Text("Loyalty: months with a purchase", "忠诚度: 有购买的月份"),
    question=Text("Who comes month after month, and who only now and then?", "谁月月光顾, 谁偶尔才来?"),
    formula="share = calendar months with a purchase ÷ all months, from the month of the first purchase to the last "
    "one that is over at as_of, in tz. ≥ sustained, ≥ intermittent, else not loyal; with fewer than least_months: too "
    "new. longest_gap_days: between one purchase day and the next, null with fewer than two.",
    classes=_CLASSES,
    accumulate=_accumulate,
    classify=_classify,
    summarise=_summarise,
    contradiction=not_below("loyalty", "sustained", "intermittent"),
    parameters=(
        Parameter(
            "sustained", "number", 0.5, "From this share of months on: sustained.", "达到该月份占比为持续忠诚。", 0, 1
        ),
        Parameter(
            "intermittent",
            "number",
            0.2,
            "From this share of months on: intermittent.",
            "达到该月份占比为间断忠诚。",
            0,
            1,
        ),
        Parameter("least_months", "integer", 3, "With fewer months: too new.", "少于该月数为观察期。", 1, 1_200),
    ),
    figures=(
        Figure("share", "float", Text("Share of months with a purchase.", "有购买的月份占比。")),
        Figure("months", "integer", Text("Months since the first purchase that are over.", "首购以来的完整月数。")),
        Figure("active_months", "integer", Text("Those with a purchase.", "其中有购买的月数。")),
        Figure(
            "longest_gap_days",
            "float",
            Text("The longest time between two purchase days.", "两次购买日之间的最长间隔(天)。"),
        ),
    ),
)
