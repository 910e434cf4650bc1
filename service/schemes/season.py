"""season: who buys in the shop's peak months, and who in the others. Source: seasonal indices by month of the year."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.purchase_days import months_of
from proto.model import Notice
from service.schemes.accumulations import Accumulation, AmountsByMonth
from service.schemes.measures import ratio
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "peak",
        "Peak season",
        "旺季型",
        Text("Secure their stock early; offer a reason to come off-season.", "旺季前锁定备货, 并给出淡季光顾的理由。"),
    ),
    SchemeClass(
        "off_peak",
        "Off-peak",
        "淡季型",
        Text("They fill the quiet months: give them the best service then.", "他们填补淡季: 在淡季提供最好的服务。"),
    ),
    SchemeClass(
        "all_year",
        "All year",
        "全年型",
        Text("Plan with them: regular deliveries, fixed dates.", "纳入常规计划: 定期配送、固定日期。"),
    ),
)
_PEAK, _OFF_PEAK, _ALL_YEAR = range(3)
_MONTHS = 12


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"months": AmountsByMonth()}


def _indices(view: View) -> npt.NDArray[np.float64] | None:
    """Revenue a day in each month of the year ÷ revenue a day in all: float64[12]; None where that says nothing."""
    if view.moment is None or view.moment.as_of is None or view.history_days is None:
        return None
    last = view.moment.day()
    covered = np.arange(last - int(view.history_days), last + 1)
    days = np.bincount(months_of(covered) % _MONTHS, minlength=_MONTHS)
    totals = view.of("months").sum(axis=0)
    if not (days > 0).all() or totals.sum() <= 0:
        return None
    indices: npt.NDArray[np.float64] = totals / days / (totals.sum() / days.sum())
    return indices


def _freeze(view: View, given: Given) -> Frozen:
    if view.history_days is None or view.history_days < given["least_days"]:
        return {"peak_months": None, "indices": None}
    indices = _indices(view)
    if given["peak"] is not None:
        peak = sorted({int(month) for month in given["peak"]})
    elif indices is None:
        peak = None
    else:
        peak = [month + 1 for month in range(_MONTHS) if indices[month] >= given["index"]]
    return {"peak_months": peak, "indices": None if indices is None else indices.tolist()}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.orders is not None
    assert view.spend is not None
    peak, spend = frozen["peak_months"], view.spend
    if peak is None:
        return Classified(np.full(view.n, -1), {"peak_share": np.full(view.n, np.nan)})
    in_peak = np.zeros(view.n)
    for month in peak:  # one by one: the sum of a row does not depend on how many rows there are
        in_peak += view.of("months")[:, month - 1]
    share = ratio(in_peak, spend)
    classes = np.full(view.n, _ALL_YEAR, np.int64)
    if 0 < len(peak) < _MONTHS:
        classes[share >= given["most"]] = _PEAK
        classes[share <= given["few"]] = _OFF_PEAK
    classes[np.isnan(share) | (view.orders < given["least_orders"])] = -1
    return Classified(classes, {"peak_share": share})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    return dict(frozen)


def _notices(given: Given, frozen: Frozen) -> list[Notice]:
    peak = frozen["peak_months"]
    if peak:
        return []
    if peak is None:
        message = (
            f"season: peak months cannot be told from less than {given['least_days']:,} days of data, or from days "
            "that leave out a month of the year or have no revenue: nobody has a season. Send more days, or lower "
            "season.least_days and name your months with season.peak."
        )
    else:
        message = (
            f"season: no month of the year brings {given['index']:g} times the revenue a day of the whole, so "
            "everybody buys all year. Lower season.index, or name your months with season.peak."
        )
    return [Notice(code="scheme", message=message, facts={"scheme": "season", "peak_months": peak})]


def _contradiction(given: Given) -> str | None:
    if given["most"] < given["few"]:
        return "season.most is below season.few."
    if given["peak"] is not None and any(month != int(month) for month in given["peak"]):
        return "season.peak names months as 1 to 12, such as 11;12."
    return None


SCHEME = Scheme(
    name="season",
    title=Text("Season: peak or off-peak", "季节性: 旺季还是淡季"),
    question=Text("Who comes with the season, and who fills the quiet months?", "谁随旺季而来, 谁填补淡季?"),
    formula="index of a month of the year = its net revenue a day ÷ that of all days, over the rows that are kept, in "
    "tz (by days, so that half a month at either end counts as half). Peak months: index ≥ 1.2, or peak=; frozen. "
    "peak_share = net spend in peak months ÷ net spend: ≥ most: peak, ≤ few: off-peak, else all year; in a shop "
    "without a peak month everybody is all year. With fewer than least_days of data, fewer than least_orders orders or "
    "a spend ≤ 0: unknown.",
    classes=_CLASSES,
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    summarise=_summarise,
    parameters=(
        Parameter(
            "index", "number", 1.2, "From this index on a month is a peak.", "达到该指数的月份为旺季。", 0.01, 12
        ),
        Parameter("peak", "numbers", None, "Your peak months, 11;12, instead.", "直接指定旺季月份, 如 11;12。", 1, 12),
        Parameter("most", "number", 2 / 3, "From this share on: peak.", "达到该占比为旺季型。", 0, 1),
        Parameter("few", "number", 1 / 3, "Up to this share: off-peak.", "不超过该占比为淡季型。", 0, 1),
        Parameter("least_orders", "integer", 3, "With fewer orders: unknown.", "订单少于该数则无法判断。", 1, 1_000),
        Parameter(
            "least_days", "integer", 364, "With fewer days of data: unknown.", "数据少于该天数则无法判断。", 1, 36_500
        ),
    ),
    figures=(Figure("peak_share", "float", Text("Share of spend in peak months.", "旺季月份消费占比。")),),
    contradiction=_contradiction,
    notices=_notices,
)
