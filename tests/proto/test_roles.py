from typing import Any

import pytest

from proto.errors import ErrorCode, RequestError
from proto.model import Model
from proto.options import ScoreOptions, SegmentOptions
from proto.roles import MAX_COLUMNS, assign
from proto.wishes import Wish, Wishes
from tests.proto.test_model import content_of_a_model

ROWS = ["customer_id", "timestamp", "amount"]


def refused(names: list[str], **options: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        assign(names, SegmentOptions.model_validate(options))
    return caught.value


def test_transactions_are_seen_by_timestamp_and_amount() -> None:
    roles = assign([*ROWS, "order_id", "shop"], SegmentOptions())
    assert roles.kind == "transactions"
    assert roles.sources == (*ROWS, "order_id")
    assert roles.feature_names == ("recency_days", "frequency", "monetary")
    assert roles.signs == (-1, 1, 1)
    assert roles.features == ()


def test_order_id_is_read_only_where_it_is_counted() -> None:
    assert assign([*ROWS, "order_id"], SegmentOptions(occasion="day")).order_id is None
    assert assign([*ROWS, "order_id"], SegmentOptions(occasion="order")).order_id == "order_id"
    error = refused([*ROWS, "basket"], occasion="order")
    assert error.code is ErrorCode.MISSING_COLUMN
    assert "columns=order_id:basket" in error.detail


def test_a_customers_table_has_the_three_or_names_its_features() -> None:
    roles = assign(["customer_id", "monetary", "recency_days", "frequency"], SegmentOptions())
    assert roles.kind == "customers"
    assert roles.features == ("recency_days", "frequency", "monetary")
    roles = assign(["customer_id", "visits", "age"], SegmentOptions.model_validate({"features": "visits,-age"}))
    assert (roles.kind, roles.features, roles.signs) == ("customers", ("visits", "age"), (1, -1))


def test_columns_maps_names() -> None:
    options = SegmentOptions.model_validate({"columns": "customer_id:who,amount:paid"})
    roles = assign(["who", "timestamp", "paid", "amount"], options)
    assert (roles.customer_id, roles.amount) == ("who", "paid")


@pytest.mark.parametrize(
    ("names", "options", "code", "says"),
    [
        (["who", "timestamp", "amount"], {}, ErrorCode.MISSING_COLUMN, "'customer_id'"),
        (["household_id", "InvoiceDate", "sales"], {}, ErrorCode.MISSING_COLUMN, "timestamp:InvoiceDate,amount:sales"),
        (ROWS, {"columns": "amount:total"}, ErrorCode.MISSING_COLUMN, "'total'|columns=amount:total"),
        (ROWS, {"columns": "price:amount"}, ErrorCode.BAD_OPTION, "no name of this service"),
        (ROWS, {"columns": "customer_id:amount"}, ErrorCode.CONFLICTING_OPTIONS, "both customer_id and amount"),
        ([*ROWS, "amount"], {}, ErrorCode.MALFORMED_BODY, "2 times"),
        (ROWS, {"features": "age"}, ErrorCode.BAD_OPTION, "input=customers"),
        (["customer_id"], {"input": "customers"}, ErrorCode.MISSING_COLUMN, "features="),
        (["customer_id"], {"input": "transactions"}, ErrorCode.MISSING_COLUMN, "'timestamp'"),
        ([], {}, ErrorCode.MISSING_COLUMN, "no columns"),
        ([str(i) for i in range(MAX_COLUMNS + 1)], {}, ErrorCode.LIMIT_EXCEEDED, "number of columns"),
    ],
)
def test_refusals(names: list[str], options: dict[str, str], code: ErrorCode, says: str) -> None:
    error = refused(names, **options)
    assert error.code is code
    assert any(part in error.detail for part in says.split("|")), error.detail


@pytest.mark.parametrize(
    ("fitted_on", "says"),
    [
        ({"input": "customers", "aggregation": None}, "columns=recency_days:recent_days"),
        ({}, "columns=recency_days:recent_days,monetary:<your column>"),
    ],
)
def test_scoring_advises_nothing_that_the_model_fixes(fitted_on: dict[str, Any], says: str) -> None:
    model = Model.model_validate(content_of_a_model(**fitted_on))
    with pytest.raises(RequestError) as caught:
        assign(["customer_id", "recent_days"], ScoreOptions(as_of="now"), model)
    assert caught.value.code is ErrorCode.MISSING_COLUMN
    assert caught.value.facts["option"] == "columns"
    assert "features=" not in caught.value.detail
    assert says in caught.value.detail


def test_scoring_without_a_model_looks_for_the_three() -> None:
    assert assign(ROWS, ScoreOptions(as_of="now")).kind == "transactions"


def test_all_that_schemes_miss_is_told_at_once() -> None:
    wanted = Wishes((Wish("margin", "number", True, "schemes=clv"), Wish("years", "number", True, "schemes=clv")))
    with pytest.raises(RequestError) as caught:
        assign(ROWS, SegmentOptions(), None, wanted)
    assert caught.value.code is ErrorCode.MISSING_COLUMN
    assert "'margin' (schemes=clv needs it; 'years' missing as well)" in caught.value.detail
    assert "columns=margin:<your column>,years:<your column>" in caught.value.detail
