"""three_high: spend, activity and willingness to pay, all high. Source: 三高客户, premium customer selection."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from proto.model import Notice
from service.schemes.accumulations import Accumulation, Sum
from service.schemes.measures import discount_share, wanted_quantiles
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "three_high",
        "Three-high",
        "三高",
        Text("Sell them the best at its full price, and first.", "优先以正价提供最好的产品与服务。"),
    ),
    SchemeClass(
        "two_high",
        "Two of three high",
        "双高",
        Text("See which of the three is lacking, and work on that one.", "找出所缺的一项, 集中提升。"),
    ),
    SchemeClass(
        "one_high",
        "One of three high",
        "单高",
        Text("Build on the strength that is there before adding another.", "先巩固已有优势, 再培养其他。"),
    ),
    SchemeClass(
        "none_high",
        "None high",
        "无高",
        Text("Leave premium offers out; serve at standard cost.", "不推高端产品, 按标准成本服务。"),
    ),
)
_FEATURES = ("spend", "activity", "willingness")


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"discount": Sum("discount")}


def _values(view: View) -> dict[str, npt.NDArray[np.float64]]:
    """The three features, NaN in all where one is not known."""
    assert view.spend is not None
    assert view.orders is not None
    willingness = 1 - discount_share(view.of("discount"), view.spend)
    three = np.stack([view.spend, view.orders, willingness])
    three[:, ~view.purchased | np.isnan(three).any(axis=0)] = np.nan
    return dict(zip(_FEATURES, three, strict=True))


def _freeze(view: View, given: Given) -> Frozen:
    """The cut of each feature; None where it would be the least value, so that everybody would be high."""
    cuts: dict[str, float | None] = {}
    for name, values in _values(view).items():
        found = wanted_quantiles(values, [0.0, given["percentile"] / 100])
        cuts[name] = None if found is None or found[1] == found[0] else found[1]
    return cuts


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    figures: dict[str, npt.NDArray[Any]] = {}
    values = _values(view)
    for name in _FEATURES:
        cut = frozen[name]
        figures[f"high_{name}"] = np.zeros(view.n, np.bool_) if cut is None else values[name] >= cut
    n_high = np.sum(list(figures.values()), axis=0)
    classes = np.where(np.isnan(values["spend"]), -1, len(_FEATURES) - n_high)
    return Classified(classes, figures | {"willingness": values["willingness"]})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """Customers with each flag, and what the three-high bring."""
    assert view.spend is not None
    total, own = float(np.nansum(view.spend)), float(view.spend[found.classes == 0].sum())
    counts = {f"customers_high_{name}": int(found.figures[f"high_{name}"].sum()) for name in _FEATURES}
    return counts | {"revenue_share_of_three_high": own / total if total > 0 else None}


def _notices(given: Given, frozen: Frozen) -> list[Notice]:
    without = [name for name in _FEATURES if frozen[name] is None]
    if not without:
        return []
    message = (
        f"three_high: the {given['percentile']:g}th percentile of {', '.join(without)} is the least value there is, or "
        "there is none, so nobody is high there and nobody is three-high. Raise three_high.percentile."
    )
    return [Notice(code="scheme", message=message, facts={"scheme": "three_high", "features": without})]


SCHEME = Scheme(
    name="three_high",
    title=Text("Three-high: spend, activity, willingness to pay", "三高客户: 高消费·高活跃·高支付意愿"),
    question=Text("Who buys much, buys often and does not wait for discounts?", "谁买得多、买得勤又不等打折?"),
    formula="spend = net spend, activity = orders, willingness = 1 − d ÷ (revenue + d), d = |Σ discount|; each high "
    "where ≥ its frozen percentile among customers with all three known. A cut equal to the feature's least value "
    "sets no flag and warns. All three: three-high; else by how many. Revenue + d ≤ 0, no discount value, no "
    "purchase: unknown.",
    classes=_CLASSES,
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    summarise=_summarise,
    columns=(
        Column(
            "discount",
            "number",
            Text(
                "Money taken off a row's price, not contained in amount; 0 without, either sign.",
                "该行优惠金额(未计入amount), 无优惠填0, 正负均可。",
            ),
        ),
    ),
    parameters=(
        Parameter(
            "percentile", "number", 80.0, "From this percentile on a feature is high.", "达到该百分位即为高。", 0, 100
        ),
    ),
    figures=(
        Figure("high_spend", "flag", Text("Net spend is high.", "高消费。")),
        Figure("high_activity", "flag", Text("The number of orders is high.", "高活跃。")),
        Figure("high_willingness", "flag", Text("Willingness to pay is high.", "高支付意愿。")),
        Figure("willingness", "float", Text("1 − discount share: 1 pays full prices.", "支付意愿: 1为全价购买。")),
    ),
    notices=_notices,
    table=("frequency", "monetary"),
)
