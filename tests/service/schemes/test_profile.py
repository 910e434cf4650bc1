"""profile against a naive twin, and worked by hand."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import RequestError
from service.outcome import Outcome
from tests.data.jobs import rows
from tests.service.schemes.shop import purchases, request, told


def naive(labels: list[str | None], segments: list[int]) -> list[dict[str, Any]]:
    pairs = [(label, segment) for label, segment in zip(labels, segments, strict=True) if label is not None]
    n_segments = max(segments) + 1
    told = []
    for label in sorted({label for label, _ in pairs}):
        counts = [pairs.count((label, segment)) for segment in range(n_segments)]
        lift = []
        for segment, count in enumerate(counts):
            expected = sum(counts) * sum(other == segment for _, other in pairs) / len(pairs)
            lift.append(count / expected if expected else None)
        told.append({"label": label, "customers": sum(counts), "by_segment": counts, "lift": lift})
    return told


def _figures(outcome: Outcome) -> dict[str, Any]:
    assert outcome.summary.schemes is not None
    return outcome.summary.schemes["profile"].figures


@given(st.lists(st.tuples(st.sampled_from(["n", "s", None]), st.integers(0, 9)), min_size=1, max_size=12))
def test_the_table_is_that_of_the_naive_twin(customers: list[tuple[str | None, int]]) -> None:
    table = pa.table(
        {
            "customer_id": range(len(customers)),
            "visits": [visits for _, visits in customers],
            "region": pa.array([region for region, _ in customers], pa.utf8()),
        }
    )
    outcome = request(table, "profile", features="visits")
    segments = rows(outcome)["segment_id"].to_pylist()
    assert _figures(outcome) == {"region": naive([region for region, _ in customers], segments)}


def test_worked_by_hand() -> None:
    """Two segments of two; the north is all in the better one, where it is more frequent than among all."""
    table = pa.table(
        {
            "customer_id": [1, 2, 3, 4],
            "visits": [90, 91, 1, 2],
            "region": ["north", "north", "south", None],
            "tier": ["a", "b", "a", "b"],
        }
    )
    outcome = request(table, "profile", features="visits")
    assert _figures(outcome) == {
        "region": [
            {"label": "north", "customers": 2, "by_segment": [2, 0], "lift": [1.5, 0.0]},
            {"label": "south", "customers": 1, "by_segment": [0, 1], "lift": [0.0, 3.0]},
        ]
    }
    assert [row["labels_known"] for row in told(outcome, "profile").values()] == [1, 1, 1, 0]
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["profile"].unknown == 1
    own = request(table, {"schemes": "profile", "profile.columns": "tier"}, features="visits")
    assert [cell["lift"] for cell in _figures(own)["tier"]] == [[1.0, 1.0], [1.0, 1.0]]
    with pytest.raises(RequestError, match="colour"):
        request(table, {"schemes": "profile", "profile.columns": "colour"}, features="visits")


def test_labels_that_become_many_keep_their_customers() -> None:
    """Codes outgrow a byte while rows pass."""
    n = 300
    regions, departments = [f"r{i:03}" for i in range(n)], ["a" if i % 3 else "b" for i in range(n)]
    table = purchases(*((f"c{i}", "2024-01-01", 1.0 + i) for i in range(n)), region=regions, department=departments)
    asked = {"schemes": "profile", "profile.columns": "department;region"}
    for encoded in (table, table.set_column(3, "region", table["region"].dictionary_encode())):
        figures = _figures(request(encoded, asked, threads=2, max_rows=90))
        assert [(cell["label"], cell["customers"]) for cell in figures["department"]] == [("a", 200), ("b", 100)]
        assert [(cell["label"], cell["customers"]) for cell in figures["region"]] == [(region, 1) for region in regions]
