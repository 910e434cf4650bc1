"""The command line against a running service gives what it gives in its own process."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from service.cli.app import app
from tests.wire.server import Server
from tests.wire.shop import SHOP


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sales") / "sales.parquet"
    pq.write_table(SHOP, path, row_group_size=1000)
    return path


def run(*words: object, exit_code: int = 0) -> str:
    done = CliRunner(env={"COLUMNS": "120"}).invoke(app, [str(word) for word in words])
    assert done.exit_code == exit_code, done.output
    return done.stdout if exit_code == 0 else " ".join(done.stderr.replace("│", " ").split())


def test_a_server_and_this_process_agree(server: Server, sales: Path, tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    shown = []
    for folder, url in ((there, ["--url", server.url]), (here, [])):
        folder.mkdir()
        flags = ["--k", 5, "--whole-days", "--window", "300d", "--where", "amount != 0 and order_id > 9", *url]
        shown.append(run("segment", sales, *flags, "-o", folder / "rows.parquet", "--model-out", folder / "m.json"))
    assert pq.read_table(there / "rows.parquet").equals(pq.read_table(here / "rows.parquet"))
    assert (there / "m.json").read_bytes() == (here / "m.json").read_bytes()
    assert "rows that --where leaves out" in shown[1]
    assert shown[0].replace("there", "here") == shown[1]


def test_fit_score_and_start_from_a_model_over_http(server: Server, sales: Path, tmp_path: Path) -> None:
    model, url = tmp_path / "m.json", ("--url", server.url)
    run("fit", sales, "--k", 4, "-o", model, *url)
    shown = run("score", sales, "--model", model, "--as-of", "2026-01-01", "-o", tmp_path / "s.csv", *url)
    assert "customers are too few to tell drift" in shown
    assert (tmp_path / "s.csv").read_text().startswith("customer_id,recency_days")
    flags = ["--top", "10%", "--budget", 12, "--cost-per-contact", 0.5, "--min-size", 5]
    for url_or_none in (url, ()):
        shown = run("audience", sales, "--model", model, "--as-of", "2026-01-01", *flags, *url_or_none)
        assert "Audience: 24 of 400 customers for 12.00 of 12.00." in shown
        assert "left out by budget" in shown
    assert "kept their segment" in run("segment", sales, "--k", 4, "--init", model, *url)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_households_come_from_a_file_of_their_own(
    server: Server, sales: Path, tmp_path: Path, suffix: Literal["csv", "parquet"]
) -> None:
    customers = SHOP.column("customer_id").unique()
    homes = pa.array([f"H{i // 3}" for i in range(len(customers))])
    path, model = tmp_path / f"homes.{suffix}", tmp_path / "m.json"
    table = pa.table({"household_id": homes, "since": pa.array(range(len(homes))), "customer_id": customers})
    pcsv.write_csv(table, path) if suffix == "csv" else pq.write_table(table, path)
    whole = tmp_path / "whole.parquet"
    pq.write_table(SHOP.join(table.drop(["since"]), "customer_id").sort_by("timestamp"), whole)
    asked = ["--rollup", "household_id", "--k", 4, "--as-of", "2026-01-01"]
    run("fit", whole, *asked, "-o", model)
    for url in ([], ["--url", server.url]):
        rows, again = tmp_path / "rows.parquet", tmp_path / "again.parquet"
        run("segment", sales, *asked, "--mapping", path, *url, "-o", rows)
        found = pq.read_table(rows)
        assert dict(zip(*(found[name].to_pylist() for name in ("customer_id", "household_id")), strict=True)) == dict(
            zip(customers.to_pylist(), homes.to_pylist(), strict=True)
        )
        run("score", sales, "--model", model, "--as-of", "2026-01-01", "--mapping", path, *url, "-o", again)
        assert pq.read_table(again).column("segment_id").equals(found.column("segment_id"))


def test_a_mapping_that_nothing_asks_for_or_that_has_no_households(sales: Path) -> None:
    assert "--rollup household_id" in run("segment", sales, "--mapping", sales, exit_code=2)
    said = run("segment", sales, "--rollup", "household_id", "--mapping", sales, exit_code=2)
    assert "needs the columns customer_id and household_id; it has customer_id, timestamp, amount" in said


def test_models_of_the_server_are_known_by_name(stocked: Server, sales: Path) -> None:
    assert "Customers" in run("score", sales, "--model", "shop", "--as-of", "2026-01-01", "--url", stocked.url)
    assert "monetary" in run("model", "show", "shop", "--url", stocked.url)
    assert "shop" in run("model", "show", "shopp", "--url", stocked.url, exit_code=2)


def test_the_servers_refusal_is_shown(server: Server, tmp_path: Path) -> None:
    broken = SHOP.set_column(2, "amount", SHOP.column("amount").cast("string"))
    pq.write_table(broken, tmp_path / "sales.parquet")
    said = run("segment", tmp_path / "sales.parquet", "--url", server.url, exit_code=2)
    assert "amount" in said
    assert "code: wrong_type" in said
    assert "request_id" in said
