"""acquisition: how a customer was won, on what it buys, how risky a partnership is. Source: selection of customers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from proto.errors import ErrorCode, RequestError
from service.schemes.accumulations import Accumulation, Last, PurchaseAmount
from service.schemes.measures import columns_found, hold_to_fit, ratio, wanted_quantiles
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

Floats = npt.NDArray[np.float64]

_EFFORTS = (
    SchemeClass(
        "low",
        "Low: came by itself",
        "自然流量",
        Text("Find out what brought them and make that easier to find.", "了解其来源, 让该渠道更易被找到。"),
    ),
    SchemeClass(
        "middle",
        "Middle: sold to",
        "推销型",
        Text("Keep the pitch that worked; test cheaper ways to the same people.", "保留有效话术, 测试更低成本的触达。"),
    ),
    SchemeClass(
        "high",
        "High: sold to hard",
        "强推型",
        Text("Do not buy more of these before they have paid back.", "在收回成本之前不再加大此类获客。"),
    ),
)
_MOTIVES = (
    SchemeClass(
        "price_led",
        "Led by price",
        "价格倾向",
        Text("Show offers and bundles; do not pay for convenience.", "推送优惠与组合装, 不在便利上加成本。"),
    ),
    SchemeClass(
        "convenience_led",
        "Led by convenience",
        "便利倾向",
        Text(
            "Save them time: reorder, delivery, one contact; no discounts.", "节省其时间: 复购、配送、专人, 无需打折。"
        ),
    ),
)
_PRICE, _CONVENIENCE = range(2)
_RISKS = (
    SchemeClass(
        "low",
        "Low risk",
        "低风险",
        Text("Agree for longer; the usual checks will do.", "可签长期合作, 常规审查即可。"),
    ),
    SchemeClass(
        "middle",
        "Middle risk",
        "中风险",
        Text("Begin small, with milestones and a limit.", "从小规模开始, 设里程碑与额度。"),
    ),
    SchemeClass(
        "high",
        "High risk",
        "高风险",
        Text("Ask for security or payment in advance, or decline.", "要求担保或预付, 否则谢绝。"),
    ),
)
_COLUMNS = ("acquisition_cost", "discount", "risk")


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    kept: dict[str, Accumulation] = {name: Last(name) for name in ("acquisition_cost", "risk") if name in columns}
    if "discount" in columns:
        kept |= {"discount": PurchaseAmount("discount"), "amount": PurchaseAmount()}
    return kept


def _there(view: View) -> list[str]:
    return [name for name in columns_found(view) if name in _COLUMNS]


def _costs(view: View) -> Floats:
    """Acquisition costs; NaN of customers without a purchase, who are not won."""
    return np.where(view.purchased, view.of("acquisition_cost"), np.nan)


def _freeze(view: View, given: Given) -> Frozen:
    has_costs = view.has("acquisition_cost")
    return {
        "columns": _there(view),
        "cost_cuts": wanted_quantiles(_costs(view), given["cost_shares"]) if has_costs else None,
    }


def _effort(view: View, frozen: Frozen) -> npt.NDArray[np.int64]:
    costs, cuts = _costs(view), frozen["cost_cuts"]
    if cuts is None:
        return np.full(view.n, -1)
    return np.where(np.isnan(costs), -1, np.searchsorted(cuts, costs, side="left")).astype(np.int64)


def _risk(view: View, given: Given) -> npt.NDArray[np.int64]:
    risk = view.of("risk")
    known = (risk >= 0) & (risk <= 1)
    return np.where(known, np.searchsorted(given["risk_cuts"], risk, side="right"), -1).astype(np.int64)


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    there = _there(view)
    hold_to_fit("acquisition", there, frozen["columns"])
    if not there:
        raise RequestError(
            ErrorCode.CONFLICTING_OPTIONS,
            "schemes=acquisition cannot tell from a table with one row per customer which purchases had a discount. "
            "Send transactions, or add acquisition_cost or risk.",
            option="schemes",
            wanted=["acquisition_cost", "risk"],
        )
    figures: dict[str, npt.NDArray[Any]] = {}
    if "acquisition_cost" in there:
        figures["effort"] = _effort(view, frozen)
    if "discount" in there:
        share = ratio(view.of("discount"), view.of("amount"))
        motive = np.where(share >= given["price_led"], _PRICE, _CONVENIENCE)
        figures |= {"motive": np.where(np.isnan(share), -1, motive), "discounted_share": share}
    if "risk" in there:
        figures["risk"] = _risk(view, given)
    labels = [figures[name] for name in ("effort", "motive", "risk") if name in figures]
    return Classified(np.where(np.max(labels, axis=0) < 0, -1, 0), figures)


def _contradiction(given: Given) -> str | None:
    for name in ("cost_shares", "risk_cuts"):
        cuts = given[name]
        if len(cuts) != 2 or cuts[0] > cuts[1]:
            return f"acquisition.{name} has to be two numbers, the smaller one first: they divide low, middle and high."
    return None


SCHEME = Scheme(
    name="acquisition",
    title=Text("Acquisition: effort, motive, partnership risk", "获客方式: 投入·动机·合作风险"),
    question=Text(
        "What did it take to win a customer, what does it come for, and how risky is it?",
        "赢得客户花了多大力气, 客户为何而来, 合作风险多高?",
    ),
    formula="effort: acquisition_cost ≤ the frozen first tercile low, ≤ the second middle, else high (linear "
    "quantiles of the customers with a purchase and a cost). motive: price-led where discounted rows bring ≥ "
    "price_led of the amounts bought (refunds apart), else convenience-led; a row without a discount value counts as "
    "without discount, a customer with no value at all, or who paid nothing, is unknown. risk: < ⅓ low, < ⅔ middle, "
    "else high; outside 0 … 1 unknown. Each is a column of its own, there where its input is; unknown counts those of "
    "whom none can be told. Scoring needs the columns of the fit.",
    classes=(),
    accumulate=_accumulate,
    freeze=_freeze,
    classify=_classify,
    columns=(
        Column(
            "acquisition_cost",
            "number",
            Text("What it cost to win the customer; its last value counts.", "获客成本, 取最后一次的值。"),
            is_needed=False,
        ),
        Column(
            "discount",
            "number",
            Text("Money taken off a row's price; 0 without, either sign.", "该行优惠金额, 无优惠填0, 正负均可。"),
            is_needed=False,
        ),
        Column(
            "risk",
            "number",
            Text("Risk of a partnership, 0 … 1; its last value counts.", "合作风险(0至1), 取最后一次的值。"),
            is_needed=False,
        ),
    ),
    any_of=_COLUMNS,
    parameters=(
        Parameter(
            "cost_shares",
            "numbers",
            [1 / 3, 2 / 3],
            "Shares of customers up to which the cost is low, and middle.",
            "成本为低、中的客户占比分界。",
            0,
            1,
        ),
        Parameter(
            "price_led",
            "number",
            0.5,
            "From this share of spend on discounted rows on: price-led.",
            "折扣行消费占比达到该值为价格倾向。",
            0,
            1,
        ),
        Parameter(
            "risk_cuts",
            "numbers",
            [1 / 3, 2 / 3],
            "Below the first risk is low, below the second middle.",
            "低于前者为低风险, 低于后者为中风险。",
            0,
            1,
        ),
    ),
    figures=(
        Figure("effort", "label", Text("What it took to win the customer.", "获客投入。"), _EFFORTS),
        Figure("motive", "label", Text("What the customer comes for.", "购买动机。"), _MOTIVES),
        Figure("risk", "label", Text("How risky a partnership is.", "合作风险。"), _RISKS),
        Figure("discounted_share", "float", Text("Share of spend on discounted rows.", "折扣行消费占比。")),
    ),
    contradiction=_contradiction,
    table=(),
)
