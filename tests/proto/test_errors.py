"""Errors: every code has a title and a status, and the problem object is RFC 9457."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import MOST_DETAIL, MOST_ENTRIES, MOST_TEXT, STATUS, TITLES, ErrorCode, RequestError, problem


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_becomes_a_whole_problem(code: ErrorCode) -> None:
    body = problem(RequestError(code, "What was found. What to do.", column="amount", row=1), "r-1")
    assert body == {
        "type": f"urn:segserve:error:{code.value}",
        "title": TITLES[code],
        "status": STATUS.get(code, 422),
        "detail": "What was found. What to do.",
        "code": code.value,
        "column": "amount",
        "row": 1,
        "request_id": "r-1",
    }
    assert json.loads(json.dumps(body)) == body
    assert type(body["code"]) is str


def test_titles_and_statuses_are_about_codes_that_exist() -> None:
    assert set(TITLES) == set(ErrorCode)
    assert set(STATUS) <= set(ErrorCode)
    assert all(400 <= status < 600 for status in STATUS.values())
    assert len(set(TITLES.values())) == len(TITLES)


def test_a_code_without_an_entry_is_422() -> None:
    error = RequestError(ErrorCode.NULLS, "There are nulls.")
    assert error.status == 422
    assert str(error) == "There are nulls."


def test_a_fact_of_more_than_64_bits_is_told_as_text() -> None:
    facts = {"found": 2**64, "least": -(2**63), "most": 2**64 - 1}
    body = problem(RequestError(ErrorCode.LIMIT_EXCEEDED, "It is too large.", **facts))
    assert {name: body[name] for name in facts} == facts | {"found": str(2**64)}
    assert orjson.loads(orjson.dumps(body)) == body


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), st.integers(1, 3_000))
def test_what_was_sent_is_repeated_up_to_some_length(text: str, times: int) -> None:
    sent = text * times
    facts = {"found": [sent] * times, "column": sent, "wanted": {sent: sent}, "parts": (sent, 1)}
    error = RequestError(ErrorCode.BAD_OPTION, f"There is no {sent!r} here. Leave it out.", **facts)
    body = problem(error)
    assert len(error.detail) <= MOST_DETAIL
    assert error.detail.startswith("There is no ")
    assert error.detail.endswith("here. Leave it out.")
    assert str(error) == body["detail"] == error.detail
    assert len(body["column"]) <= MOST_TEXT
    assert len(body["found"]) == min(times, MOST_ENTRIES)
    assert len(orjson.dumps(body)) < 6 * (MOST_DETAIL + (MOST_ENTRIES + 4) * MOST_TEXT) + 1_000
    if len(repr(sent)) <= 100:
        assert repr(sent) in error.detail
    if len(sent) <= MOST_TEXT:
        assert (body["column"], body["wanted"]) == (sent, {sent: sent})


def test_no_request_id_where_there_is_no_request() -> None:
    assert "request_id" not in problem(RequestError(ErrorCode.BUSY, "Busy."))
