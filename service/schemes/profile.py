"""profile: who the segments are, by labels that you know of customers. Source: cross-tabulation; lift."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.accumulators import MISSING
from service.schemes.accumulations import Accumulation, Last
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_KNOWN = {
    "industry": Text("The customer's industry.", "客户所属行业。"),
    "region": Text("Where the customer is.", "客户所在地区。"),
    "source": Text("Where the customer came from.", "客户来源渠道。"),
    "preference": Text("What the customer goes by: leader, value or price.", "客户偏好: 领先、价值或价格。"),
    "competitor_kind": Text("Who else the customer buys from.", "客户的其他供应商类型。"),
    "contact_role": Text("The role of the person we know.", "联系人的角色。"),
}


def _columns_of(given: Given) -> tuple[Column, ...]:
    if given["columns"] is None:
        return tuple(Column(name, "label", what, False) for name, what in _KNOWN.items())
    what = Text("A label of the customer.", "客户标签。")
    return tuple(Column(name, "label", _KNOWN.get(name, what)) for name in given["columns"])


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {column.name: Last(column.name) for column in _columns_of(given) if column.name in columns}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    known = np.zeros(view.n, np.int64)
    for name in view.accumulated:
        known += view.of(name) != MISSING
    return Classified(np.where(known > 0, 0, -1), {"labels_known": known})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """By column and label: customers, and by segment how many and how much more often than among all."""
    assert view.segments is not None
    return {name: _crossed(view.of(name), view.labels[name], view.segments, view.n_segments) for name in view.labels}


def _crossed(codes: Any, labels: list[str], segments: Any, n_segments: int) -> list[dict[str, Any]]:
    there = (codes != MISSING) & (segments >= 0)
    cells = codes[there] * n_segments + segments[there]
    table = np.bincount(cells, minlength=len(labels) * n_segments).reshape(len(labels), n_segments)
    of_label, of_segment, total = table.sum(axis=1), table.sum(axis=0), int(table.sum())
    told = []
    for i, label in enumerate(labels):
        expected = of_label[i] * of_segment / max(total, 1)
        lift = [n / e if e > 0 else None for n, e in zip(table[i].tolist(), expected.tolist(), strict=True)]
        told.append({"label": label, "customers": int(of_label[i]), "by_segment": table[i].tolist(), "lift": lift})
    return told


def _contradiction(given: Given) -> str | None:
    if given["columns"] is not None and any(name.endswith("*") for name in given["columns"]):
        return "profile.columns names a column that ends in *; name each of them."
    return None


SCHEME = Scheme(
    name="profile",
    title=Text("Profile of the segments", "群体画像"),
    question=Text("Who are the customers of each segment?", "各群体由什么样的客户组成?"),
    formula="For each label column, a customer's last label; of all customers with a label and a segment: counts by "
    "label and segment, lift = count · n ÷ (label's customers · segment's customers): 1 is as often as among all, "
    "null where nobody could be. In the summary, segments in the order of their ids.",
    classes=(),
    accumulate=_accumulate,
    classify=_classify,
    summarise=_summarise,
    contradiction=_contradiction,
    columns=_columns_of({"columns": None}),
    columns_of=_columns_of,
    any_of=tuple(_KNOWN),
    parameters=(
        Parameter(
            "columns",
            "names",
            None,
            "The label columns; default: those of the list above that are there.",
            "标签列名, 默认取上列中存在者。",
        ),
    ),
    figures=(Figure("labels_known", "integer", Text("How many labels of the customer are known.", "已知标签数。")),),
    table=(),
)
