"""The bench runs on next to nothing and writes what it found: it cannot rot unseen. Nothing here is about time."""

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pytest

from loadtests.bench.__main__ import bench
from loadtests.bench.checks import NotEqual, check_close
from loadtests.bench.load_generator import run_load
from loadtests.bench.part_schemes import columns_for, options_for
from loadtests.bench.report import SHORTFALLS, load_results, merge, shortfalls, to_markdown
from loadtests.bench.rows import Row
from loadtests.bench.sizes import TINY
from loadtests.server import running_server
from proto.schemas import resolve
from service.schemes.catalogue import catalogue
from service.schemes.request import asked_by, wishes
from tests.wire.server import running

AT = [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2)]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("part", "n_rows"), [("aggregate", 12), ("fit", 4), ("score", 3), ("job", 1), ("audience", 1)])
def test_a_part_runs_checks_its_peers_and_is_written_down(part: str, n_rows: int, tmp_path: Path) -> None:
    rows = bench([part], TINY, tmp_path)
    assert len(rows) == n_rows
    written = json.loads((tmp_path / "results.json").read_text())
    assert [row["key"] for row in written["rows"]] == [row.key for row in rows]
    assert all(row["values"]["segserve"] > 0 for row in written["rows"])
    assert (tmp_path / "RESULTS.md").read_text() == to_markdown(written, shortfalls(SHORTFALLS.read_text()))


@pytest.mark.parametrize("name", catalogue())
def test_the_columns_of_a_scheme_are_of_types_that_it_takes(name: str) -> None:
    scheme = catalogue()[name]
    columns = {"customer_id": [1, 2], "timestamp": AT, "amount": [1.0, 2.0], "order_id": [1, 2]}
    table = pa.table(columns | columns_for(scheme, 2))
    options = options_for(scheme)
    assert resolve(table.schema, options, None, wishes(asked_by(options, None))).kind == "transactions"


def test_the_load_generator_counts_answers_and_refuses_errors(tmp_path: Path) -> None:
    with running_server(tmp_path / "echo.log", "loadtests.bench.apps", "echo") as server:
        load = run_load(server.url, "/", "text/plain", b"x" * 100_000, 0.05)
        assert load.requests_per_second > 0
        assert 0 < load.p50_seconds <= load.p99_seconds
    with running(threads=1) as service, pytest.raises(RuntimeError, match="404"):
        run_load(service.url, "/nowhere", "text/plain", b"", 0.05)


def _row(key: str, ratio: float) -> Row:
    return Row(key, key, "data", "s", {"segserve": 0.5, "peer": 1.0}, ratio, "peer / segserve", 2.0, "≥", 5)


def _facts(date: str) -> dict[str, object]:
    facts: dict[str, object] = dict.fromkeys(
        ("commit", "cpu", "cores", "memory_gb", "system", "python", "load_before", "seed"), 1
    )
    return {**facts, "date": date, "sizes": "full", "versions": {}}


def test_a_partial_run_replaces_its_rows_and_leaves_the_others_with_their_date(tmp_path: Path) -> None:
    first = merge(load_results(tmp_path / "none.json"), [_row("fit/a", 1.0), _row("score/a", 3.0)], _facts("Monday"))
    second = merge(first, [_row("score/a", 1.5), _row("aggregate/a", 9.0)], _facts("Tuesday"))
    assert [(row["key"], row["run"], row["passed"]) for row in second["rows"]] == [
        ("aggregate/a", "Tuesday", True),
        ("fit/a", "Monday", False),
        ("score/a", "Tuesday", False),
    ]
    reasons = shortfalls("Why.\n\n## score/a\n\nThe wire\nis slow.\n\n## fit\n\nFew cores.\n")
    text = to_markdown(second, reasons)
    assert "- score/a: The wire\n  is slow." in text
    assert "- fit/a: Few cores." in text
    assert "- fit/a: not looked into" in to_markdown(second, {})
    assert "1 of 3 targets are met" in text
    assert "(a) Monday" in text
    assert "(b) Tuesday" in text
    third = merge(second, [_row("fit/a", 2.0)], _facts("Wednesday"))
    assert list(third["runs"]) == ["Tuesday", "Wednesday"]


def test_results_that_differ_are_not_timed() -> None:
    check_close("peer", "sums", [1e6], [1e6 * (1 + 1e-10)])
    with pytest.raises(NotEqual, match="peer: sums"):
        check_close("peer", "sums", [1e6], [1e6 * (1 + 1e-8)])
