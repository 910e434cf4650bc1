"""funnel against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ErrorCode, RequestError
from tests.service.schemes.shop import purchases, request, told

STAGES = ["new_toy", "learning", "effective"]
ASKED = {"schemes": "funnel", "funnel.preset": "adoption3"}


def naive(customers: dict[str, list[str | None]]) -> list[dict[str, object]]:
    furthest = [max((STAGES.index(s) for s in stages if s is not None), default=-1) for stages in customers.values()]
    reach = [sum(stage >= i for stage in furthest) for i in range(3)]
    found: list[dict[str, object]] = []
    for i, stage in enumerate(STAGES):
        conversion = reach[i + 1] / reach[i] if i < 2 and reach[i] else None
        found.append({"stage": stage, "reach": reach[i], "conversion": conversion})
    return found


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([*STAGES, None])), min_size=1, max_size=12)


@given(ROWS, st.booleans())
def test_reach_and_conversion_are_those_of_the_naive_twin(rows: list[tuple[str, str | None]], coded: bool) -> None:
    stages = pa.array([stage for _, stage in rows], pa.utf8())
    table = purchases(
        *((who, "2024-01-01", 1) for who, _ in rows), stage=stages.dictionary_encode() if coded else stages
    )
    outcome = request(table, ASKED)
    customers: dict[str, list[str | None]] = {}
    for who, stage in rows:
        customers.setdefault(who, []).append(stage)
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["funnel"].figures == {"stages": naive(customers)}


def test_worked_by_hand() -> None:
    """a fell back from buying, which it had reached; c has told no stage. Half of those who were aware bought."""
    table = purchases(
        *(("a", "2024-01-01", 1), ("a", "2024-01-02", -1), ("a", "2024-01-03", 1), ("b", "2024-01-01", 1)),
        *(("c", "2024-01-01", 1),),
        stage=["aware", "buying", "aware", "aware", None],
    )
    outcome = request(table, "funnel")
    assert {who: row["class"] for who, row in told(outcome, "funnel").items()} == {
        "a": "buying",
        "b": "aware",
        "c": "unknown",
    }
    assert outcome.summary.schemes is not None
    stages = {stage["stage"]: stage for stage in outcome.summary.schemes["funnel"].figures["stages"]}
    assert (stages["unaware"]["reach"], stages["aware"]["reach"], stages["buying"]["reach"]) == (2, 2, 1)
    assert (stages["aware"]["conversion"], stages["after_purchase"]["conversion"]) == (0.5, None)
    assert stages["buying"]["conversion"] == 0.0


def test_stages_of_ones_own() -> None:
    table = pa.table({"customer_id": [1, 2], "stage": ["trial", "paid"], "visits": [1, 2]})
    found = request(table, {"schemes": "funnel", "funnel.stages": "trial;paid"}, features="visits")
    assert [row["class"] for row in told(found, "funnel").values()] == ["trial", "paid"]
    with pytest.raises(RequestError, match="has 1 stage"):
        request(table, {"schemes": "funnel", "funnel.stages": "trial"}, features="visits")
    with pytest.raises(RequestError, match="called"):
        request(table, {"schemes": "funnel", "funnel.stages": "trial;unknown"}, features="visits")


def test_a_stage_that_is_not_listed_is_refused_with_its_row() -> None:
    table = purchases(("a", "2024-01-01", 1), ("b", "2024-01-01", 1), stage=["aware", "lost"])
    with pytest.raises(RequestError, match=r"Row 2 of 'stage' is 'lost'.*unaware, aware") as refused:
        request(table, "funnel")
    assert refused.value.code == ErrorCode.BAD_VALUE


def test_one_column_is_not_read_in_two_ways() -> None:
    table = purchases(("a", "2024-01-01", 1), stage=["aware"])
    with pytest.raises(RequestError, match="two requests"):
        request(table, {"schemes": "funnel,profile", "profile.columns": "stage"})
