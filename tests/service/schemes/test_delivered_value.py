"""delivered_value against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import RequestError
from tests.service.schemes.shop import purchases, request, told

NAMES = (
    *("perceived_value_product", "perceived_value_image", "perceived_cost_price", "perceived_cost_time"),
    *("rival_value_product", "rival_cost_price"),
)
SIGNS = (1, 1, -1, -1, 1, -1)


def naive(ratings: list[int | None]) -> tuple[int | None, int | None]:
    """(net, gap) of the ratings in the order of NAMES."""
    signed = [None if x is None else sign * x for x, sign in zip(ratings, SIGNS, strict=True)]
    own, rival = signed[:4], signed[4:]
    net = None if None in own else sum(x for x in own if x is not None)
    rivals = None if None in rival else sum(x for x in rival if x is not None)
    return net, None if net is None or rivals is None else net - rivals


def shop_of(customers: list[list[int | None]]) -> pa.Table:
    bought = [(f"c{i}", "2024-01-01", 1.0) for i in range(len(customers))]
    columns = zip(NAMES, zip(*customers, strict=True), strict=True)
    return purchases(*bought, **{name: pa.array(values, pa.float64()) for name, values in columns})


RATING = st.one_of(st.integers(0, 10), st.integers(0, 10), st.none())


@settings(max_examples=40)
@given(st.lists(st.lists(RATING, min_size=6, max_size=6), min_size=1, max_size=6))
def test_figures_are_those_of_the_naive_twin(customers: list[list[int | None]]) -> None:
    found = told(request(shop_of(customers), "delivered_value"), "delivered_value")
    assert [(row["net"], row["gap"]) for row in found.values()] == [naive(own) for own in customers]


def test_worked_by_hand() -> None:
    """a: 8 + 6 − 5 − 2 = 7, the rival 6 − 1 = 5. b: 9 − 9 = 0 against 5. c did not rate the price."""
    outcome = request(shop_of([[8, 6, 5, 2, 6, 1], [9, 0, 5, 4, 6, 1], [9, 9, None, 1, 1, 1]]), "delivered_value")
    assert told(outcome, "delivered_value") == {
        "c0": {"benefits": 14.0, "costs": 7.0, "net": 7.0, "gap": 2.0},
        "c1": {"benefits": 9.0, "costs": 9.0, "net": 0.0, "gap": -5.0},
        "c2": {"benefits": 18.0, "costs": None, "net": None, "gap": None},
    }
    assert outcome.summary.schemes is not None
    summary = outcome.summary.schemes["delivered_value"]
    assert summary.unknown == 1
    assert summary.missing_values == {"perceived_cost_price": 1}
    figures = summary.figures
    assert figures["mean_by_column"]["perceived_cost_price"] == 5.0
    assert (figures["mean_net"], figures["mean_gap"]) == (3.5, -1.5)
    assert (figures["customers_ahead"], figures["customers_behind"]) == (1, 1)
    assert figures["mean_net_by_segment"] == [3.5]  # all bought the same: one segment


def test_values_alone_and_a_rival_in_one_figure() -> None:
    table = purchases(("a", "2024-01-01", 1), perceived_value_all=[7.0])
    assert told(request(table, "delivered_value"), "delivered_value") == {
        "a": {"benefits": 7.0, "costs": 0.0, "net": 7.0}
    }
    table = table.append_column("rival_total", [[9]])
    assert told(request(table, "delivered_value"), "delivered_value")["a"]["gap"] == -2.0


def test_other_components_than_the_fit_had_are_refused() -> None:
    table = shop_of([[8, 6, 5, 2, 6, 1]])
    model = request(table, "delivered_value").model
    with pytest.raises(RequestError, match="with perceived_cost_time, which the data lack"):
        request(table.drop_columns("perceived_cost_time"), "delivered_value", model)
