"""The commands as a person types them: in this process, on files, with errors as panels."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from proto.model import dump_model, load_model, seal
from service.api_keys import ApiKeys
from service.cli import main
from service.cli.app import app
from tests.service.cli.samples import model

# The first command compiles the kernels where no cache has them.
pytestmark = pytest.mark.timeout(360)

N_CUSTOMERS = 60


@pytest.fixture(scope="module")
def sales(tmp_path_factory):
    """Receipts of 60 customers, some of whom come often and pay much."""
    rows = [
        (f"{customer:04d}", 1_767_225_600 + 86_400 * (visit * 3 + customer % 9), 5.0 + customer + visit)
        for customer in range(N_CUSTOMERS)
        for visit in range(1 + customer % 7)
    ]
    ids, times, amounts = zip(*rows, strict=True)
    table = pa.table({"who": ids, "timestamp": pa.array(times, pa.timestamp("s", "UTC")), "amount": amounts})
    path = tmp_path_factory.mktemp("sales") / "sales.parquet"
    pq.write_table(table, path)
    return path


@pytest.fixture
def run():
    runner = CliRunner(env={"COLUMNS": "120"})

    def run(*words):
        return runner.invoke(app, [str(word) for word in words])

    return run


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
@pytest.mark.parametrize("ids", [pa.string_view(), pa.dictionary(pa.int32(), pa.string_view())], ids=str)
def test_text_views_as_polars_writes_them(run, tmp_path, suffix, ids):
    who = pa.array(["an id longer than a view holds", "b", "an id longer than a view holds"])
    if pa.types.is_dictionary(ids):
        views = pa.DictionaryArray.from_arrays(who.dictionary_encode().indices, who.unique().cast(pa.string_view()))
    else:
        views = who.cast(ids)
    table = pa.table({"customer_id": views, "timestamp": pa.array([1, 2, 3], pa.timestamp("s")), "amount": [1, 2, 3]})
    path, out = tmp_path / f"sales.{suffix}", tmp_path / "out.parquet"
    if suffix == "parquet":
        if pa.types.is_dictionary(ids):
            pytest.skip("pyarrow writes no Parquet of these")
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    done = run("segment", path, "--k", 2, "-o", out)
    assert done.exit_code == 0, done.output
    assert pq.read_table(out)["customer_id"].to_pylist() == who.unique().to_pylist()


def test_segment_writes_rows_and_model_and_shows_the_table(run, sales, tmp_path):
    out, kept = tmp_path / "out.parquet", tmp_path / "model.json"
    done = run("segment", sales, "--columns", "customer_id:who", "--k", 3, "-o", out, "--model-out", kept)
    assert done.exit_code == 0, done.output
    assert "Customers" in done.stdout
    assert "60 customers" in done.stdout
    table = pq.read_table(out)
    assert table.num_rows == N_CUSTOMERS
    assert table.schema.field("customer_id").type == pa.string()
    assert table.schema.metadata[b"segserve.model"] == kept.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == sorted(["model.json", "out.parquet"], reverse=False)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".arrow", ".json"])
def test_a_fit_then_a_score_reproduces_the_segments(run, sales, tmp_path, suffix):
    columns = ("--columns", "customer_id:who")
    assert run("segment", sales, *columns, "--k", 3, "-o", tmp_path / f"a{suffix}").exit_code == 0
    assert run("fit", sales, *columns, "--k", 3, "-o", tmp_path / "m.json").exit_code == 0
    as_of = load_model((tmp_path / "m.json").read_bytes()).fitted_on.as_of
    flags = ("--model", tmp_path / "m.json", "--as-of", as_of, "-o", tmp_path / f"b{suffix}")
    done = run("score", sales, *columns, *flags)
    assert done.exit_code == 0, done.output
    if suffix == ".csv":
        assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
        assert '"0059",' in (tmp_path / "a.csv").read_text().splitlines()[-1]
    if suffix == ".parquet":
        assert pq.read_table(tmp_path / "a.parquet").equals(pq.read_table(tmp_path / "b.parquet"))


def test_a_window_of_the_latest_rows_looks_as_of_up(run, sales, tmp_path):
    done = run("fit", sales, "--columns", "customer_id:who", "--k", 2, "--window", "10d", "-o", tmp_path / "m.json")
    assert done.exit_code == 0, done.output
    fitted = load_model((tmp_path / "m.json").read_bytes())
    assert fitted.fitted_on.as_of == "2026-01-26T00:00:00Z"
    assert fitted.aggregation.window_days == 10


def test_init_keeps_the_segment_ids(run, sales, tmp_path):
    columns = ("--columns", "customer_id:who")
    run("fit", sales, *columns, "--k", 3, "-o", tmp_path / "m.json")
    done = run("segment", sales, *columns, "--k", 3, "--init", tmp_path / "m.json")
    assert done.exit_code == 0, done.output
    assert "kept their segment" in done.stdout


def test_model_show_says_what_a_model_knows(run, tmp_path):
    (tmp_path / "m.json").write_bytes(dump_model(model()))
    done = run("model", "show", tmp_path / "m.json")
    assert done.exit_code == 0
    for words in ("recency_days", "smaller", "Core high-value", model().id, "the last 365 days", "of x/31.5"):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["segment", "absent.parquet"], "no file or folder absent.parquet"),
        (["segment", "{sales}"], "customer_id"),
        (["segment", "{sales}", "--columns", "customer_id:whom"], "perhaps 'who' is meant"),
        (["segment", "{sales}", "--columns", "customer_id:who", "--weights", "frequency:-1"], "weights=frequency:-1"),
        (["segment", "{sales}", "--columns", "customer_id:who", "--tz", "Mars/Olympus"], "time zone"),
        (["segment", "{sales}", "--columns", "customer_id:who", "-o", "out.xlsx"], "suffix"),
        (["segment", "{sales}", "--columns", "customer_id:who", "-o", "no/such/out.csv"], "no folder"),
        (["segment", "{sales}", "--columns", "customer_id:who", "--url", "127.0.0.1:9"], "127.0.0.1:9"),
        (["score", "{sales}", "--columns", "customer_id:who", "--model", "absent.json"], "absent.json"),
        (["score", "{sales}", "--columns", "customer_id:who", "--model", "{sales}"], "not JSON"),
        (["score", "{sales}", "--columns", "customer_id:who", "--model", "{model}"], "as_of"),
        (["model", "show", "absent.json"], "absent.json"),
        (["serve", "--port", "99999"], "port"),
    ],
)
def test_what_the_caller_can_change_is_a_panel_and_exit_code_2(run, sales, tmp_path, words, said):
    made = model()
    aggregation = made.aggregation.model_copy(update={"occasion": "time"})
    (tmp_path / "m.json").write_bytes(dump_model(seal(made.model_copy(update={"aggregation": aggregation}))))
    done = run(*(word.format(sales=sales, model=tmp_path / "m.json") for word in words))
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_a_bad_variable_of_the_environment_is_named(run, monkeypatch):
    monkeypatch.setenv("SEGSERVE_THREADS", "many")
    done = run("serve")
    assert done.exit_code == 2
    assert "--threads or SEGSERVE_THREADS=many" in done.stderr


def test_a_misspelt_variable_is_named(run, monkeypatch):
    monkeypatch.setenv("SEGSERVE_PROT", "9000")
    done = run("serve")
    assert done.exit_code == 2
    assert "SEGSERVE_PORT" in done.stderr


def test_without_its_libraries_the_command_says_how_to_install_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "service.cli.app")
    with pytest.raises(SystemExit) as caught:
        main()
    assert "segserve[cli]" in str(caught.value)


def test_python_dash_m_is_the_command():
    done = subprocess.run([sys.executable, "-m", "service.cli", "--help"], capture_output=True, text=True, check=True)
    for command in ("serve", "segment", "fit", "score", "model"):
        assert command in done.stdout


def test_a_key_is_shown_once_with_the_line_that_lets_it_in(run):
    shown = run("key", "shop", "--rate", "2.5").stdout.split()
    (secret,) = [word for word in shown if word.startswith("segserve_")]
    (line,) = [word for word in shown if word.startswith("shop:")]
    found = ApiKeys(line).find(secret.encode())
    assert (found.name, found.rate) == ("shop", 2.5)
    refused = run("key", "my shop")
    assert refused.exit_code == 2
    assert "letters" in refused.stderr
