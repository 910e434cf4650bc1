"""acquisition against a naive twin, and worked by hand."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import RequestError
from service.schemes.catalogue import told as catalogue_told
from service.schemes.describe import described
from tests.service.schemes.shop import purchases, request, told
from tests.service.schemes.test_quintile import naive_cuts

Row = tuple[int, int | None]
Customer = tuple[int | None, float | None, list[Row]]
"""(acquisition cost, risk, purchases as amount and discount)."""


def naive_motive(bought: list[Row]) -> str:
    paid = sum(amount for amount, _ in bought if amount >= 0)
    if paid == 0 or all(discount is None for amount, discount in bought if amount >= 0):
        return "unknown"
    discounted = sum(amount for amount, discount in bought if amount >= 0 and discount)
    return "price_led" if discounted / paid >= 0.5 else "convenience_led"


def naive(customers: list[Customer]) -> list[tuple[str, str, str]]:
    costs = [cost for cost, _, _ in customers if cost is not None]
    cuts = naive_cuts(costs, 3) if costs else []
    found = []
    for cost, risk, bought in customers:
        effort = "unknown" if cost is None else ("low", "middle", "high")[sum(cut < cost for cut in cuts)]
        level = "unknown" if risk is None else "low" if risk < 1 / 3 else "middle" if risk < 2 / 3 else "high"
        found.append((effort, naive_motive(bought), level))
    return found


def shop_of(customers: list[Customer]) -> pa.Table:
    bought, costs, risks, discounts = [], [], [], []
    for i, (cost, risk, rows) in enumerate(customers):
        for day, (amount, discount) in enumerate(rows):
            bought.append((f"c{i}", f"2024-01-{day + 1:02}", float(amount)))
            costs.append(cost if day == 0 else None)
            risks.append(risk if day == 0 else None)
            discounts.append(discount)
    return purchases(
        *bought,
        acquisition_cost=pa.array(costs, pa.float64()),
        risk=pa.array(risks, pa.float64()),
        discount=pa.array(discounts, pa.float64()),
    )


# Costs are multiples of 3 · 64, so that terciles between them are exact.
COST = st.one_of(st.none(), st.integers(0, 5).map(lambda x: 192 * x))
RISK = st.sampled_from([None, 0.0, 0.3, 1 / 3, 0.5, 2 / 3, 1.0])
ROWS = st.lists(st.tuples(st.sampled_from([0, 1, 2, 4]), st.sampled_from([None, 0, 3, -3])), min_size=1, max_size=4)


@settings(max_examples=40)
@given(st.lists(st.tuples(COST, RISK, ROWS), min_size=1, max_size=7))
def test_labels_are_those_of_the_naive_twin(customers: list[Customer]) -> None:
    found = told(request(shop_of(customers), "acquisition"), "acquisition")
    assert [(row["effort"], row["motive"], row["risk"]) for row in found.values()] == naive(customers)


def test_worked_by_hand() -> None:
    """Costs 0, 30, 60, 90: the terciles are 30 and 60. Of 100, a paid 50 on rows with a discount, b 40."""
    table = shop_of(
        [
            (0, 0.1, [(50, 5), (50, 0)]),
            (30, 0.4, [(40, -5), (60, None), (-60, 9)]),
            (60, 0.9, [(10, None)]),
            (90, None, [(10, 0)]),
        ]
    )
    outcome = request(table, "acquisition")
    found = list(told(outcome, "acquisition").values())
    assert found == [
        {"effort": "low", "motive": "price_led", "risk": "low", "discounted_share": 0.5},
        {"effort": "low", "motive": "convenience_led", "risk": "middle", "discounted_share": 0.4},
        {"effort": "middle", "motive": "unknown", "risk": "high", "discounted_share": None},
        {"effort": "high", "motive": "convenience_led", "risk": "unknown", "discounted_share": 0.0},
    ]
    assert outcome.model.schemes is not None
    assert outcome.model.schemes["acquisition"].frozen["cost_cuts"] == pytest.approx([30.0, 60.0])
    assert outcome.summary.schemes is not None
    summary = outcome.summary.schemes["acquisition"]
    assert (summary.classes, summary.unknown) == ([], 0)
    risks = summary.figures["risk"]
    assert [(one["code"], one["customers"]) for one in risks] == [
        *(("low", 1), ("middle", 1), ("high", 1), ("unknown", 1))
    ]


def test_labels_speak_the_language_of_the_reply() -> None:
    table = shop_of([(0, 0.1, [(50, 5)])])
    row = told(request(table, "acquisition", lang="zh"), "acquisition")["c0"]
    assert (row["effort"], row["motive"], row["risk"]) == ("自然流量", "价格倾向", "低风险")
    listed = next(one for one in catalogue_told() if one["name"] == "acquisition")
    motive = next(one for one in listed["output_columns"] if one["name"] == "acquisition_motive")
    assert [one["zh"] for one in motive["classes"]] == ["价格倾向", "便利倾向", "无法判断"]
    block = "<!-- made by service.schemes.describe: schemes -->\n<!-- end of schemes -->"
    assert "| `convenience_led` | Led by convenience | 便利倾向 |" in described(block)


def test_one_column_will_do_and_equal_costs_are_low() -> None:
    table = shop_of([(7, 0.1, [(5, 1)])] * 3)
    for column, label in {"acquisition_cost": "effort", "discount": "motive", "risk": "risk"}.items():
        alone = table.select(["customer_id", "timestamp", "amount", column])
        row = told(request(alone, "acquisition"), "acquisition")["c1"]
        assert [name for name in row if name != "discounted_share"] == [label]
        assert row[label] in ("low", "price_led")


def test_who_cannot_be_told_anything_is_unknown() -> None:
    table = purchases(("a", "2024-01-01", 5), ("b", "2024-01-01", 5), ("c", "2024-01-01", 5), risk=[0.2, math.pi, None])
    outcome = request(table, "acquisition")
    assert [row["risk"] for row in told(outcome, "acquisition").values()] == ["low", "unknown", "unknown"]
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["acquisition"].unknown == 2


def test_a_customers_table_does_not_tell_discounted_purchases() -> None:
    table = pa.table({"customer_id": ["a", "b"], "visits": [1, 2], "discount": [0.0, 4.0]})
    with pytest.raises(RequestError, match="which purchases had a discount"):
        request(table, "acquisition", features="visits")


def test_cuts_are_two_that_ascend() -> None:
    for name, text in (("risk_cuts", "0.5"), ("cost_shares", "0.5;0.2")):
        with pytest.raises(RequestError, match=rf"acquisition\.{name} has to be two numbers"):
            request(shop_of([(1, 0.1, [(1, 1)])]), {"schemes": "acquisition", f"acquisition.{name}": text})
