"""three_high against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.schemes.shop import purchases, request, told
from tests.service.schemes.test_quintile import naive_cuts

NAMES = ["three_high", "two_high", "one_high", "none_high"]


def naive(customers: list[tuple[int, int, int | None]]) -> list[str]:
    """(spend, orders, discount) of each."""
    features = []
    for spend, orders, discount in customers:
        known = discount is not None and spend + abs(discount) > 0
        features.append((spend, orders, 1 - abs(discount) / (spend + abs(discount))) if known else None)
    known = [own for own in features if own is not None]
    high = [0] * len(customers)
    for j in range(3 if known else 0):
        values = [own[j] for own in known]
        cut = naive_cuts(values, 5)[3]
        if cut > min(values):
            high = [n + (own is not None and own[j] >= cut) for n, own in zip(high, features, strict=True)]
    return ["unknown" if own is None else NAMES[3 - n] for n, own in zip(high, features, strict=True)]


def shop_of(customers: list[tuple[int, int, int | None]]) -> pa.Table:
    """The first order brings everything, the others nothing."""
    bought, discounts = [], []
    for i, (spend, orders, discount) in enumerate(customers):
        bought += [(f"c{i}", f"2024-01-{day + 1:02}", float(spend) if day == 0 else 0.0) for day in range(orders)]
        discounts += [discount if day == 0 else None for day in range(orders)]
    return purchases(*bought, discount=pa.array(discounts, pa.float64()))


# Spend and discount make 64 or 128 of all, so that willingness has no rounding.
CUSTOMER = st.one_of(
    st.tuples(st.sampled_from([0, 16, 32, 48, 64]), st.integers(1, 4)).map(lambda own: (64 - own[0], own[1], own[0])),
    st.tuples(st.sampled_from([0, 32, 128]), st.integers(1, 4), st.sampled_from([None, 0])),
)


@settings(max_examples=40)
@given(st.lists(CUSTOMER, min_size=1, max_size=11))
def test_classes_are_those_of_the_naive_twin(customers: list[tuple[int, int, int | None]]) -> None:
    found = told(request(shop_of(customers), "three_high"), "three_high")
    assert [row["class"] for row in found.values()] == naive(customers)


def test_worked_by_hand() -> None:
    """Six customers, so that the 80th percentile is the fifth value: 50, 5 orders, 0.9."""
    customers: list[tuple[int, int, int | None]] = [
        *((60, 6, 0), (50, 5, 50), (10, 1, 10), (20, 1, 20), (9, 1, 1), (30, 2, 10)),
        (99, 9, None),
    ]
    outcome = request(shop_of(customers), "three_high")
    found = list(told(outcome, "three_high").values())
    assert [row["class"] for row in found] == [
        *("three_high", "two_high", "none_high", "none_high", "one_high", "none_high", "unknown")
    ]
    assert found[4] == {
        "class": "one_high",
        "high_spend": False,
        "high_activity": False,
        "high_willingness": True,
        "willingness": 0.9,
    }
    assert found[6]["willingness"] is None
    assert outcome.model.schemes is not None
    assert outcome.model.schemes["three_high"].frozen == {"spend": 50.0, "activity": 5.0, "willingness": 0.9}
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["three_high"].figures == {
        "customers_high_spend": 2,
        "customers_high_activity": 2,
        "customers_high_willingness": 2,
        "revenue_share_of_three_high": 60 / 278,
    }
    assert not [one for one in outcome.summary.warnings if one.code == "scheme"]


def test_a_cut_at_the_least_value_sets_no_flag_and_warns() -> None:
    """Nobody had a discount, so everybody's willingness is 1: that is no reason to call all of them high."""
    table = shop_of([(10 * i, i, 0) for i in range(1, 7)])
    outcome = request(table, "three_high")
    rows = list(told(outcome, "three_high").values())
    assert [row["class"] for row in rows] == ["none_high"] * 4 + ["two_high"] * 2
    (warning,) = [one for one in outcome.summary.warnings if one.code == "scheme"]
    assert warning.facts == {"scheme": "three_high", "features": ["willingness"]}
    assert warning in request(table, "three_high", outcome.model).summary.warnings


def test_a_single_customer_and_equal_ones() -> None:
    for n in (1, 3):
        found = told(request(shop_of([(10, 2, 1)] * n), "three_high"), "three_high")
        assert [row["class"] for row in found.values()] == ["none_high"] * n
    free = told(request(shop_of([(0, 1, 0)]), "three_high"), "three_high")
    assert free["c0"]["class"] == "unknown"
