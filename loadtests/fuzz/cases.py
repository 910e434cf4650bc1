"""Requests: a mutated body, under a query, headers, an encoding and a framing that may be wrong as well.

A case is a pure function of the seed and its number, so that any one can be sent again.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pyarrow as pa
import zstandard

from loadtests.fuzz import arrow_mutators, parquet_mutators
from loadtests.fuzz.havoc import havoc
from loadtests.fuzz.seeds import PEOPLE_OPTIONS, Seeds, as_text, hostile_model
from loadtests.fuzz.text_mutators import mutated_csv, mutated_json

__all__ = ["FORMATS", "MEDIA", "Case", "case", "plain_case"]

FORMATS = ("arrow", "json", "csv", "parquet")
MAX_BYTES = 2 << 20
MEDIA = {
    "arrow": "application/vnd.apache.arrow.stream",
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
_ODD_TYPES = (
    "",
    "text/plain",
    "*/*",
    "text/csv; charset=utf-16",
    "application/json;;;",
    "x" * 9000,
    "multipart/form-data",
)
_ODD_ACCEPTS = ("*/*", "text/csv", "application/json", "", "text/html", "*/*;q=nan", "a" * 9000, "application/*;q=0.1")
_OPTIONS: dict[str, Sequence[str]] = {
    "k": ("2", "3", "1", "256", "0", "-1", "1e3", "9" * 30, "", "two"),
    "as_of": ("2026-05-01", "max", "now", "2026-01-01T00:00:00+02:00", "0001-01-01", "9999-12-31", "x", "2026-02-30"),
    "tz": ("Europe/Berlin", "UTC", "Asia/Kathmandu", "../../etc/passwd", "\0", "Mars/Base", "utc"),
    "window": ("365d", "1d", "0d", "99999999d", "-1d", "1.5d", "365"),
    "occasion": ("order", "time", "day", "row", "week"),
    "refunds": ("net", "drop", "error", "maybe"),
    "monetary": ("sum", "mean", "max"),
    "whole_days": ("true", "false", "yes"),
    "nulls": ("drop", "error"),
    "input": ("auto", "transactions", "customers"),
    "features": (
        "recency_days,frequency",
        "tenure_days,monetary",
        "visits",
        "amount",
        "-amount,amount",
        ",",
        "x" * 3000,
    ),
    "log": ("none", "monetary", "frequency,frequency", "visits"),
    "log_unit": ("plain", "median"),
    "scaler": ("zscore", "minmax", "robust", "none", "l2"),
    "weights": ("recency_days:1,frequency:0,monetary:0", "monetary:nan", "monetary:1e308", "a:b", "monetary:-1"),
    "class_cut": ("median", "mean"),
    "seed": ("1", "9007199254740991", "-1"),
    "n_init": ("1", "3", "101"),
    "init": ("inline", "shop", "people", "nobody"),
    "strict_k": ("true",),
    "columns": ("customer_id:order_id", "amount:x", "customer_id:customer_id", ":", "a:b,a:c", "amount:timestamp"),
    "fields": ("explain", "customer_id,segment", "tenure_days,first_at,last_at", "nothing", ",,"),
    "lang": ("en", "zh", "code", "fr"),
    "model": ("shop", "people", "nobody", "../shop", "", "\0"),
    "colour": ("red",),
}


class Case(NamedTuple):
    """One request."""

    number: int
    format: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    chunk_bytes: int
    """0: sent with its length."""
    cut_at: int | None
    """Where the client hangs up, if it does."""


def plain_case(rng: random.Random, number: int, form: str, seeds: Seeds) -> Case:
    """A request that is answered with 200."""
    endpoint = rng.choice(("segment", "fit", "score"))
    is_shop = rng.random() < 0.7
    options = {"k": "3", "n_init": "2"} if endpoint != "score" else {"model": "shop" if is_shop else "people"}
    if is_shop:
        table, options["as_of"] = seeds.tables[0], "2026-05-01"
    else:
        table = seeds.tables[-1]
        if endpoint != "score":
            options["features"] = PEOPLE_OPTIONS.removeprefix("features=")
    body = _plain_body(form, table, seeds.csv[0 if is_shop else 1])
    headers = [("Content-Type", MEDIA[form])]
    return Case(number, form, f"/v1/{endpoint}?{urlencode(options)}", headers, body, rng.choice((0, 0, 1000)), None)


def _plain_body(form: str, table: pa.Table, sheet: str) -> bytes:
    match form:
        case "arrow":
            return arrow_mutators.stream_of(table.schema, table.to_batches())
        case "parquet":
            return parquet_mutators.file_of(table)
        case "csv":
            return sheet.encode()
        case _:
            return json.dumps({"columns": table.to_pydict()}, default=as_text).encode()


def case(seed: int, number: int, form: str, seeds: Seeds, corpus: Sequence[bytes] = ()) -> Case:
    """The mutated request of this number."""
    rng = random.Random(f"{seed}/{form}/{number}")
    endpoint = rng.choices(("segment", "fit", "score"), (35, 20, 45))[0]
    body = _body(rng, form, seeds, inline=rng.random() < 0.06, corpus=corpus)
    headers = [("Content-Type", MEDIA[form] if rng.random() < 0.97 else rng.choice((*MEDIA.values(), *_ODD_TYPES)))]
    if rng.random() < 0.2:
        headers.append(("Accept", rng.choice(_ODD_ACCEPTS if rng.random() < 0.2 else tuple(MEDIA.values())[:3])))
    if rng.random() < 0.03:
        headers.append(
            (rng.choice(("X-Request-ID", "X-Odd", "Range", "Cookie")), rng.choice(("\xff\xfe", "a" * 200, "")))
        )
    body, encoding = _encoded(rng, body[:MAX_BYTES])
    if encoding:
        headers.append(("Content-Encoding", encoding))
    chunk_bytes = rng.choice((1, 100, 4096, 70_000)) if rng.random() < 0.4 else 0
    if chunk_bytes == 1 and len(body) > 3000:
        chunk_bytes = 100
    cut_at = rng.randrange(len(body) + 1) if rng.random() < 0.01 else None
    return Case(number, form, f"/v1/{endpoint}{_query(rng, endpoint)}", headers, body, chunk_bytes, cut_at)


def _query(rng: random.Random, endpoint: str) -> str:
    options = {"k": "2", "n_init": "1"} if endpoint != "score" else {"as_of": "2026-05-01"}
    if endpoint == "score" and rng.random() < 0.7:
        options["model"] = rng.choice(("shop", "shop", "people"))
    if endpoint != "score" and rng.random() < 0.15:
        options["features"] = "visits,-returns"
    if rng.random() < 0.15:
        for name in rng.sample(list(_OPTIONS), rng.choice((1, 1, 2, 4))):
            options[name] = rng.choice(_OPTIONS[name])
    query = urlencode(options)
    if rng.random() < 0.04:
        damaged = havoc(rng, query.encode(), most=2)
        query = quote(damaged, safe="=&%+")[:60_000]
    return f"?{query}"


def _body(rng: random.Random, form: str, seeds: Seeds, *, inline: bool, corpus: Sequence[bytes]) -> bytes:
    if corpus and rng.random() < 0.2:
        found = rng.choice(corpus)
        return found if rng.random() < 0.3 else havoc(rng, found, corpus, most=3)
    table = rng.choice(seeds.tables)
    name = "people" if "visits" in table.column_names else "shop"
    model = None
    if inline:
        model = hostile_model(rng, seeds.models[name])
    match form:
        case "arrow":
            if model is not None:
                table = table.replace_schema_metadata({b"segserve.model": _dumped(model)})
                body = arrow_mutators.stream_of(table.schema, table.to_batches())
                return body if rng.random() < 0.8 else arrow_mutators.mutated(rng, body, seeds.arrow)
            return arrow_mutators.mutated(rng, rng.choice(seeds.arrow), seeds.arrow)
        case "parquet":
            if model is not None:
                return parquet_mutators.file_of(table.replace_schema_metadata({b"segserve.model": _dumped(model)}))
            return parquet_mutators.mutated(rng, table, seeds.parquet)
        case "csv":
            return mutated_csv(rng, rng.choice(seeds.csv), [text.encode() for text in seeds.csv])
        case _:
            rows = rng.choice(seeds.rows)[: rng.choice((3, 40))]
            name = "people" if "visits" in rows[0] else "shop"
            columns = {key: [row[key] for row in rows] for key in rows[0]}
            document: dict[str, Any] = {"rows": rows} if rng.random() < 0.5 else {"columns": columns}
            if model is not None:
                document["model"] = hostile_model(rng, seeds.models[name])
                return _dumped(document)
            return mutated_json(rng, document, [b'{"rows":[]}', b'{"columns":{}}'])


def _dumped(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _encoded(rng: random.Random, body: bytes) -> tuple[bytes, str]:
    choice = rng.random()
    if choice > 0.12:
        return body, "" if choice < 0.99 else rng.choice(("br", "gzip", "zstd", "gzip, gzip", "\xff"))
    encoding = "gzip" if choice < 0.06 else "zstd"
    squeeze = gzip.compress if encoding == "gzip" else zstandard.ZstdCompressor(level=1).compress
    if rng.random() < 0.2 and len(body) > 1:
        half = len(body) // 2
        packed = squeeze(body[:half]) + squeeze(body[half:])  # two members
    else:
        packed = squeeze(body)
    return (havoc(rng, packed, most=2) if rng.random() < 0.3 else packed), encoding
