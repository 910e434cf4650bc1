"""value_type: what kind of value a customer buys. Source: strategic, extrinsic, intrinsic value buyers (Rackham)."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.schemes.accumulations import Accumulation, Last, Sum
from service.schemes.measures import columns_found, discount_share, hold_to_fit, ratio
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "strategic",
        "Strategic value",
        "战略价值型",
        Text("Senior sponsors on both sides, and joint planning.", "双方高层牵头, 共同制定计划。"),
    ),
    SchemeClass(
        "extrinsic",
        "Extrinsic value",
        "外在价值型",
        Text("Involve a team early and advise before you sell.", "团队尽早介入, 先做顾问再谈销售。"),
    ),
    SchemeClass(
        "intrinsic",
        "Intrinsic value",
        "内在价值型",
        Text("Cut the cost of selling; compete on price and convenience.", "压缩销售成本, 以价格与便利取胜。"),
    ),
)
_STRATEGIC, _EXTRINSIC, _INTRINSIC = range(3)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    kept: dict[str, Accumulation] = {
        "partnership": Last("partnership"),
        "service_amount": Sum("service_amount"),
        "discount": Sum("discount"),
    }
    return {name: kept[name] for name in kept if name in columns}


def _freeze(view: View, given: Given) -> Frozen:
    return {"columns": columns_found(view)}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.spend is not None
    hold_to_fit("value_type", columns_found(view), frozen["columns"])
    classes = np.full(view.n, -1, np.int64)
    figures = {}
    # The last that holds is written first, so that the first wins.
    if view.has("discount"):
        figures["discount_share"] = discount_share(view.of("discount"), view.spend)
        classes[figures["discount_share"] >= given["discount"]] = _INTRINSIC
    if view.has("service_amount"):
        figures["service_share"] = ratio(view.of("service_amount"), view.spend)
        classes[figures["service_share"] >= given["service"]] = _EXTRINSIC
    if view.has("partnership"):
        classes[view.of("partnership") == 1] = _STRATEGIC
    return Classified(classes, figures)


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    return {"is_proxy": True, "read_from": frozen["columns"]}


SCHEME = Scheme(
    name="value_type",
    title=Text("Value type: partner, adviser or price (a proxy)", "价值类型: 战略·外在·内在(替代指标)"),
    question=Text(
        "Does a customer buy partnership, advice, or just the product?", "客户购买的是伙伴关系、顾问服务还是产品本身?"
    ),
    formula="The first that holds: partnership true: strategic; Σ service_amount ÷ revenue ≥ service: extrinsic; d ÷ "
    "(revenue + d) ≥ discount, d = |Σ discount|: intrinsic; else unknown. revenue = net spend. What is missing, or "
    "has a denominator ≤ 0, does not hold. A proxy: it reads what was bought, not why; ask before large decisions. "
    "Scoring needs the columns of the fit.",
    classes=_CLASSES,
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    summarise=_summarise,
    columns=(
        Column(
            "partnership",
            "flag",
            Text("There is a partnership; its last value counts.", "是否为合作伙伴, 取最后一次的值。"),
            is_needed=False,
        ),
        Column(
            "service_amount",
            "number",
            Text("What of a row's amount is for services.", "该行金额中的服务部分。"),
            is_needed=False,
        ),
        Column(
            "discount",
            "number",
            Text(
                "Money taken off a row's price, not contained in amount; either sign.",
                "该行优惠金额(未计入amount), 正负均可。",
            ),
            is_needed=False,
        ),
    ),
    any_of=("partnership", "service_amount", "discount"),
    parameters=(
        Parameter(
            "service",
            "number",
            0.2,
            "From this share of services on: extrinsic.",
            "服务占比达到该值为外在价值型。",
            0,
            1,
        ),
        Parameter(
            "discount",
            "number",
            0.2,
            "From this share of discount on: intrinsic.",
            "折扣占比达到该值为内在价值型。",
            0,
            1,
        ),
    ),
    figures=(
        Figure("service_share", "float", Text("Services ÷ revenue; where known.", "服务金额÷收入。")),
        Figure("discount_share", "float", Text("Discount ÷ (revenue + discount).", "折扣÷(收入+折扣)。")),
    ),
    table=("monetary",),
)
