"""tiers against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import RequestError
from tests.data.jobs import rows
from tests.service.schemes.shop import purchases, request, told


def naive(percentile: float | None, risks: list[bool | None]) -> str:
    if any(risks):
        return "avoid"
    if percentile is None:
        return "unknown"
    for least, name in ((80, "ideal"), (50, "good"), (20, "regular")):
        if percentile >= least:
            return name
    return "marginal"


def shop_of(spend: list[int], **risks: list[bool | None]) -> pa.Table:
    bought = [(f"c{i}", "2024-01-01", float(x)) for i, x in enumerate(spend)]
    return purchases(*bought, **{name: pa.array(values, pa.bool_()) for name, values in risks.items()})


RISK = st.sampled_from([None, False, False, False, True])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(-1, 9), RISK, RISK), min_size=1, max_size=12))
def test_classes_are_those_of_the_naive_twin(customers: list[tuple[int, bool | None, bool | None]]) -> None:
    customers = [*customers, (1, None, None)]  # somebody to fit
    spend, credit, own = zip(*customers, strict=True)
    outcome = request(shop_of(list(spend), risk_credit=list(credit), risk_of_ours=list(own)), "tiers")
    percentiles = rows(outcome)["value_percentile"].to_pylist()
    found = list(told(outcome, "tiers").values())
    for (_, *risks), percentile, row in zip(customers, percentiles, found, strict=True):
        assert row == {
            "class": naive(percentile, risks),
            "percentile": percentile,
            "risks": sum(risk is True for risk in risks),
        }


def test_worked_by_hand() -> None:
    """Ten customers, each spends more: the 0th to the 100th percentile in steps of 11.1; the best has bad credit."""
    risks = [None] * 8 + [False, True]
    outcome = request(shop_of(list(range(1, 11)), risk_credit=risks), "tiers")
    assert [row["class"] for row in told(outcome, "tiers").values()] == [
        *(["marginal"] * 2 + ["regular"] * 3 + ["good"] * 3 + ["ideal", "avoid"]),
    ]
    assert outcome.summary.schemes is not None
    summary = outcome.summary.schemes["tiers"]
    assert summary.figures == {"customers_by_risk": {"risk_credit": 1}}
    assert summary.missing_values == {"risk_credit": 8}


def test_the_last_known_risk_counts() -> None:
    table = purchases(
        *(("cleared", "2024-01-01", 5), ("cleared", "2024-02-01", 5), ("cleared", "2024-03-01", 5)),
        ("risky", "2024-01-01", -5),
        risk_political=[True, False, None, True],
    )
    found = told(request(table, "tiers"), "tiers")
    assert (found["cleared"]["class"], found["risky"]["class"]) == ("good", "avoid")
    assert found["risky"]["percentile"] is None  # returned everything, and a risk all the same


def test_a_single_customer_and_ties_are_in_the_middle() -> None:
    for spend in ([7], [7, 7, 7]):
        found = told(request(shop_of(spend), "tiers"), "tiers")
        assert list(found.values()) == [{"class": "good", "percentile": 50.0}] * len(spend)


def test_own_cuts() -> None:
    table = shop_of(list(range(1, 11)))
    found = told(request(table, {"schemes": "tiers", "tiers.ideal": "95", "tiers.good": "95"}), "tiers")
    assert [row["class"] for row in found.values()] == ["marginal"] * 2 + ["regular"] * 7 + ["ideal"]
    with pytest.raises(RequestError, match=r"tiers\.ideal must not be below tiers\.good"):
        request(table, {"schemes": "tiers", "tiers.ideal": "40"})
