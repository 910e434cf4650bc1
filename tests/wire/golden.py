"""The golden requests and replies in proto/golden: what they are, and how they are made.

`python -m tests.wire.golden` writes them again, from a service that it starts.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import httpx
import orjson
import pyarrow as pa

from tests.wire.server import ARROW, running, stream_of

__all__ = ["FOLDER", "REQUEST_ID", "Exchange", "exchanges", "replayed"]

FOLDER = Path(__file__).resolve().parents[2] / "proto" / "golden"
REQUEST_ID = "golden"
JSON, CSV = "application/json", "text/csv"
_SUFFIX = {ARROW: "arrows", JSON: "json", CSV: "csv", "application/problem+json": "json"}


class Exchange(NamedTuple):
    """One entry of index.json; `request` and `reply` are file names."""

    name: str
    shows: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    request: str
    status: int
    content_type: str
    reply: str


def exchanges() -> list[Exchange]:
    """All entries of the index."""
    return [Exchange(**entry) for entry in orjson.loads((FOLDER / "index.json").read_bytes())]


def replayed(client: httpx.Client, exchange: Exchange, *, chunked: bool = False) -> httpx.Response:
    """Sends the request as it is in the files; `chunked` without a Content-Length, in pieces of 100 bytes."""
    body = (FOLDER / exchange.request).read_bytes()
    pieces = (body[i : i + 100] for i in range(0, len(body), 100))
    url = f"{exchange.path}?{exchange.query}" if exchange.query else exchange.path
    return client.request(exchange.method, url, headers=exchange.headers, content=pieces if chunked else body)


# Making them

_PURCHASES = (
    ("C001", "2026-01-02T09:15:00Z", "80.00", "o1"),
    ("C001", "2026-01-02T09:15:00Z", "19.90", "o1"),
    ("C001", "2026-01-28T17:40:00Z", "120.00", "o2"),
    ("C002", "2025-11-05T12:00:00Z", "15.50", "o3"),
    ("C003", "2026-01-30T08:05:00Z", "210.00", "o4"),
    ("C003", "2026-01-31T19:30:00Z", "-30.00", "o5"),
    ("C004", "2025-10-01T10:00:00Z", "340.00", "o6"),
    ("C005", "2026-01-15T14:20:00Z", "9.99", "o7"),
    ("C006", "2026-01-20T11:00:00Z", "-12.00", "o8"),
    ("客户七", "2025-12-24T16:45:00Z", "55.00", "o9"),
)
_AS_OF = "as_of=2026-01-31"


def _minimal() -> pa.Table:
    times = [dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (2, 5, 9)]
    return pa.table(
        {
            "customer_id": pa.array(["a", "b", "a"]),
            "timestamp": pa.array(times, pa.timestamp("us", "UTC")),
            "amount": pa.array([12.5, 3.0, 7.25]),
        }
    )


def _rich() -> pa.Table:
    ids, times, amounts, orders = zip(*_PURCHASES, strict=True)
    return pa.table(
        {
            "customer_id": pa.array(ids).dictionary_encode(),
            "timestamp": pa.array([dt.datetime.fromisoformat(t) for t in times], pa.timestamp("ms", "UTC")),
            "amount": pa.array(amounts).cast(pa.decimal128(12, 2)),
            "order_id": pa.array(orders),
        }
    )


def _rows() -> list[dict[str, Any]]:
    names = ("customer_id", "timestamp", "amount", "order_id")
    return [dict(zip(names, (i, t, float(a), o), strict=True)) for i, t, a, o in _PURCHASES]


def _columns() -> dict[str, list[Any]]:
    rows = _rows()
    return {name: [row[name] for row in rows] for name in rows[0]}


def _table_rows() -> list[dict[str, Any]]:
    return [
        {"customer_id": i + 1, "visits": visits, "basket": basket, "returns": returns}
        for i, (visits, basket, returns) in enumerate([(12, 31.5, 0), (2, 80.0, 1), (7, 22.0, 0), (1, 15.0, 3)])
    ]


class _Maker:
    """Sends requests to a service and keeps both sides as files."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._entries: list[Exchange] = []

    def keep(
        self, name: str, shows: str, endpoint: str, query: str, content_type: str, body: bytes, **headers: str
    ) -> bytes:
        """Files and index entry of one exchange; the reply's bytes."""
        sent = {"Content-Type": content_type, "X-Request-ID": REQUEST_ID, **headers}
        path = f"/v1/{endpoint}"
        reply = self._client.post(path, params=parse_qsl(query), headers=sent, content=body)
        answered = reply.headers["content-type"]
        request_file = f"{name}.request.{_SUFFIX[content_type]}"
        reply_file = f"{name}.reply.{_SUFFIX[answered]}"
        (FOLDER / request_file).write_bytes(body)
        (FOLDER / reply_file).write_bytes(reply.content)
        entry = (name, shows, "POST", path, query, sent, request_file, reply.status_code, answered, reply_file)
        self._entries.append(Exchange(*entry))
        return reply.content

    def close(self) -> None:
        """Writes the index."""
        index = [entry._asdict() for entry in self._entries]
        (FOLDER / "index.json").write_bytes(orjson.dumps(index, option=orjson.OPT_INDENT_2) + b"\n")


