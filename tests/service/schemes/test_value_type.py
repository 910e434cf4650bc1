"""value_type against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.schemes.shop import purchases, request, told

Customer = tuple[int, bool | None, int | None, int | None]


def naive(spend: int, partnership: bool | None, service: int | None, discount: int | None) -> str:
    if partnership:
        return "strategic"
    if service is not None and spend > 0 and service / spend >= 0.25:
        return "extrinsic"
    if discount is not None and spend + abs(discount) > 0 and abs(discount) / (spend + abs(discount)) >= 0.5:
        return "intrinsic"
    return "unknown"


def shop_of(customers: list[Customer]) -> pa.Table:
    _, partnership, service, discount = zip(*customers, strict=True)
    return purchases(
        *((f"c{i}", "2024-01-01", float(spend)) for i, (spend, *_) in enumerate(customers)),
        partnership=pa.array(partnership, pa.bool_()),
        service_amount=pa.array(service, pa.float64()),
        discount=pa.array(discount, pa.float64()),
    )


MONEY = st.sampled_from([None, 0, 8, 16, 64])
CUSTOMER = st.tuples(st.sampled_from([0, 16, 64]), st.sampled_from([None, False, True]), MONEY, MONEY)


@settings(max_examples=40)
@given(st.lists(CUSTOMER, min_size=1, max_size=8))
def test_classes_are_those_of_the_naive_twin(customers: list[Customer]) -> None:
    asked = {"schemes": "value_type", "value_type.service": "0.25", "value_type.discount": "0.5"}
    found = told(request(shop_of(customers), asked), "value_type")
    assert [row["class"] for row in found.values()] == [naive(*own) for own in customers]


def test_worked_by_hand() -> None:
    """Services 20 of 100 reach the fifth; a discount of 25 on 100 paid is a fifth of 125."""
    customers: list[Customer] = [
        (100, True, 90, 90),
        (100, False, 20, 90),
        (100, None, 19, 25),
        (100, None, None, -25),
        (100, False, 19, 24),
        (0, False, 5, 0),
    ]
    outcome = request(shop_of(customers), "value_type")
    found = list(told(outcome, "value_type").values())
    assert [row["class"] for row in found] == [
        *("strategic", "extrinsic", "intrinsic", "intrinsic", "unknown", "unknown")
    ]
    assert found[2] == {"class": "intrinsic", "service_share": 0.19, "discount_share": 0.2}
    assert found[5] == {"class": "unknown", "service_share": None, "discount_share": None}
    assert outcome.summary.schemes is not None
    summary = outcome.summary.schemes["value_type"]
    assert summary.unknown == 2
    assert summary.figures == {"is_proxy": True, "read_from": ["discount", "partnership", "service_amount"]}


def test_one_column_will_do() -> None:
    table = shop_of([(100, True, 20, 25)])
    for column, wanted in {"partnership": "strategic", "service_amount": "extrinsic", "discount": "intrinsic"}.items():
        alone = table.select(["customer_id", "timestamp", "amount", column])
        assert told(request(alone, "value_type"), "value_type")["c0"]["class"] == wanted
