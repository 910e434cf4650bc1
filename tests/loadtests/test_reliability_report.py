"""RELIABILITY.md is written from what the measures found, with the reasons that are kept by hand."""

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
