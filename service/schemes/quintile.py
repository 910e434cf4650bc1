"""quintile: recency, frequency, monetary by fifths. Source: RFM scoring by quantiles (Hughes, direct marketing)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.accumulators import MISSING
from proto.model import Notice
from service.schemes.accumulations import Accumulation
from service.schemes.measures import wanted_quantiles
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CLASSES = (
    SchemeClass(
        "champions",
        "Champions",
        "冠军客户",
        Text("Let them try new things first and ask them to recommend you.", "新品优先体验, 邀请他们推荐新客。"),
    ),
    SchemeClass(
        "new_customers",
        "New customers",
        "新客户",
        Text("Make the first weeks easy; suggest what goes with the first buy.", "做好首购后的服务, 推荐搭配商品。"),
    ),
    SchemeClass(
        "potential_loyalists",
        "Potential loyalists",
        "潜力忠诚客户",
        Text("Invite them to the club and show a second category.", "邀请入会, 推荐第二个品类。"),
    ),
    SchemeClass(
        "loyal_customers",
        "Loyal customers",
        "忠诚客户",
        Text("Thank them, keep their terms, offer the better version.", "表达感谢, 稳定权益, 推荐升级款。"),
    ),
    SchemeClass(
        "promising",
        "Promising",
        "有希望客户",
        Text("Stay in mind: one small reason to come back this month.", "保持印象, 给一个本月再来的小理由。"),
    ),
    SchemeClass(
        "need_attention",
        "Need attention",
        "需关注客户",
        Text("A short offer on what they bought before.", "就其买过的商品给出限时优惠。"),
    ),
    SchemeClass(
        "about_to_sleep",
        "About to sleep",
        "即将沉睡",
        Text("Remind them of what is popular now, before they forget.", "在被遗忘之前, 以热销商品唤起兴趣。"),
    ),
    SchemeClass(
        "cant_lose",
        "Can't lose them",
        "不能流失",
        Text("Call in person, find out what went wrong, put it right.", "亲自联系, 查明原因并补救。"),
    ),
    SchemeClass(
        "at_risk",
        "At risk",
        "有流失风险",
        Text("Write personally with a reason to return that fits them.", "个性化联系, 给出切合其需求的回归理由。"),
    ),
    SchemeClass(
        "hibernating",
        "Hibernating",
        "休眠客户",
        Text("One cheap win-back, then only the newsletter.", "低成本召回一次, 之后仅保留常规推送。"),
    ),
)
_CHAMPIONS, _NEW, _POTENTIAL, _LOYAL, _PROMISING, _ATTENTION, _SLEEP, _CANT_LOSE, _RISK, _HIBERNATING = range(10)

# The class of recency score r and frequency score f at [r - 1, f - 1].
_NAMED = np.array(
    [
        [_HIBERNATING, _HIBERNATING, _RISK, _RISK, _CANT_LOSE],
        [_HIBERNATING, _HIBERNATING, _RISK, _RISK, _CANT_LOSE],
        [_SLEEP, _SLEEP, _ATTENTION, _LOYAL, _LOYAL],
        [_PROMISING, _POTENTIAL, _POTENTIAL, _LOYAL, _LOYAL],
        [_NEW, _POTENTIAL, _POTENTIAL, _CHAMPIONS, _CHAMPIONS],
    ]
)
_NAMED_BINS = len(_NAMED)
_FEATURES = ("recency", "frequency", "monetary")


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    return {}


def _values(view: View) -> tuple[Floats, ...]:
    """Recency, frequency and monetary of everyone, NaN in all three where one is not known."""
    assert view.recency_days is not None
    assert view.orders is not None
    assert view.monetary is not None
    three = view.recency_days, view.orders, view.monetary
    known = view.purchased & ~np.isnan(three).any(axis=0)
    return tuple(np.where(known, values, np.nan) for values in three)


def _cuts_of(values: Floats, given: Given) -> list[float] | None:
    """The cuts between so many equal parts; None where there is nobody."""
    return wanted_quantiles(values, np.arange(1, given["bins"]) / given["bins"])


def _freeze(view: View, given: Given) -> Frozen:
    if given["ties"] == "rank":
        return {}
    cuts = {}
    for name, values in zip(_FEATURES, _values(view), strict=True):
        cuts[name] = given[f"{name}_cuts"] or _cuts_of(values, given)
    return cuts


def _ranks(values: Floats) -> Floats:
    """1, 2, … by value, equal ones by first appearance; NaN stays."""
    order = np.argsort(values, kind="stable")  # NaN last
    ranks = np.full(len(values), np.nan)
    n_known = int(np.count_nonzero(~np.isnan(values)))
    ranks[order[:n_known]] = np.arange(1.0, n_known + 1)
    return ranks


def _scores(values: Floats, cuts: list[float] | None, *, is_recency: bool) -> Ints:
    """1 + cuts strictly below the value, for recency strictly above; MISSING where there is none, or no cut."""
    if cuts is None:
        return np.full(len(values), MISSING)
    if is_recency:
        scores = 1 + len(cuts) - np.searchsorted(cuts, values, side="right")
    else:
        scores = 1 + np.searchsorted(cuts, values, side="left")
    return np.where(np.isnan(values), MISSING, scores).astype(np.int64)


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    three = _values(view)
    cuts = frozen
    if given["ties"] == "rank":
        three = tuple(map(_ranks, three))
        cuts = {name: _cuts_of(ranks, given) for name, ranks in zip(_FEATURES, three, strict=True)}
    r, f, m = (
        _scores(values, cuts[name], is_recency=name == "recency") for name, values in zip(_FEATURES, three, strict=True)
    )
    known = (r != MISSING) & (f != MISSING) & (m != MISSING)
    classes = np.full(view.n, -1, np.int64)
    if given["bins"] == _NAMED_BINS:
        classes[known] = _NAMED[r[known] - 1, f[known] - 1]
    else:
        classes[known] = 0
    code = np.full(view.n, MISSING)
    code[known] = 100 * r[known] + 10 * f[known] + m[known]
    return Classified(classes, {"code": code, "r": r, "f": f, "m": m})


def _classes_of(given: Given, frozen: Frozen) -> tuple[SchemeClass, ...]:
    return _CLASSES if given["bins"] == _NAMED_BINS else ()


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    """Customers by score, 1 first, and by code."""
    told: dict[str, Any] = {}
    for name in ("r", "f", "m"):
        scores = found.figures[name]
        told[f"customers_by_{name}"] = np.bincount(scores[scores != MISSING], minlength=given["bins"] + 1)[1:].tolist()
    code = found.figures["code"]
    codes, counts = np.unique(code[code != MISSING], return_counts=True)
    told["customers_by_code"] = dict(zip(map(str, codes.tolist()), counts.tolist(), strict=True))
    return told


def _contradiction(given: Given) -> str | None:
    for name in _FEATURES:
        cuts = given[f"{name}_cuts"]
        if cuts is None:
            continue
        if given["ties"] == "rank":
            return f"quintile.{name}_cuts are of values, but quintile.ties=rank scores by rank. Leave one of them out."
        if len(cuts) != given["bins"] - 1:
            return (
                f"quintile.{name}_cuts has {len(cuts)} cuts, but quintile.bins={given['bins']} needs "
                f"{given['bins'] - 1} between its bins."
            )
        if not all(a < b for a, b in itertools.pairwise(cuts)):
            return f"quintile.{name}_cuts must ascend, each above the one before."
    return None


def _segment_only(given: Given) -> str | None:
    if given["ties"] == "rank":
        return "quintile.ties=rank ranks the customers of one request and leaves no cut to hold later ones to."
    return None


def _notices(given: Given, frozen: Frozen) -> list[Notice]:
    """Cuts that coincide leave scores that nobody has."""
    names = [name for name in _FEATURES if frozen.get(name) and len(set(frozen[name])) < len(frozen[name])]
    if not names:
        return []
    message = (
        f"quintile: many customers have the same {' and the same '.join(names)}, so some cuts coincide and the scores "
        "between them are given to nobody. Send own cuts, or on segment quintile.ties=rank."
    )
    return [Notice(code="scheme", message=message, facts={"scheme": "quintile", "features": names})]


def _cuts(name: str, chinese: str, example: str) -> Parameter:
    return Parameter(
        f"{name}_cuts",
        "numbers",
        None,
        f"Own cuts of {name}, ascending, one fewer than bins: {example}. Without: the customers' quantiles.",
        f"自定义{chinese}分界点, 升序, 个数比档数少一, 如{example}; 不填则取客户分位数。",
    )


SCHEME = Scheme(
    name="quintile",
    title=Text("RFM by fifths", "RFM五等分评分"),
    question=Text(
        "Who is recent, frequent and big, on scores of 1 to 5 that everybody knows?",
        "按人人熟悉的1至5分, 谁买得近、买得勤、买得多?",
    ),
    formula="score = 1 + cuts strictly below the value; of recency: strictly above it, so 5 is the most recent. cuts = "
    "linear quantiles at 1/bins, 2/bins … of the customers with a purchase, frozen, or own ones. code = 100·R + 10·F + "
    "M; monetary as the request has it (sum or mean). ties=rank: the same rule on ranks 1 … n, ascending, equal "
    "values by first appearance. Names for 5 bins by R|F: 5|4–5 champions, 5|1 new, 4–5|2–3 potential loyalists, "
    "3–4|4–5 loyal, 4|1 promising, 3|3 need attention, 3|1–2 about to sleep, 1–2|5 can't lose, 1–2|3–4 at risk, "
    "1–2|1–2 hibernating; for other bins there are scores and codes only. Without a purchase: unknown.",
    classes=_CLASSES,
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    summarise=_summarise,
    parameters=(
        Parameter("bins", "integer", 5, "Parts that each score is cut into.", "每项得分的档数。", 2, 9),
        Parameter(
            "ties",
            "choice",
            "value",
            "Equal values get equal scores; or rank: equal parts, whatever ties (segment only).",
            "value: 同值同分; rank: 按名次均分(仅限segment, 不留可复用分界点)。",
            choices=("value", "rank"),
        ),
        _cuts("recency", "最近购买天数", "30;90;180;365"),
        _cuts("frequency", "购买频次", "1;2;4;8"),
        _cuts("monetary", "消费金额", "50;100;250;1000"),
    ),
    figures=(
        Figure("code", "integer", Text("R, F and M as the digits of one number: 111 … 555.", "R、F、M组成的编码。")),
        Figure("r", "integer", Text("Recency score, the most recent highest.", "R得分, 越近越高。")),
        Figure("f", "integer", Text("Frequency score.", "F得分。")),
        Figure("m", "integer", Text("Monetary score.", "M得分。")),
    ),
    table=("recency_days", "frequency", "monetary"),
    contradiction=_contradiction,
    segment_only=_segment_only,
    notices=_notices,
    classes_of=_classes_of,
)
