"""Groups on the command line: a line for each, from files, from a model, and through a server's flags."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow.csv
import pytest
from rich.console import Console
from typer.testing import CliRunner

from proto.bundle import Bundle, seal_bundle
from proto.model import Model
from service.cli.app import app
from service.cli.table import print_report, summary_of
from tests.service.cli.samples import model as sample_model
from tests.service.shops import shop

MODEL: Model = sample_model()


def run(*words: object) -> str:
    done = CliRunner(env={"COLUMNS": "120"}).invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_from_files_to_a_bundle_and_back(tmp_path: Path) -> None:
    rows = [(i % 9, i % 7, i % 5, ("north", "south", "[b]", None)[i % 9 % 4]) for i in range(60)]
    pyarrow.csv.write_csv(shop(rows), tmp_path / "sales.csv")
    flags = ["--partition-by", "region", "--k", 2, "--as-of", "1970-02-01"]
    shown = run(
        "segment", tmp_path / "sales.csv", *flags, "-o", tmp_path / "rows.csv", "--model-out", tmp_path / "m.json"
    )
    assert "9 customers in 3 groups by region" in shown
    for words in ("north", "south", "[b]", "Best segment", "none"):
        assert words in shown
    assert (tmp_path / "rows.csv").read_text().startswith("customer_id,group,")
    scored = tmp_path / "scored.csv"
    run("score", tmp_path / "sales.csv", "--model", tmp_path / "m.json", "--as-of", "1970-02-01", "-o", scored)
    assert scored.read_text() == (tmp_path / "rows.csv").read_text()
    assert "in 3 groups by region" in run("model", "show", tmp_path / "m.json")


@pytest.mark.parametrize("n_groups", [1, 45])
def test_many_groups_are_cut_short(n_groups: int) -> None:
    bundle = seal_bundle(
        Bundle(
            partition_by="city",
            unit="customer",
            customers=10,
            rows=20,
            as_of=None,
            not_fitted={"closed": 2},
            warnings=[],
            models={f"city {i}": MODEL for i in range(n_groups)},
        )
    )
    console = Console(file=io.StringIO(), width=120)
    print_report(console, summary_of(bundle))
    shown = console.file.getvalue()
    assert f"{n_groups + 1} groups by city" in shown
    assert ("6 more" in shown) is (n_groups == 45)
    assert ("nobody has a purchase" in shown) is (n_groups == 1)
