"""breadth against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.schemes.shop import purchases, request, told


def naive(orders: int, bought: list[str | None]) -> str:
    kinds = set(bought) - {None}
    if orders == 1:
        return "single_purchase"
    return "unknown" if not kinds else "product_loyal" if len(kinds) == 1 else "brand_loyal"


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.sampled_from(["x", "y", None])), min_size=1, max_size=14
)


@pytest.mark.parametrize("count", [False, True])
@given(rows=ROWS)
def test_classes_are_those_of_the_naive_twin(count: bool, rows: list[tuple[str, int, str | None]]) -> None:
    kinds = pa.array([kind for *_, kind in rows], pa.utf8())
    table = purchases(*((who, f"2024-03-0{day}", 1) for who, day, _ in rows), category=kinds)
    found = told(request(table, {"schemes": "breadth", "breadth.count": str(count).lower()}), "breadth")
    for who, row in found.items():
        own = [(day, kind) for other, day, kind in rows if other == who]
        assert row["class"] == naive(len({day for day, _ in own}), [kind for _, kind in own])
        assert row.get("distinct") == (len({kind for _, kind in own} - {None}) if count else None)


def test_worked_by_hand() -> None:
    """Categories come before products; what was given back was not bought; c gave back only."""
    table = purchases(
        *(("a", "2024-01-01", 1), ("a", "2024-01-02", 1), ("b", "2024-01-01", 1), ("b", "2024-01-02", 1)),
        *(("b", "2024-01-03", -1), ("c", "2024-01-01", -1), ("d", "2024-01-01", 1)),
        category=["tea", "tea", "tea", "jam", "oil", "tea", "tea"],
        product_id=[1, 2, 3, 4, 5, 6, 7],
    )
    outcome = request(table, "breadth")
    assert {who: row["class"] for who, row in told(outcome, "breadth").items()} == {
        "a": "product_loyal",
        "b": "brand_loyal",
        "c": "unknown",
        "d": "single_purchase",
    }
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["breadth"].figures == {"brand_loyal_share_of_repeated": 0.5}
    by_product = told(request(table.drop_columns("category"), "breadth"), "breadth")
    assert by_product["a"]["class"] == "brand_loyal"
