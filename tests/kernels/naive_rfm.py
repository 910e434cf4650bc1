"""What the aggregation computes, in plain Python over lists of rows: the oracle of the tests."""

from collections.abc import Hashable
from typing import Any, NamedTuple

from kernels.rfm import Occasion, Plan, Refunds


class Row(NamedTuple):
    customer: Hashable
    tick: int
    amount: float | int
    order: Hashable
    keep: bool


def naive_day(tick: int, plan: Plan) -> int:
    offset = plan.zone_offsets.tolist()[sum(t <= tick for t in plan.zone_transitions.tolist())]
    return (tick + offset) // plan.ticks_per_day


def naive_occasion(number: int, row: Row, plan: Plan) -> Hashable:
    if plan.occasion == Occasion.ROW:
        return number
    if plan.occasion == Occasion.TIME:
        return row.tick
    if plan.occasion == Occasion.DAY:
        return naive_day(row.tick, plan)
    return row.order


def naive_rfm(rows: list[Row], plan: Plan) -> tuple[dict[Hashable, dict[str, Any]], dict[str, int]]:
    """Return the customers in the order of their first kept row, and the counts."""
    customers: dict[Hashable, dict[str, Any]] = {}
    seen: set[Hashable] = set()
    counts = dict.fromkeys(("kept", "late", "early", "refunds", "zeros"), 0)
    counts["first_refund"] = -1
    for number, row in enumerate(rows):
        if not row.keep:
            continue
        if row.tick > plan.upper_tick or row.tick <= plan.lower_tick:
            counts["late"] += row.tick > plan.upper_tick
            counts["early"] += row.tick <= plan.lower_tick
            seen.add(row.customer)
            continue
        counts["zeros"] += row.amount == 0
        if row.amount < 0:
            counts["refunds"] += 1
            if counts["first_refund"] < 0:
                counts["first_refund"] = number
            if plan.refunds == Refunds.DROP:
                continue
        counts["kept"] += 1
        seen.add(row.customer)
        new = {"first_row": number, "ticks": [], "occasions": set(), "sum": 0}
        customer = customers.setdefault(row.customer, new)
        customer["sum"] += row.amount
        if row.amount >= 0:
            customer["ticks"].append(row.tick)
            customer["occasions"].add(naive_occasion(number, row, plan))
    counts["outside"] = len(seen - set(customers))
    return customers, counts


def naive_days(as_of: int, tick: int, ticks_per_day: int) -> float:
    from fractions import Fraction

    return float(Fraction(as_of - tick, ticks_per_day))
