"""credit: who pays in time. Source: payment behaviour as credit managers grade it."""

from __future__ import annotations

from typing import Any

import numpy as np

from service.schemes.accumulations import Accumulation, LateOrders
from service.schemes.measures import not_below
from service.schemes.parameters import Parameter
from service.schemes.scheme import Classified, Column, Figure, Frozen, Given, Scheme, SchemeClass, Text
from service.schemes.view import View

__all__ = ["SCHEME"]

_CLASSES = (
    SchemeClass(
        "high",
        "High credit",
        "高信用",
        Text("Offer longer terms and a higher limit; say why.", "给予更长账期与更高额度, 并说明原因。"),
    ),
    SchemeClass(
        "ordinary",
        "Ordinary credit",
        "普通信用",
        Text("Remind a week before the due date; keep the limit.", "到期前一周提醒, 维持现有额度。"),
    ),
    SchemeClass(
        "low",
        "Low credit",
        "低信用",
        Text("Ask for payment in advance until three orders came in time.", "改为预付, 直至连续三单按时付款。"),
    ),
)
_HIGH, _ORDINARY, _LOW = range(3)


def _accumulate(given: Given, columns: frozenset[str]) -> dict[str, Accumulation]:
    order = "order_id" if "order_id" in columns else None
    return {"orders": LateOrders(order, "due_date", "paid_date")}


def _classify(view: View, given: Given, frozen: Frozen) -> Classified:
    due, late = view.of("orders", "due"), view.of("orders", "late")
    share = np.full(view.n, np.nan)
    np.divide(late, due, out=share, where=due > 0)
    classes = np.full(view.n, _LOW, np.int64)
    classes[share <= given["ordinary"]] = _ORDINARY
    classes[share <= given["high"]] = _HIGH
    classes[due == 0] = -1
    return Classified(classes, {"late_share": share, "due_orders": due, "late_orders": late})


def _summarise(view: View, found: Classified, given: Given, frozen: Frozen) -> dict[str, Any]:
    due, late = int(found.figures["due_orders"].sum()), int(found.figures["late_orders"].sum())
    return {"due_orders": due, "late_orders": late, "late_share": late / due if due else None}


SCHEME = Scheme(
    name="credit",
    title=Text("Credit: who pays in time", "信用: 谁按时付款"),
    question=Text("Whose orders can be delivered on account?", "哪些客户可以赊销?"),
    formula="Orders (order_id; without that column, what was bought at one time) whose due_date is not after as_of's "
    "day. Late: not paid, or paid_date after due_date, by day; an order's dates are the latest of its rows. share = "
    "late ÷ due orders: ≤ high, ≤ ordinary, else low; none due yet: unknown.",
    classes=_CLASSES,
    accumulate=_accumulate,
    classify=_classify,
    summarise=_summarise,
    contradiction=not_below("credit", "ordinary", "high"),
    columns=(
        Column("due_date", "time", Text("When the order is to be paid.", "应付款日期。")),
        Column("paid_date", "time", Text("When it was paid; missing while it is not.", "实际付款日期, 未付为空。")),
        Column("order_id", "id", Text("Which rows are one order.", "订单编号。"), False),
    ),
    parameters=(
        Parameter(
            "high", "number", 0.05, "Up to this share of late orders: high.", "逾期占比不超过此值为高信用。", 0, 1
        ),
        Parameter(
            "ordinary",
            "number",
            0.2,
            "Up to this share of late orders: ordinary.",
            "逾期占比不超过此值为普通信用。",
            0,
            1,
        ),
    ),
    figures=(
        Figure("late_share", "float", Text("Share of the due orders that were late.", "到期订单的逾期占比。")),
        Figure("due_orders", "integer", Text("Orders due by as_of.", "截至as_of到期的订单数。")),
        Figure("late_orders", "integer", Text("Those paid late or not at all.", "其中逾期或未付的订单数。")),
    ),
)
