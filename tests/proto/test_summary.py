"""The summary: what it looks like as JSON, and that it takes nothing it does not know."""

import orjson
import pytest
from pydantic import ValidationError

from proto.model import Notice
from proto.summary import Counts, Drift, SegmentSummary, Summary


def _summary(**changes: object) -> Summary:
    values: dict[str, object] = {
        "model_id": "0" * 64,
        "as_of": "2026-01-31T12:00:00Z",
        "history_days": 365.0,
        "counts": Counts(rows_in=10, rows_used=9, rows_with_nulls={"amount": 1}, customers_out=3),
        "segments": [
            SegmentSummary(
                id=0,
                code="important_value",
                en="Core high-value",
                zh="重要价值客户",
                size=0,
                share=0.0,
                means={"monetary": None},
                revenue_share=None,
                value_score=None,
            )
        ],
        "drift": Drift(features={"monetary": 0.3}, segments=0.1, threshold=0.25, drifted=["monetary"]),
        "crosstab": [[1, 2], [0, 0]],
        "warnings": [Notice(code="drift", message="Fit again.", facts={"drifted": ["monetary"]})],
    }
    return Summary.model_validate({**values, **changes})


def test_it_survives_json() -> None:
    summary = _summary()
    assert Summary.model_validate(orjson.loads(orjson.dumps(summary.model_dump(mode="json")))) == summary


def test_counts_that_are_not_given_are_zero() -> None:
    counts = Counts(rows_in=1, rows_used=1, customers_out=1).model_dump()
    assert {name for name, value in counts.items() if value} == {"rows_in", "rows_used", "customers_out"}


@pytest.mark.parametrize("changes", [{"colour": "red"}, {"counts": {"rows_in": 1}}, {"segments": None}])
def test_it_takes_nothing_else(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _summary(**changes)


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        _summary().as_of = None  # type: ignore[misc]
