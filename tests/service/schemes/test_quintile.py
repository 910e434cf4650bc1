"""quintile against a naive twin, and worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import RequestError
from proto.options import FitOptions, parse_options
from service.schemes.request import asked_by
from tests.service.schemes.shop import purchases, request, told


def naive_cuts(values: list[float], bins: int) -> list[float]:
    """Linear quantiles, position by position."""
    ordered, cuts = sorted(values), []
    for i in range(1, bins):
        place = i / bins * (len(ordered) - 1)
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        cuts.append(ordered[below] + (ordered[above] - ordered[below]) * (place - below))
    return cuts


def naive_name(r: int, f: int) -> str:
    table = {
        "champions": ([5], [4, 5]),
        "new_customers": ([5], [1]),
        "potential_loyalists": ([4, 5], [2, 3]),
        "loyal_customers": ([3, 4], [4, 5]),
        "promising": ([4], [1]),
        "need_attention": ([3], [3]),
        "about_to_sleep": ([3], [1, 2]),
        "cant_lose": ([1, 2], [5]),
        "at_risk": ([1, 2], [3, 4]),
        "hibernating": ([1, 2], [1, 2]),
    }
    (name,) = [name for name, (rs, fs) in table.items() if r in rs and f in fs]
    return name


def naive_rank(values: list[float]) -> list[float]:
    return [1.0 + sum(y < x for y in values) + values[:i].count(x) for i, x in enumerate(values)]


def naive(three: tuple[list[float], ...], bins: int = 5, *, by_rank: bool = False) -> list[list[int]]:
    """[R, F, M] of each customer."""
    scores = []
    for j, values in enumerate(three):
        values = naive_rank(values) if by_rank else values
        cuts = naive_cuts(values, bins)
        scores.append([1 + sum(cut > x if j == 0 else cut < x for cut in cuts) for x in values])
    return [list(own) for own in zip(*scores, strict=True)]


def table_of(three: tuple[list[float], ...]) -> pa.Table:
    names = ("recency_days", "frequency", "monetary")
    return pa.table({"customer_id": [f"c{i}" for i in range(len(three[0]))], **dict(zip(names, three, strict=True))})


def codes_of(found: dict[Any, dict[str, Any]]) -> list[int]:
    return [row["code"] for row in found.values()]


# Multiples of 64, so that cuts between them are the same to the last bit however they are interpolated.
VALUE = st.integers(0, 7).map(lambda x: 64.0 * x)
SHOP = st.lists(st.tuples(VALUE, VALUE, VALUE), min_size=1, max_size=12)


@settings(max_examples=40)
@given(SHOP, st.sampled_from([2, 4, 5, 8]), st.booleans())
def test_scores_are_those_of_the_naive_twin(shop: list[tuple[float, float, float]], bins: int, by_rank: bool) -> None:
    three = tuple(map(list, zip(*shop, strict=True)))
    asked = {"schemes": "quintile", "quintile.bins": str(bins), "quintile.ties": "rank" if by_rank else "value"}
    found = told(request(table_of(three), asked), "quintile")
    wanted = naive(three, bins, by_rank=by_rank)
    assert [[row["r"], row["f"], row["m"]] for row in found.values()] == wanted
    assert codes_of(found) == [100 * r + 10 * f + m for r, f, m in wanted]
    if bins == 5:
        assert [row["class"] for row in found.values()] == [naive_name(r, f) for r, f, _ in wanted]
    else:
        assert all("class" not in row for row in found.values())


def test_worked_by_hand() -> None:
    """Six customers: cuts at the 2nd, 3rd, 4th and 5th value, and a value on a cut takes the lower score."""
    three = ([5.0, 40.0, 10.0, 80.0, 20.0, 160.0], [6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [10.0, 60.0, 20.0, 50.0, 30.0, 40.0])
    outcome = request(table_of(three), "quintile")
    assert outcome.model.schemes is not None
    assert outcome.model.schemes["quintile"].frozen == {
        "recency": [10.0, 20.0, 40.0, 80.0],
        "frequency": [2.0, 3.0, 4.0, 5.0],
        "monetary": [20.0, 30.0, 40.0, 50.0],
    }
    found = told(outcome, "quintile")
    assert codes_of(found) == [551, 245, 431, 124, 312, 113]
    assert [row["class"] for row in found.values()] == [
        *("champions", "at_risk", "potential_loyalists", "hibernating", "about_to_sleep", "hibernating"),
    ]
    assert outcome.summary.schemes is not None
    figures = outcome.summary.schemes["quintile"].figures
    assert figures["customers_by_r"] == [2, 1, 1, 1, 1]
    assert figures["customers_by_code"] == dict.fromkeys(("113", "124", "245", "312", "431", "551"), 1)


def test_a_single_customer_and_one_without_a_purchase() -> None:
    table = purchases(("a", "2024-01-01", 5), ("b", "2024-01-01", -5))
    found = told(request(table, "quintile"), "quintile")
    assert found["a"] == {"class": "hibernating", "code": 111, "r": 1, "f": 1, "m": 1}
    assert found["b"] == {"class": "unknown", "code": None, "r": None, "f": None, "m": None}


def test_ties_share_a_score_and_are_warned_of() -> None:
    table = table_of(([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 1.0, 1.0, 9.0], [1.0] * 5))
    outcome = request(table, "quintile")
    assert codes_of(told(outcome, "quintile")) == [511, 411, 311, 211, 151]
    (warning,) = [one for one in outcome.summary.warnings if one.code == "scheme"]
    assert warning.facts == {"scheme": "quintile", "features": ["frequency", "monetary"]}
    again = request(table, "quintile", outcome.model)
    assert warning in again.summary.warnings


def test_ties_by_rank_are_for_one_request() -> None:
    """Equal values fill the fifths in the order of their first appearance."""
    asked = {"schemes": "quintile", "quintile.ties": "rank"}
    table = table_of(([7.0] * 6, [1.0] * 6, [2.0] * 6))
    outcome = request(table, asked)
    assert codes_of(told(outcome, "quintile")) == [511, 411, 322, 233, 144, 155]
    with pytest.raises(RequestError, match=r"leaves no cut .*Fit again"):
        request(table, "quintile", outcome.model)
    options = parse_options(FitOptions, list(asked.items()))
    with pytest.raises(RequestError, match=r"quintile\.ties=rank .*/v1/segment"):
        asked_by(options, None)


def test_own_cuts() -> None:
    asked = {"schemes": "quintile", "quintile.bins": "3", "quintile.monetary_cuts": "10;100"}
    outcome = request(table_of(([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [10.0, 100.0, 101.0])), asked)
    assert [row["m"] for row in told(outcome, "quintile").values()] == [1, 2, 3]
    assert outcome.model.schemes is not None
    assert outcome.model.schemes["quintile"].frozen["monetary"] == [10.0, 100.0]
    refused = {
        "quintile.monetary_cuts has 1 cuts": {"quintile.monetary_cuts": "5"},
        "must ascend": {"quintile.recency_cuts": "5;5;6;7"},
        "Leave one of them out": {"quintile.recency_cuts": "5;6;7;8", "quintile.ties": "rank"},
    }
    for said, parameters in refused.items():
        with pytest.raises(RequestError, match=said):
            request(table_of(([1.0], [1.0], [1.0])), {"schemes": "quintile", **parameters})


def test_monetary_is_the_feature_of_the_request() -> None:
    """Sums 30 and 20, per occasion 10 and 20."""
    table = purchases(*(("a", f"2024-01-0{day}", 10) for day in (1, 2, 3)), ("b", "2024-01-01", 20))
    for monetary, wanted in {"sum": [5, 1], "mean": [1, 5]}.items():
        found = told(request(table, "quintile", monetary=monetary), "quintile")
        assert [row["m"] for row in found.values()] == wanted


def test_a_customers_table_without_a_value_is_unknown() -> None:
    table = table_of(([1.0, 2.0, np.nan], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])).append_column("visits", [[1, 2, 3]])
    found = told(request(table, "quintile", features="visits"), "quintile")
    assert [row["class"] for row in found.values()] == ["new_customers", "cant_lose", "unknown"]
