"""size_match against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import RequestError
from tests.service.schemes.shop import purchases, request, told


def naive(size: float | None, own: float) -> str:
    if size is None or size <= 0:
        return "unknown"
    return "equal" if 1 / 3 <= size / own <= 3 else "mismatched"


@given(st.lists(st.none() | st.integers(-1, 400).map(float), min_size=1, max_size=9), st.integers(1, 200))
def test_classes_are_those_of_the_naive_twin(sizes: list[float | None], own: int) -> None:
    table = pa.table(
        {"customer_id": range(len(sizes)), "size": pa.array(sizes, pa.float64()), "visits": range(len(sizes))}
    )
    asked = {"schemes": "size_match", "size_match.own_size": str(own)}
    found = told(request(table, asked, features="visits"), "size_match")
    assert [row["class"] for row in found.values()] == [naive(size, own) for size in sizes]


def test_worked_by_hand() -> None:
    """Against 30: 10 and 90 are the last equal ones; the size told last counts."""
    table = purchases(
        *(("a", "2024-01-02", 1), ("a", "2024-01-01", 1), ("b", "2024-01-01", 1), ("c", "2024-01-01", 1)),
        *(("d", "2024-01-01", 1),),
        size=[10, 500, 90, 91, None],
    )
    found = told(request(table, {"schemes": "size_match", "size_match.own_size": "30"}), "size_match")
    assert [row["class"] for row in found.values()] == ["equal", "equal", "mismatched", "unknown"]
    assert found["b"]["ratio"] == 3.0


def test_our_own_size_is_asked_for() -> None:
    with pytest.raises(RequestError, match=r"size_match\.own_size="):
        request(purchases(("a", "2024-01-01", 1), size=[3]), "size_match")
