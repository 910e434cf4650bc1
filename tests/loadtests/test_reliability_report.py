"""RELIABILITY.md is written from what the measures found, with the reasons that are kept by hand."""

from typing import Any

import pytest

from loadtests.fuzz.published import row_of
from loadtests.reliability.report import Row, shortfalls, to_markdown


def _found(measure: str, *rows: Row) -> dict[str, object]:
    facts = ("date", "commit", "cpu", "cores", "memory_gb", "system", "python", "load_before")
    run = {**dict.fromkeys(facts, 1), "quick": False, "versions": {"uvicorn": "0.54"}}
    return {"measure": measure, "run": run, "rows": [row._asdict() for row in rows], "figures": {}}


def test_rows_that_fall_short_stay_and_say_why() -> None:
    slow = Row("overload/rejects", "first byte of a reject, p99", "80 ms", "< 50 ms", False)
    fine = Row("overload/goodput", "goodput", "95 %", "≥ 90 %", True, note="with a tail wind.")
    seen = Row("soak/memory", "memory", "+1 MB/h", "", None)
    measures = [_found("overload", slow, fine), _found("soak", seen)]
    text = to_markdown(measures, shortfalls("Why.\n\n## overload/rejects\n\nThe door\nis narrow.\n"))
    assert "1 of 2 promises are kept" in text
    assert "| first byte of a reject, p99 | 80 ms | < 50 ms | **short** | a |" in text
    assert "| memory | +1 MB/h | – | – | b |" in text
    assert "- first byte of a reject, p99: The door\n  is narrow." in text
    assert "- goodput: with a tail wind." in text
    assert "- first byte of a reject, p99: not looked into." in to_markdown(measures, {})


REPORT: dict[str, Any] = {
    "schemathesis_version": "4",
    "running_time": 200.4,
    "complete": True,
    "exit_code": 0,
    "operations": {"total": 10, "selected": 10, "tested": 10, "errored": 0},
    "test_cases": {"generated": 6_501, "unique_failures": 0, "errored": 0},
}


def test_schemathesis_passes_only_where_it_got_to_its_end() -> None:
    row = row_of(REPORT)
    assert (row.found, row.passed) == ("0", True)
    assert "10 of 10 operations, 6,501 cases" in row.what
    assert row_of(None).passed is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"complete": False},
        {"exit_code": 1},
        {"operations": REPORT["operations"] | {"tested": 9}},
        {"operations": REPORT["operations"] | {"errored": 1}},
        {"test_cases": REPORT["test_cases"] | {"unique_failures": 1}},
    ],
)
def test_whatever_schemathesis_has_against_the_service_falls_short(wrong: dict[str, Any]) -> None:
    assert row_of(REPORT | wrong).passed is False
