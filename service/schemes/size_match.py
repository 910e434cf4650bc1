"""size_match: is the customer's business about as large as ours? Source: dyadic relations in industrial marketing."""

from __future__ import annotations

import numpy as np

from service.schemes.accumulations import Accumulation, Last
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "equal",
        "Equal partners",
        "对等合作",
        Text("Agree on terms that bind both sides; grow together.", "约定双向约束的条款, 共同成长。"),
    ),
    SchemeClass(
        "mismatched",
        "Mismatched partners",
        "错位合作",
        Text(
            "If they are larger, do not depend on them; if smaller, keep service lean.",
            "对方更大则避免依赖, 对方更小则精简服务。",
        ),
    ),
)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"size": Last("size")}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    size = view.of("size")
    ratio = np.where(size > 0, size, np.nan) / given["own_size"]
    classes = np.where((ratio >= 1 / given["factor"]) & (ratio <= given["factor"]), 0, 1)
    classes[np.isnan(ratio)] = -1
    return Classified(classes, {"ratio": ratio})


def _contradiction(given: Given) -> str | None:
    if given["own_size"] is None:
        return (
            "size_match.own_size= is missing: our own size, in the unit of the column size (employees, revenue), such "
            "as size_match.own_size=250."
        )
    return None


SCHEME = Scheme(
    name="size_match",
    title=Text("Match of sizes", "规模匹配"),
    question=Text("Is the customer's company about as large as ours?", "客户企业的规模与我方相当吗?"),
    formula="ratio = size ÷ own_size, both in one unit (employees, revenue). 1 ÷ factor ≤ ratio ≤ factor: equal, else "
    "mismatched. size missing or ≤ 0: unknown.",
    classes=_CLASSES,
    accumulate=_accumulate,
    classify=_classify,
    contradiction=_contradiction,
    columns=(Column("size", "number", Text("The size of the customer's company.", "客户企业规模。")),),
    parameters=(
        Parameter(
            "own_size", "number", None, "Our own size; always to be given.", "我方规模, 必填。", 1e-9, example="250"
        ),
        Parameter(
            "factor", "number", 3.0, "How many times larger or smaller is still equal.", "视为相当的倍数。", 1, 1e6
        ),
    ),
    figures=(Figure("ratio", "float", Text("Their size ÷ ours.", "对方规模÷我方规模。")),),
    table=(),
)
