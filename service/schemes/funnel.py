"""funnel: how far customers have come, stage by stage, and where they stop. Source: hierarchy of effects (1961)."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.accumulators import MISSING
from service.schemes.accumulations import Accumulation, Greatest
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

MAX_STAGES = 50


def _stage(code: str, en: str, zh: str, action_en: str, action_zh: str) -> SchemeClass:
    return SchemeClass(code, en, zh, Text(action_en, action_zh))


_PRESETS = {
    "buying7": (
        _stage("unaware", "Unaware", "未知晓", "Be seen where they already look.", "在其常去之处出现。"),
        _stage("aware", "Aware", "已知晓", "Say in one sentence what you are for.", "用一句话讲清价值。"),
        _stage(
            "interested", "Interested", "感兴趣", "Answer their first question, then ask one.", "先回答其疑问, 再反问。"
        ),
        _stage("comparing", "Comparing", "比较中", "Give them the comparison they would make.", "主动提供对比资料。"),
        _stage("intending", "Intending", "有意购买", "Take away the last worry.", "消除最后的顾虑。"),
        _stage("buying", "Buying", "购买中", "Make paying the shortest step.", "让付款成为最短的一步。"),
        _stage(
            "after_purchase",
            "After purchase",
            "购后",
            "See that it works, then ask for a word.",
            "确认使用顺利, 再请其评价。",
        ),
    ),
    "value5": (
        _stage(
            "recognise", "Recognise the need", "认知需求", "Help them put the need into figures.", "帮助其量化需求。"
        ),
        _stage("evaluate", "Evaluate", "评估方案", "Bring the people who will decide together.", "召集决策相关人员。"),
        _stage("resolve", "Resolve concerns", "消除疑虑", "Name the risk before they do.", "先于客户说出风险。"),
        _stage("buy", "Buy", "决定购买", "Keep the contract short.", "合同从简。"),
        _stage("implement", "Implement", "实施应用", "Be there on the first day of use.", "首日使用时在场支持。"),
    ),
    "adoption3": (
        _stage("new_toy", "New toy", "新鲜期", "Show one thing that works at once.", "展示一项立即见效的功能。"),
        _stage("learning", "Learning", "学习期", "Train while they still want to learn.", "趁热安排培训。"),
        _stage("effective", "Effective", "见效期", "Measure the gain and tell it.", "衡量成效并告知。"),
    ),
}


def _classes_of(given: Given, frozen: Frozen) -> tuple[SchemeClass, ...]:
    if given["stages"] is None:
        return _PRESETS[given["preset"]]
    action = Text("Find out what keeps them from the next stage.", "找出阻碍其进入下一阶段的原因。")
    return tuple(SchemeClass(stage, stage, stage, action) for stage in given["stages"])


def _columns_of(given: Given) -> tuple[Column, ...]:
    codes = tuple(stage.code for stage in _classes_of(given, {}))
    what = Text("The stage that a row tells of; one of the list.", "该行所处阶段, 须在列表之中。")
    return (Column("stage", "ordered", what, examples=codes),)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {"stage": Greatest("stage")}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    stage = view.of("stage")
    return Classified(np.where(stage == MISSING, -1, stage), {})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    stages = _classes_of(given, frozen)
    counts = np.bincount(found.classes[found.classes >= 0], minlength=len(stages))
    reach = np.cumsum(counts[::-1])[::-1].tolist()
    told = []
    for i, stage in enumerate(stages):
        follows = i + 1 < len(stages) and reach[i] > 0
        told.append(
            {"stage": stage.code, "reach": reach[i], "conversion": reach[i + 1] / reach[i] if follows else None}
        )
    return {"stages": told}


def _contradiction(given: Given) -> str | None:
    stages = given["stages"]
    if stages is not None and not 2 <= len(stages) <= MAX_STAGES:
        return f"funnel.stages has {len(stages)} stage(s); a funnel has 2 to {MAX_STAGES}, from the first to the last."
    if stages is not None and "unknown" in stages:
        return "funnel.stages names a stage unknown, which is what customers without a stage are called."
    return None


SCHEME = Scheme(
    name="funnel",
    title=Text("Funnel: stage by stage", "转化漏斗"),
    question=Text("How far do customers come, and where do they stop?", "客户走到哪一步, 又止于何处?"),
    formula="A customer's furthest stage in the order of the list; none told: unknown. reach(i) = customers whose "
    "furthest stage is i or later, conversion(i) = reach(i + 1) ÷ reach(i). Stages that are not listed are refused.",
    classes=_PRESETS["buying7"],
    accumulate=_accumulate,
    classify=_classify,
    summarise=_summarise,
    contradiction=_contradiction,
    columns=_columns_of({"stages": None, "preset": "buying7"}),
    columns_of=_columns_of,
    classes_of=_classes_of,
    parameters=(
        Parameter(
            "preset",
            "choice",
            "buying7",
            "The list of stages, where stages= gives none.",
            "预设阶段列表(未给出stages时)。",
            choices=tuple(_PRESETS),
        ),
        Parameter("stages", "names", None, "Your own stages, from the first to the last.", "自定义阶段, 由先到后。"),
    ),
    table=(),
)