def _make(maker: _Maker) -> None:
    rich, columns = stream_of(_rich(), max_rows=4), _columns()
    query = f"k=3&{_AS_OF}&tz=Europe/Berlin"
    maker.keep(
        "segment-arrow", "The smallest useful exchange.", "segment", f"k=2&{_AS_OF}", ARROW, stream_of(_minimal())
    )
    maker.keep(
        "segment-arrow-all-columns",
        "Dictionary ids, decimal amounts, orders, refunds, several batches; every column in the reply, labels in "
        "Chinese.",
        "segment",
        f"{query}&lang=zh&fields=customer_id,recency_days,frequency,monetary,value_score,value_percentile,segment_id,"
        "segment,rfm_class,tenure_days,first_at,last_at,explain",
        ARROW,
        rich,
    )
    maker.keep("segment-json-columns", "JSON, by column.", "segment", query, JSON, orjson.dumps({"columns": columns}))
    maker.keep("segment-json-rows", "JSON, by row.", "segment", query, JSON, orjson.dumps({"rows": _rows()}))
    lines = ["household,when,paid", *(f"{i},{t},{a}" for i, t, a, _ in _PURCHASES)]
    mapping = "columns=customer_id:household,timestamp:when,amount:paid"
    csv = "\n".join(lines).encode() + b"\n"
    maker.keep("segment-csv", "CSV with names of its own.", "segment", f"{query}&{mapping}&occasion=day", CSV, csv)
    maker.keep(
        "segment-csv-to-json", "CSV in, JSON out.", "segment", f"{query}&{mapping}&occasion=day", CSV, csv, Accept=JSON
    )
    maker.keep(
        "segment-customers",
        "A table with one row per customer, features of its own.",
        "segment",
        "k=2&features=visits,basket,-returns&weights=visits:2,basket:1,returns:1",
        JSON,
        orjson.dumps({"rows": _table_rows()}),
    )
    model = maker.keep("fit-arrow", "The model alone.", "fit", query, ARROW, rich)
    sent = stream_of(_rich().slice(0, 3), {b"segserve.model": model})
    maker.keep("score-arrow", "One customer, the model in the schema metadata.", "score", _AS_OF, ARROW, sent)
    few = {name: values[4:7] for name, values in columns.items()}
    document = orjson.dumps({"columns": few, "model": orjson.loads(model)})
    maker.keep("score-json", "Two customers, the model beside the columns.", "score", _AS_OF, JSON, document)
    document = orjson.dumps({"columns": columns, "model": orjson.loads(model)})
    rules = f"{_AS_OF}&min_percentile=20&cost_per_contact=0.35&budget=1"
    maker.keep("audience-json", "Whom to contact, within a budget.", "audience", rules, JSON, document)
    places = ["north", "south", None, "west"]
    rows = [{**row, "region": places[i % 4]} for i, row in enumerate(_rows())]
    groups, asked = orjson.dumps({"rows": rows}), f"k=2&{_AS_OF}&partition_by=region&unit=row"
    maker.keep("segment-groups", "A fit for each region; rows without one.", "segment", asked, JSON, groups)
    bundle = orjson.loads(maker.keep("fit-groups", "The models by region.", "fit", asked, JSON, groups))
    new = orjson.dumps({"rows": [{**row, "region": "east"} for row in rows[:1]] + rows[1:3], "model": bundle})
    maker.keep("score-groups", "A group that the model does not know, too.", "score", _AS_OF, JSON, new)
    homes = pa.table({"customer_id": ["C001", "C002", "客户七"], "household_id": ["H1", "H1", "H2"]})
    asked = f"k=2&{_AS_OF}&rollup=household_id"
    sent = stream_of(homes) + stream_of(_rich(), max_rows=4)
    maker.keep("segment-households", "A mapping of members ahead of the rows.", "segment", asked, ARROW, sent)
    document = orjson.dumps({"mapping": homes.to_pydict(), "columns": columns})
    maker.keep("segment-households-json", "The same as JSON.", "segment", asked, JSON, document)
    missing = stream_of(_rich().rename_columns(["customer_id", "timestamp", "sales_value", "order_id"]))
    maker.keep("missing-column", "A refusal that says what to do.", "segment", "", ARROW, missing)
    maker.keep("not-arrow", "A body that is not what its type says.", "segment", "", ARROW, csv)
    maker.keep("unknown-option", "An option that does not exist.", "segment", "segments=5", JSON, b"{}")


def main() -> None:
    """Writes all files again."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.*.*"):
        old.unlink()
    with running() as server, httpx.Client(base_url=server.url, timeout=60) as client:
        maker = _Maker(client)
        _make(maker)
        maker.close()


if __name__ == "__main__":
    main()
