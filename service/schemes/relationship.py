"""relationship: how broadly we are connected in a customer's company. Source: multi-level account relationships."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.accumulators import MISSING
from service.schemes.accumulations import Accumulation, Distinct
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "personal",
        "Personal",
        "个人级",
        Text("Meet a second person before the first one leaves.", "在唯一联系人离开前认识第二个人。"),
    ),
    SchemeClass(
        "departmental",
        "Departmental",
        "部门级",
        Text("Ask your contacts to introduce you next door.", "请现有联系人引荐相邻部门。"),
    ),
    SchemeClass(
        "company",
        "Company-wide",
        "公司级",
        Text("Bring the threads together: one plan, one review a year.", "整合各条线, 每年一份计划、一次回顾。"),
    ),
)
_PERSONAL, _DEPARTMENTAL, _COMPANY = range(3)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"contacts": Distinct("contact_id"), "departments": Distinct("department")}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    contacts, departments = view.of("contacts"), view.of("departments")
    classes = np.full(view.n, -1, np.int64)
    classes[contacts == 1] = _PERSONAL
    classes[(contacts >= 2) & (departments == 1)] = _DEPARTMENTAL
    classes[departments >= 2] = _COMPANY
    figures = {"contacts": contacts, "departments": departments}
    return Classified(classes, {name: np.where(view.purchased, n, MISSING) for name, n in figures.items()})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    contacts = found.figures["contacts"][found.classes >= 0]
    return {"mean_contacts": float(contacts.mean()) if len(contacts) else None}


SCHEME = Scheme(
    name="relationship",
    title=Text("Level of the relationship", "关系层级"),
    question=Text("Do we know one person there, a department, or the company?", "我们认识的是个人、部门还是整个公司?"),
    formula="Distinct contact_id and department of a customer's purchase rows: 2 departments or more: company; 2 "
    "contacts or more in one: departmental; 1 contact: personal. No contact known, or several without a department: "
    "unknown.",
    classes=_CLASSES,
    accumulate=_accumulate,
    classify=_classify,
    summarise=_summarise,
    columns=(
        Column("contact_id", "id", Text("Who bought for the customer.", "代表客户下单的联系人。")),
        Column("department", "id", Text("That person's department.", "该联系人所在部门。")),
    ),
    figures=(
        Figure("contacts", "integer", Text("Distinct contacts.", "联系人数。")),
        Figure("departments", "integer", Text("Distinct departments.", "部门数。")),
    ),
)
