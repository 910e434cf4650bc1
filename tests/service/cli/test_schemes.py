"""Value schemes on the command line: the catalogue, all that a file allows, parameters, and the report."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from service.cli.app import app
from service.cli.schemes import only_columns, possible, without_schemes
from service.schemes.catalogue import catalogue

pytestmark = pytest.mark.timeout(360)


@pytest.fixture
def sales(tmp_path):
    day = 86_400
    rows = [(f"c{i}", 1_700_000_000 + day * (7 * i + 40 * j), 5.0 + i) for i in range(12) for j in range(1 + i % 5)]
    ids, times, amounts = zip(*rows, strict=True)
    table = {"who": ids, "timestamp": pa.array(times, pa.timestamp("s", "UTC")), "amount": amounts}
    path = tmp_path / "sales.parquet"
    pq.write_table(pa.table(table | {"unit": [2.0] * len(rows)}), path)
    return path


def invoke(*words):
    return CliRunner(env={"COLUMNS": "140"}).invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_catalogue_is_listed_in_both_languages(lang):
    result = invoke("schemes", "--lang", lang)
    assert result.exit_code == 0
    for name, scheme in catalogue().items():
        assert name in result.output
        assert (scheme.title.zh if lang == "zh" else scheme.title.en)[:20] in result.output


def test_all_that_the_file_allows_with_a_parameter(sales, tmp_path):
    out = tmp_path / "rows.parquet"
    columns = "customer_id:who,cost:unit"
    result = invoke("segment", sales, "--schemes", "all", "--columns", columns, "--set", "growth.window=30d", "-o", out)
    assert result.exit_code == 0, result.output
    assert {"pareto", "pareto_profit", "growth", "loyalty", "retention"} <= set(pq.read_schema(out).names)
    assert "A: brings most of the revenue" in result.output
    assert "gini" in result.output
    table = result.output.partition("buyers_before  retained")[2].splitlines()[1:]
    assert table[0].split()[-1] in {"–", "0.000", "1.000"} or "0." in table[0]
    assert any(word in table[0] for word in ("Core", "General", "Important"))  # a rate says whose it is


def test_a_parameter_that_is_none(sales):
    result = invoke("segment", sales, "--columns", "customer_id:who", "--schemes", "growth", "--set", "window")
    assert result.exit_code != 0
    assert "--set growth.window=60d" in result.output


def test_a_customers_table_allows_some_and_says_what_others_miss():
    names = ["customer_id", "recency_days", "frequency", "monetary"]
    allowed, missing = possible(names, {"schemes": "all"})
    assert {"pareto", "lifecycle"} <= set(allowed)
    assert "Send transactions" in missing["growth"]
    assert not set(allowed) & set(missing)


def test_columns_that_only_schemes_read_are_left_to_them():
    query = {"schemes": "all", "growth.window": "9d", "columns": "customer_id:who,cost:unit", "k": "3"}
    assert without_schemes(query) == {"k": "3", "columns": "customer_id:who"}
    assert only_columns({"k": "3"}, ["pareto"], query["columns"]) == {"k": "3", "columns": "customer_id:who,cost:unit"}


def test_lists_and_further_classes_are_shown(tmp_path):
    path = tmp_path / "people.parquet"
    table = {"customer_id": range(6), "visits": range(6), "stage": ["trial", "paid"] * 3, "region": ["n", "s", "s"] * 2}
    pq.write_table(pa.table(table | {"risk": [0.1, 0.5, None] * 2}), path)
    flags = ["--features", "visits", "--schemes", "funnel,profile,acquisition", "--set", "funnel.stages=trial;paid"]
    result = invoke("segment", path, "--k", "2", *flags, "--lang", "en")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[lines.index(["stage", "reach", "conversion"]) + 1] == ["trial", "6", "0.500"]
    assert lines[lines.index(["label", "customers", "by_segment", "lift"]) + 1][:2] == ["n", "2"]
    assert "unknown: 6 customers" not in result.output
