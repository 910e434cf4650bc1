"""btyd: repeat purchases as the "buy till you die" models count them.

Source: Fader, Hardie and Lee (2005); the summaries of R's BTYD, lifetimes and pymc-marketing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.accumulators import MISSING
from service.schemes.accumulations import Accumulation, Days, SpendAfterFirstDay
from service.schemes.scheme import Classified, Figure, Frozen, Given, Scheme, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

DAYS_PER_WEEK = 7


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"days": Days(), "spend": SpendAfterFirstDay()}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.moment is not None
    first, last = view.of("days", "first_day"), view.of("days", "last_day")
    bought = first != MISSING
    repeats = np.where(bought, view.of("days", "days") - 1, MISSING)
    since_first = np.where(bought, view.moment.day() - first, 0) / DAYS_PER_WEEK
    until_last = np.where(bought, last - first, 0) / DAYS_PER_WEEK
    mean_spend = np.where(bought, view.of("spend"), np.nan)
    np.divide(mean_spend, repeats, out=mean_spend, where=repeats > 0)
    return Classified(
        np.where(bought, 0, -1),
        {
            "x": repeats,
            "t_x_weeks": np.where(bought, until_last, np.nan),
            "t_weeks": np.where(bought, since_first, np.nan),
            "mean_repeat_spend": mean_spend,
        },
    )


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    repeats = found.figures["x"]
    bought = repeats != MISSING
    n = int(np.count_nonzero(bought))
    repeated = int(np.count_nonzero(repeats[bought] > 0))
    return {
        "customers": n,
        "customers_that_came_back": repeated,
        "share_that_came_back": repeated / n if n else None,
        "repeat_days": int(repeats[bought].sum()),
    }


SCHEME = Scheme(
    name="btyd",
    title=Text("Input of buy-till-you-die models", "BTYD模型输入"),
    question=Text("How often did each customer come back, and how long has it been?", "每位客户回购了几次, 距今多久?"),
    formula="By day in tz, a week is 7 days. x = distinct purchase days − 1; t_x = (last − first purchase day) ÷ 7; "
    "T = (as_of's day − first purchase day) ÷ 7; mean repeat-day spend = Σ amount of purchase rows after the first "
    "day ÷ x, 0 where x = 0. Refunds are no purchases and do not enter.",
    classes=(),
    accumulate=_accumulate,
    classify=_classify,
    summarise=_summarise,
    figures=(
        Figure("x", "integer", Text("Repeat purchase days.", "重复购买天数。")),
        Figure("t_x_weeks", "float", Text("Weeks from first to last purchase day.", "首购日至末购日的周数。")),
        Figure("t_weeks", "float", Text("Weeks from first purchase day to as_of (T).", "首购日至as_of的周数(T)。")),
        Figure("mean_repeat_spend", "float", Text("Mean spend of a repeat day.", "重复购买日的平均消费。")),
    ),
)
