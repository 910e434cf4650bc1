"""pareto against a naive twin, and worked by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import RequestError
from tests.service.schemes.shop import purchases, request, told


def naive_classes(spend: list[int], a: Fraction = Fraction(8, 10), b: Fraction = Fraction(95, 100)) -> list[str]:
    """Walk down the customers, in exact fractions; those of one spend all take the best of their classes."""
    clipped = [max(0, x) for x in spend]
    total, before, best = sum(clipped), 0, {}
    for x in sorted(clipped, reverse=True):
        share = Fraction(before, total) if total else Fraction(1)
        own = "a" if share < a else "b" if share < b else "c"
        best[x] = min(best.get(x, "c"), own)
        before += x
    return ["unknown" if not total else "c" if x == 0 else best[x] for x in clipped]


def shop_of(spend: list[int], cost: list[float | None] | None = None) -> pa.Table:
    table = purchases(*((f"c{i}", "2024-01-01", x) for i, x in enumerate(spend)))
    return table if cost is None else table.append_column("cost", pa.array(cost, pa.float64()))


def classes_of(spend: list[int]) -> list[str]:
    return [row["class"] for row in told(request(shop_of(spend), "pareto"), "pareto").values()]


# Powers of two: no share of theirs is so near a cut that floats and fractions could differ.
@settings(max_examples=25)
@given(st.lists(st.sampled_from([0, 1, 2, 4, 8, 16, 32, 1024]), min_size=1, max_size=12))
def test_classes_are_those_of_the_naive_twin(spend: list[int]) -> None:
    assert classes_of(spend) == naive_classes(spend)


def test_worked_by_hand() -> None:
    """Of 200: 120 (0 before), 50 (60 %), 20 (85 %), 10 (95 %, no longer < 95 %)."""
    outcome = request(shop_of([50, 120, 10, 20]), "pareto")
    assert [row["class"] for row in told(outcome, "pareto").values()] == ["a", "a", "c", "b"]
    assert outcome.model.schemes is not None
    assert outcome.model.schemes["pareto"].frozen == {"least_a": 50.0, "least_b": 20.0}
    assert outcome.summary.schemes is not None
    figures = outcome.summary.schemes["pareto"].figures
    assert figures["best_share"] == 120 / 200  # the best 20 % of four: one
    assert (figures["customers_for_a"], figures["customers_for_a_share"]) == (2, 0.5)
    # 2·(1·10 + 2·20 + 3·50 + 4·120) ÷ (4·200) − 5/4
    assert figures["gini"] == pytest.approx(2 * 680 / 800 - 1.25)


def test_equal_spend_takes_the_better_class() -> None:
    assert classes_of([10, 10, 10, 10, 10]) == ["a"] * 5
    assert classes_of([100, 1, 1]) == ["a", "c", "c"]  # 1 of 102 before … 98 %


def test_one_customer_and_none_that_spent() -> None:
    assert classes_of([7]) == ["a"]
    assert classes_of([0]) == ["unknown"]
    outcome = request(shop_of([0]), "pareto")
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["pareto"].figures["gini"] is None


def test_who_gave_more_back_than_he_bought_is_c() -> None:
    table = purchases(("a", "2024-01-01", 5), ("a", "2024-01-02", -9), ("b", "2024-01-01", 5))
    assert [row["class"] for row in told(request(table, "pareto"), "pareto").values()] == ["c", "a"]


def test_cost_brings_profit_and_the_whale_curve() -> None:
    """Profits 60, 10, 0, −20: the curve rises to 70 and ends at 50; the fifth customer's cost is not known."""
    outcome = request(shop_of([100, 40, 10, 30, 5], [40.0, 30.0, 10.0, 50.0, None]), "pareto")
    profits = [row["profit"] for row in told(outcome, "pareto").values()]
    assert profits == [60.0, 10.0, 0.0, -20.0, None]
    assert outcome.summary.schemes is not None
    told_ = outcome.summary.schemes["pareto"]
    assert told_.missing_values == {"cost": 1}
    figures = told_.figures
    assert (figures["profit"], figures["highest_profit"]) == (50.0, 70.0)
    assert (figures["profit_of_best"], figures["profit_of_others"]) == (60.0, -10.0)
    assert figures["profit_of_worst"] == -20.0  # 30 % of four are two: 0 and −20
    assert figures["whale_curve"] == [0.0, 60.0, 60.0, 70.0, 70.0, 70.0, 70.0, 70.0, 50.0, 50.0, 50.0]


def test_a_refund_does_not_bring_its_cost_back() -> None:
    table = purchases(("a", "2024-01-01", 10), ("a", "2024-01-02", -10), cost=[4.0, 4.0])
    assert told(request(table, "pareto"), "pareto")["a"]["profit"] == -4.0


def test_cuts_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(RequestError, match=r"pareto\.b is below pareto\.a"):
        request(shop_of([1, 2]), {"schemes": "pareto", "pareto.b": "0.5"})


def test_a_customers_table_without_a_value_is_unknown() -> None:
    table = pa.table({"customer_id": ["a", "b", "c"], "visits": [1, 2, 3], "monetary": [5.0, np.nan, 1.0]})
    outcome = request(table, "pareto", features="visits")
    assert [row["class"] for row in told(outcome, "pareto").values()] == ["a", "unknown", "b"]
