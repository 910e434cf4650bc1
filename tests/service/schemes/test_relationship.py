"""relationship against a naive twin, and worked by hand."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tests.service.schemes.shop import purchases, request, told


def naive(people: list[tuple[str | None, str | None]]) -> str:
    contacts = {contact for contact, _ in people} - {None}
    departments = {department for _, department in people} - {None}
    if len(departments) >= 2:
        return "company"
    if len(contacts) >= 2 and departments:
        return "departmental"
    return "personal" if len(contacts) == 1 else "unknown"


ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from(["ann", "bob", "cem", None]), st.sampled_from(["it", "law", None])
    ),
    min_size=1,
    max_size=8,
)


@given(ROWS)
def test_classes_are_those_of_the_naive_twin(rows: list[tuple[str, str | None, str | None]]) -> None:
    table = purchases(
        *((who, "2024-01-01", 1) for who, *_ in rows),
        contact_id=pa.array([contact for _, contact, _ in rows], pa.utf8()),
        department=pa.array([department for *_, department in rows], pa.utf8()),
    )
    for who, row in told(request(table, "relationship"), "relationship").items():
        assert row["class"] == naive([people for other, *people in rows if other == who])  # type: ignore[misc]


def test_worked_by_hand() -> None:
    table = purchases(
        *(("a", "2024-01-01", 1), ("b", "2024-01-01", 1), ("b", "2024-01-02", 1), ("c", "2024-01-01", 1)),
        *(("c", "2024-01-02", 1), ("d", "2024-01-01", -1)),
        contact_id=[1, 1, 2, 1, 2, 1],
        department=["it", "it", "it", "it", "law", "it"],
    )
    outcome = request(table, "relationship")
    assert told(outcome, "relationship") == {
        "a": {"class": "personal", "contacts": 1, "departments": 1},
        "b": {"class": "departmental", "contacts": 2, "departments": 1},
        "c": {"class": "company", "contacts": 2, "departments": 2},
        "d": {"class": "unknown", "contacts": None, "departments": None},
    }
    assert outcome.summary.schemes is not None
    assert outcome.summary.schemes["relationship"].figures == {"mean_contacts": 5 / 3}
