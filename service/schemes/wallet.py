"""wallet: our share of what a customer spends on the category. Source: share of wallet (Jones and Sasser 1995)."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.schemes.accumulations import Accumulation, Last
from service.schemes.measures import not_below
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "strategic",
        "Strategic partner",
        "战略合作",
        Text("Plan the year together; protect the relation at the top.", "共同制定年度计划, 由高层维护关系。"),
    ),
    SchemeClass(
        "ordinary",
        "Ordinary partner",
        "普通合作",
        Text(
            "Find what they still buy elsewhere, and make an offer for it.", "了解其在别处采购的部分, 有针对性地报价。"
        ),
    ),
    SchemeClass(
        "occasional",
        "Occasional partner",
        "偶发合作",
        Text("Learn why you are second choice before you spend on them.", "投入之前, 先弄清为何未被优先选择。"),
    ),
)
_STRATEGIC, _ORDINARY, _OCCASIONAL = range(3)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"category_spend": Last("category_spend")}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    assert view.spend is not None
    share = np.full(view.n, np.nan)
    total = view.of("category_spend")
    np.divide(np.maximum(view.spend, 0.0), total, out=share, where=total > 0)
    share = np.minimum(share, 1.0)
    classes = np.full(view.n, _OCCASIONAL, np.int64)
    classes[share >= given["ordinary"]] = _ORDINARY
    classes[share >= given["strategic"]] = _STRATEGIC
    classes[np.isnan(share)] = -1
    return Classified(classes, {"share": share})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """Our share of all wallets that are known, and what is still spent elsewhere."""
    assert view.spend is not None
    known = found.classes >= 0
    total = float(view.of("category_spend")[known].sum())
    ours = float((found.figures["share"][known] * view.of("category_spend")[known]).sum())
    return {"share": ours / total if total > 0 else None, "spent_elsewhere": total - ours}


SCHEME = Scheme(
    name="wallet",
    title=Text("Share of wallet", "钱包份额"),
    question=Text(
        "How much of what they spend on our category do they spend with us?", "其品类总支出中有多少花在我们这里?"
    ),
    formula="share = monetary ÷ category_spend over the same time, between 0 and 1: ≥ strategic, ≥ ordinary, else "
    "occasional. category_spend missing or ≤ 0: unknown. In the summary: the share of all known wallets together.",
    classes=_CLASSES,
    accumulate=_accumulate,
    classify=_classify,
    summarise=_summarise,
    contradiction=not_below("wallet", "strategic", "ordinary"),
    columns=(
        Column(
            "category_spend",
            "number",
            Text("All the customer spends on the category, here and elsewhere.", "客户在该品类的全部支出(含他处)。"),
        ),
    ),
    parameters=(
        Parameter("strategic", "number", 0.5, "From this share on: strategic.", "达到该份额为战略合作。", 0, 1),
        Parameter("ordinary", "number", 0.2, "From this share on: ordinary.", "达到该份额为普通合作。", 0, 1),
    ),
    figures=(Figure("share", "float", Text("Our share of the wallet.", "我方所占份额。")),),
    table=("monetary",),
)
