"""wallet against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import RequestError
from tests.service.schemes.shop import purchases, request, told


def naive(spend: float, total: float | None) -> tuple[str, float | None]:
    if total is None or total <= 0:
        return "unknown", None
    share = min(1.0, max(0.0, spend) / total)
    return "strategic" if share >= 0.5 else "ordinary" if share >= 0.2 else "occasional", share


CUSTOMERS = st.lists(
    st.tuples(st.integers(-20, 200).map(float), st.none() | st.integers(-1, 300).map(float)), min_size=1, max_size=8
)


@given(CUSTOMERS)
def test_classes_are_those_of_the_naive_twin(customers: list[tuple[float, float | None]]) -> None:
    table = pa.table(
        {
            "customer_id": range(len(customers)),
            "monetary": [spend for spend, _ in customers],
            "category_spend": pa.array([total for _, total in customers], pa.float64()),
            "visits": range(len(customers)),
        }
    )
    found = told(request(table, "wallet", features="visits"), "wallet")
    for row, (spend, total) in zip(found.values(), customers, strict=True):
        assert (row["class"], row["share"]) == naive(spend, total)


def test_worked_by_hand() -> None:
    """a: 50 of 100, its last figure; b: 30 of 100; c: more than it says it spends; d: nothing told. 180 of 250."""
    table = purchases(
        *(("a", "2024-01-01", 20), ("a", "2024-01-03", 40), ("a", "2024-01-02", -10)),
        *(("b", "2024-01-01", 30), ("c", "2024-01-01", 90), ("d", "2024-01-01", 5)),
        category_spend=[500.0, 100.0, 300.0, 100.0, 50.0, None],
    )
    outcome = request(table, "wallet")
    assert told(outcome, "wallet") == {
        "a": {"class": "strategic", "share": 0.5},
        "b": {"class": "ordinary", "share": 0.3},
        "c": {"class": "strategic", "share": 1.0},
        "d": {"class": "unknown", "share": None},
    }
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["wallet"].figures == {
        "share": pytest.approx(130 / 250),
        "spent_elsewhere": pytest.approx(120),
    }
    assert outcome.summary.schemes["wallet"].unknown == 1


def test_cuts_that_cross_are_refused() -> None:
    table = purchases(("a", "2024-01-01", 20), category_spend=[1.0])
    with pytest.raises(RequestError, match=r"wallet\.strategic is below"):
        request(table, {"schemes": "wallet", "wallet.strategic": "0.1"})
