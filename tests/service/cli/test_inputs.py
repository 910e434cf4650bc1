"""Files and folders as one stream of batches."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from proto.errors import RequestError
from proto.options import ScoreOptions, SegmentOptions, parse_options
from service.cli.failures import UserError
from service.cli.inputs import BATCH_ROWS, find_files, latest, open_source
from tests.service.cli.samples import model

INT64 = pa.int64()
MOMENT = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def sales(n=10, ids=INT64):
    return pa.table(
        {
            "customer_id": pa.array([i % 4 for i in range(n)]).cast(ids),
            "timestamp": pa.array([MOMENT - dt.timedelta(hours=i) for i in range(n)], pa.timestamp("us", "UTC")),
            "amount": pa.array([float(i) for i in range(n)]),
            "basket": pa.array([{"items": i} for i in range(n)]),
        }
    )


def options(**query):
    return parse_options(SegmentOptions, query.items())


def write(table, path):
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    elif path.suffix == ".arrows":
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    else:
        pa.feather.write_feather(table, path)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows", ".feather"])
def test_only_the_columns_that_play_a_part_are_read(tmp_path, suffix):
    source = open_source([write(sales(), tmp_path / f"sales{suffix}")], options(), None)
    assert source.schema.names == ["customer_id", "timestamp", "amount"]
    read = pa.Table.from_batches(source.batches(), source.schema)
    assert read.equals(sales().select(source.schema.names))


def test_csv_ids_stay_text(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text(
        "customer_id,timestamp,amount,note\n00123,2026-01-31T12:00:00Z,4.5,hello\nA7,2026-01-30T12:00:00Z,2,\n"
    )
    source = open_source([path], options(), None)
    read = pa.Table.from_batches(source.batches(), source.schema)
    assert read.column("customer_id").to_pylist() == ["00123", "A7"]
    assert read.column("amount").to_pylist() == [4.5, 2.0]
    assert latest(source, "timestamp") == "2026-01-31T12:00:00Z"


def test_csv_errors_name_the_file(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text("customer_id,timestamp,amount\n1,2026-01-31T12:00:00Z,much\n")
    with pytest.raises((UserError, RequestError), match="much"):
        list(open_source([path], options(), None).batches())


def test_batches_have_at_most_65536_rows_and_tell_how_far_they_are(tmp_path):
    path = write(sales(2 * BATCH_ROWS + 1), tmp_path / "sales.arrow")
    source = open_source([path], options(), None)
    told = []
    assert [batch.num_rows for batch in source.batches(told.append)] == [BATCH_ROWS, BATCH_ROWS, 1]
    assert told[-1] == source.n_bytes


def test_a_folder_is_its_files_in_order(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "_temporary").mkdir()
    for name in ("b.parquet", "a.parquet", "part/c.parquet", "_temporary/d.parquet", ".hidden.parquet"):
        write(sales(), tmp_path / name)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "notes.txt").touch()
    assert [path.name for path in find_files([tmp_path])] == ["a.parquet", "b.parquet", "c.parquet"]


def test_files_with_narrower_types_are_widened(tmp_path):
    first = write(sales(), tmp_path / "a.parquet")
    second = write(sales(ids=pa.int16()), tmp_path / "b.parquet")
    source = open_source([second, first], options(), None)
    assert source.schema.field("customer_id").type == pa.int64()
    assert sum(batch.num_rows for batch in source.batches()) == 20


def test_a_file_without_a_column_is_named(tmp_path):
    first = write(sales(), tmp_path / "a.parquet")
    second = write(sales().drop_columns(["amount"]), tmp_path / "b.parquet")
    with pytest.raises(UserError, match=r"b\.parquet has no column amount"):
        open_source([first, second], options(), None)


def test_types_that_do_not_go_together_are_refused(tmp_path):
    first = write(sales(), tmp_path / "a.parquet")
    table = sales()
    second = write(table.set_column(0, "customer_id", table.column(0).cast(pa.string())), tmp_path / "b.parquet")
    with pytest.raises(UserError, match="customer_id"):
        open_source([first, second], options(), None)


def test_missing_columns_are_the_services_own_error(tmp_path):
    with pytest.raises(RequestError, match="customer_id"):
        open_source([write(sales().drop_columns(["customer_id"]), tmp_path / "a.parquet")], options(), None)


@pytest.mark.parametrize(("name", "content"), [("a.parquet", b"no"), ("a.arrow", b"no"), ("a.parquet", b"")])
def test_unreadable_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        open_source([tmp_path / name], options(), None)


def test_nothing_to_read_is_said(tmp_path):
    (tmp_path / "a.xlsx").touch()
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "absent.csv", tmp_path / "a.xlsx", tmp_path / "empty"):
        with pytest.raises(UserError) as caught:
            find_files([path])
        assert caught.value.title == "Nothing to read"


def test_scoring_reads_what_the_model_needs(tmp_path):
    table = sales().append_column("order_id", sales().column("customer_id"))
    path = write(table, tmp_path / "a.parquet")
    scoring = parse_options(ScoreOptions, {"as_of": "now"}.items())
    assert "order_id" in open_source([path], scoring, model()).schema.names
    with pytest.raises(RequestError, match="order_id"):
        open_source([write(sales(), tmp_path / "b.parquet")], scoring, model())


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        ([dt.datetime(2026, 1, 31, 12), None], pa.timestamp("s"), "2026-01-31T12:00:00Z"),
        ([dt.datetime(2026, 1, 31, 12, 0, 0, 5000)], pa.timestamp("ms"), "2026-01-31T12:00:00.005000Z"),
        ([1], pa.timestamp("ns"), "1970-01-01T00:00:00.000001Z"),
        ([-1], pa.timestamp("ns"), "1970-01-01T00:00:00Z"),
        ([MOMENT], pa.timestamp("us", "Asia/Tokyo"), "2026-01-31T12:00:00Z"),
        ([dt.date(2026, 1, 31), dt.date(2025, 1, 1)], pa.date32(), "2026-01-31"),
        ([dt.date(2026, 1, 31)], pa.date64(), "2026-01-31"),
        ([None], pa.timestamp("us"), None),
        (["2026-01-31"], pa.string(), None),
    ],
)
def test_latest_is_an_instant_that_leaves_no_row_out(tmp_path, values, kind, found):
    table = pa.table(
        {"customer_id": range(len(values)), "timestamp": pa.array(values, kind), "amount": [1.0] * len(values)}
    )
    path = tmp_path / "a.arrow"
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    assert latest(open_source([path], options(), None), "timestamp") == found
