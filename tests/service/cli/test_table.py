"""The segment table: complete, aligned, and no wider than the terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from service.cli.figures import bar, column, count, percent, size
from service.cli.table import headline, labels, print_report, segment_table, shorten, summary_of
from tests.service.cli.samples import LABELS, SIZES, model, segments, summary


def drawn(made=None, *, width=100, lang="en", color=False):
    console = Console(file=io.StringIO(), width=width, force_terminal=color, color_system="standard" if color else None)
    print_report(console, made or summary(), lang=lang)
    return console.file.getvalue()


def rows_of(text):
    """The lines between the two rules of the table."""
    lines = text.splitlines()
    rules = [i for i, line in enumerate(lines) if line.startswith("───")]
    return lines[rules[0] + 1 : rules[1]]


@pytest.mark.parametrize("width", [80, 100, 120, 140, 200])
@pytest.mark.parametrize("lang", ["code", "en", "zh"])
def test_table_fits_the_terminal_and_lines_up(width, lang):
    text = drawn(width=width, lang=lang)
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(cell_len, lines)) <= width
    rows = rows_of(text)
    ends = {cell_len(row.rstrip()) for row in rows if re.search(r"[+-]\d\.\d\d *$", row)}
    assert len(ends) == 1, "the value scores end in one column"
    starts = {cell_len(row[: row.index(" %")]) for row in rows if " %" in row}
    assert len(starts) == 1, "the shares end in one column"


def test_every_segment_and_figure_is_there():
    text = drawn(width=140)
    for label in LABELS["en"]:
        assert label in text
    for figure in ("198", "9.6 %", "1.2 d", "180.4", "10,431", "45.0 %", "+1.92", "2,067"):
        assert figure in text


def test_one_line_per_segment_at_100_columns():
    assert len(rows_of(drawn(width=100))) == len(SIZES)


def test_headline_says_where_the_money_is():
    assert headline(summary()) == "10 % of customers bring 45 % of revenue"


@pytest.mark.parametrize("share", [None, "equal"])
def test_headline_without_a_story_counts(share):
    flat = [{**s, "revenue_share": share and s["share"]} for s in segments()]
    assert headline(summary(segments=flat)) == "2,067 customers in 7 segments"


def test_without_revenue_there_is_no_bar():
    text = drawn(summary(segments=[{**s, "revenue_share": None} for s in segments()]))
    assert "Revenue" not in text
    assert "█" not in text


def test_missing_figures_are_dashes():
    empty = {**segments()[0], "size": 0, "share": 0.0, "value_score": None, "revenue_share": 0.0}
    empty["means"] = dict.fromkeys(empty["means"])
    rows = rows_of(drawn(summary(segments=[empty, *segments()[1:]])))
    assert rows[0].count("–") == 4


def test_no_segments_no_table():
    made = summary(segments=[], counts={"rows_in": 0, "rows_used": 0, "customers_out": 0})
    text = drawn(made)
    assert "0 customers" in text
    assert "───" not in text


def test_other_features_have_columns_of_their_own():
    table = segment_table(summary(segments=[{**s, "means": {"visits": 3.5}} for s in segments()]))
    assert "visits" in [column.header for column in table.columns]


def test_what_was_left_out_drifted_moved_and_warned_stands_below():
    counts = {
        "rows_in": 100,
        "rows_used": 80,
        "rows_with_nulls": {"amount": 12},
        "rows_after_as_of": 8,
        "customers_out": 40,
        "customers_without_purchase": 3,
        "customers_outside_window": 2,
    }
    drift = {"features": {"recency_days": 0.31}, "segments": 0.1, "threshold": 0.25, "drifted": ["recency_days"]}
    warnings = [{"code": "k_lowered", "message": "There are only 7 distinct customers."}]
    made = summary(counts=counts, drift=drift, crosstab=[[30, 2], [3, 5]], warnings=warnings)
    text = " ".join(drawn(made, width=140).split())
    assert "left out: 12 rows without amount" in text
    assert "left out: 8 rows later than as_of" in text
    assert "left out: 2 customers with no row inside the window" in text
    assert "3 customers have refunds only" in text
    assert "recency_days 0.31, segments 0.10; above 0.25: fit again" in text
    assert "35 of 40 customers (87.5 %) kept their segment" in text
    assert "! There are only 7 distinct customers." in text


def test_colour_only_on_a_terminal():
    assert "\x1b[" not in drawn()
    assert "\x1b[" in drawn(color=True)


def test_labels_are_unique_in_every_language():
    same = [{**s, "en": "Core", "zh": "重要"} for s in segments()]
    made = summary(segments=same).segments
    assert labels(made, "en")[:2] == ["Core 1", "Core 2"]
    assert labels(made, "code") == LABELS["code"]


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("General, to develop: new or occasional 2", "General, to develop 2"),
        ("General: active, low spend", "General: active"),
        ("High-value, to win back", "High-value, to win back"),
        ("一般挽留客户 (无价值) 1", "一般挽留客户 1"),
        ("general_value_1", "general_value_1"),
    ],
)
def test_shorten_drops_the_explanation(long, short):
    assert shorten(long) == short


def test_a_model_reads_like_a_summary():
    made = summary_of(model())
    assert made.counts.customers_out == sum(SIZES)
    assert [s.code for s in made.segments] == LABELS["code"]
    assert made.warnings[0].code == "k_lowered"


@pytest.mark.parametrize(
    ("values", "unit", "cells"),
    [
        ([10431.2, 461.0, None], "", ["10,431", "461", "–"]),
        ([180.4, 9.02], "", ["180.4", "9.0"]),
        ([3.14159, 0.5], "", ["3.14", "0.50"]),
        ([0.0421], "", ["0.04210"]),
        ([0.0, 0.0], "", ["0.00", "0.00"]),
        ([12.3456, 1.0], " d", ["12.3 d", "1.0 d"]),
        ([2.5e7, 1e6], "", ["25.0M", "1.0M"]),
        ([-4e13], "", ["-40.0T"]),
    ],
)
def test_column_has_the_same_decimals_throughout(values, unit, cells):
    assert column(values, unit) == cells


def test_bar_shows_share_and_mark():
    assert bar(0.5, 0.25, 1.0, 8).plain == "██│█    "
    assert bar(0.0, 0.5, 1.0, 8).plain == "    │   "
    assert bar(0.001, 1.0, 1.0, 8).plain == "▏      │"
    assert bar(-0.2, 0.1, 1.0, 4).plain == "│   "


def test_words_for_counts_and_sizes():
    assert (count(1, "row"), count(12_345, "row")) == ("1 row", "12,345 rows")
    assert (size(12), size(1_469_307), size(2.5e10)) == ("12 B", "1.5 MB", "25.0 GB")
    assert (percent(None), percent(0.123)) == ("–", "12.3 %")
