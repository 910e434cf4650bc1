"""tiers: whom to seek and whom to avoid, by value percentile and known risks. Source: customer portfolio selection."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.schemes.accumulations import Accumulation, Last
from service.schemes.measures import columns_found, hold_to_fit
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "avoid",
        "Avoid",
        "避免型",
        Text("Sell only prepaid, or not at all, until the risk is cleared.", "风险解除前仅限预付, 或暂停往来。"),
    ),
    SchemeClass(
        "ideal",
        "Ideal",
        "理想型",
        Text("Best people, best terms; find more customers like them.", "配备最好的人员与条件, 寻找相似客户。"),
    ),
    SchemeClass(
        "good",
        "Good",
        "较好型",
        Text("See what keeps them from the top and remove it.", "找出其与理想型的差距并消除。"),
    ),
    SchemeClass(
        "regular",
        "Regular",
        "常规型",
        Text("Serve to the standard, at standard cost.", "按标准服务, 控制标准成本。"),
    ),
    SchemeClass(
        "marginal",
        "Marginal",
        "牵强型",
        Text("Self-service only; let them go without a fight.", "仅提供自助服务, 流失亦不强留。"),
    ),
)
_AVOID, _IDEAL, _GOOD, _REGULAR, _MARGINAL = range(5)
_RISKS = (
    ("product", "the product", "产品"),
    ("finance", "its finances", "财务"),
    ("credit", "its credit", "信用"),
    ("management", "its management", "管理"),
    ("political", "politics", "政治"),
)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {name: Last(name) for name in sorted(columns) if name.startswith("risk_")}


def _freeze(view: View, given: Given) -> Frozen:
    return {"risks": columns_found(view)}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.percentiles is not None
    hold_to_fit("tiers", columns_found(view), frozen["risks"])
    percentile = view.percentiles()
    classes = np.where(np.isnan(percentile), -1, _MARGINAL)
    classes[percentile >= given["regular"]] = _REGULAR
    classes[percentile >= given["good"]] = _GOOD
    classes[percentile >= given["ideal"]] = _IDEAL
    if not frozen["risks"]:
        return Classified(classes, {"percentile": percentile})
    risks = np.zeros(view.n, np.int64)
    for name in frozen["risks"]:
        risks += view.of(name) == 1
    classes[risks > 0] = _AVOID
    return Classified(classes, {"percentile": percentile, "risks": risks})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """Customers by risk; one may have several."""
    return {"customers_by_risk": {name: int(np.count_nonzero(view.of(name) == 1)) for name in frozen["risks"]}}


def _contradiction(given: Given) -> str | None:
    if not given["ideal"] >= given["good"] >= given["regular"]:
        return "tiers.ideal must not be below tiers.good, nor that below tiers.regular."
    return None


SCHEME = Scheme(
    name="tiers",
    title=Text("Tiers: whom to seek, whom to avoid", "客户分层: 该争取谁, 该避免谁"),
    question=Text("Whom do we want more of, and whom had we better avoid?", "哪些客户值得争取, 哪些最好避免?"),
    formula="Any risk_* that is true: avoid, whatever the value. Else by the model's value percentile: ≥ ideal, ≥ "
    "good, ≥ regular, else marginal. A risk that is not known counts as none; without a purchase and without a risk: "
    "unknown. Scoring needs the risk columns of the fit.",
    classes=_CLASSES,
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    summarise=_summarise,
    columns=(
        *(
            Column(
                f"risk_{name}",
                "flag",
                Text(f"A known risk of {en}; its last value counts.", f"已知{zh}风险, 取最后一次的值。"),
                is_needed=False,
            )
            for name, en, zh in _RISKS
        ),
        Column(
            "risk_*",
            "flag",
            Text("Any further risk of your own.", "其他自定义风险列。"),
            is_needed=False,
        ),
    ),
    parameters=(
        Parameter("ideal", "number", 80.0, "From this value percentile on: ideal.", "达到该百分位为理想型。", 0, 100),
        Parameter("good", "number", 50.0, "From this value percentile on: good.", "达到该百分位为较好型。", 0, 100),
        Parameter(
            "regular", "number", 20.0, "From this value percentile on: regular.", "达到该百分位为常规型。", 0, 100
        ),
    ),
    figures=(
        Figure("percentile", "float", Text("Value percentile, 0 … 100, by the model.", "模型价值百分位(0至100)。")),
        Figure(
            "risks",
            "integer",
            Text("How many known risks; where there are risk columns.", "已知风险数量, 需有风险列。"),
        ),
    ),
    contradiction=_contradiction,
    table=(),
)
