"""efficiency against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import RequestError
from tests.service.schemes.shop import purchases, request, told
from tests.service.schemes.test_quintile import naive_cuts


def naive(customers: list[tuple[int, int | None]]) -> list[str]:
    """(spend, cost) of customers that bought."""
    ratios = [cost / spend for spend, cost in customers if cost is not None and spend > 0]
    cuts = naive_cuts(ratios, 5) if ratios else []
    names = []
    for spend, cost in customers:
        if cost is None:
            names.append("unknown")
        elif spend - cost <= 0:
            names.append("low_value")
        else:
            names.append("high_value" if cost / spend <= cuts[0] else "ordinary_value")
            if cost / spend > cuts[3]:
                names[-1] = "low_value"
    return names


def shop_of(customers: list[tuple[int, int | None]]) -> pa.Table:
    bought = [(f"c{i}", "2024-01-01", float(spend)) for i, (spend, _) in enumerate(customers)]
    return purchases(*bought, cost=pa.array([cost for _, cost in customers], pa.float64()))


def classes_of(customers: list[tuple[int, int | None]]) -> list[str]:
    return [row["class"] for row in told(request(shop_of(customers), "efficiency"), "efficiency").values()]


# Powers of two below, so that no ratio is rounded.
CUSTOMER = st.tuples(st.sampled_from([0, 64, 128]), st.one_of(st.none(), st.sampled_from([0, 8, 16, 32, 64, 96])))


@settings(max_examples=40)
@given(st.lists(CUSTOMER, min_size=1, max_size=10))
def test_classes_are_those_of_the_naive_twin(customers: list[tuple[int, int | None]]) -> None:
    assert classes_of(customers) == naive(customers)


def test_worked_by_hand() -> None:
    """Ratios .1, .2, .3, .4, .5 and 1.2: the cuts are the 2nd and the 5th; one has no cost, one came back."""
    costs: list[int | None] = [40, 10, 50, 20, 30, 120, None]
    table = pa.concat_tables(
        [
            shop_of([(100, cost) for cost in costs]),
            purchases(("back", "2024-01-01", 9), ("back", "2024-01-02", -9), cost=[4.0, None]),
        ]
    )
    outcome = request(table, "efficiency")
    found = told(outcome, "efficiency")
    assert [row["class"] for row in found.values()] == [
        *("ordinary_value", "high_value", "ordinary_value", "high_value", "ordinary_value", "low_value", "unknown"),
        "low_value",
    ]
    assert found["c0"] == {"class": "ordinary_value", "ratio": 0.4, "margin": 60.0}
    assert found["back"] == {"class": "low_value", "ratio": None, "margin": -4.0}
    assert outcome.model.schemes is not None
    assert outcome.model.schemes["efficiency"].frozen == {"high": 0.2, "ordinary": 0.5}
    assert outcome.summary.schemes is not None
    figures = outcome.summary.schemes["efficiency"].figures
    assert (figures["cost"], figures["revenue"], figures["customers_at_a_loss"]) == (274.0, 600.0, 2)
    assert figures["ratio"] == pytest.approx(274 / 600)


def test_one_customer_equal_ones_and_losses_only() -> None:
    assert classes_of([(10, 4)]) == ["high_value"]
    assert classes_of([(10, 4)] * 4) == ["high_value"] * 4
    assert classes_of([(10, 10), (10, 30)]) == ["low_value"] * 2  # a loss, however others do
    assert classes_of([(0, 3)]) == ["low_value"]
    assert classes_of([(10, None)]) == ["unknown"]


def test_cuts_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(RequestError, match=r"efficiency\.ordinary is below efficiency\.high"):
        request(shop_of([(1, 1)]), {"schemes": "efficiency", "efficiency.high": "90"})
