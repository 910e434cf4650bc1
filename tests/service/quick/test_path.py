"""The quick path against the general one: where it answers at all, the bytes are the same."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import RequestError
from proto.limits import Limits
from proto.media import Media
from proto.model import dump_model, load_model
from proto.options import FitOptions, ScoreOptions
from service.metrics import StageTimer
from service.models import ModelStore
from service.quick.path import QuickPath
from service.threads import ThreadTeam
from service.work import Work, options_of

TEAM = ThreadTeam(1)
AS_OF = "as_of=2026-01-01T12:00:00.5Z"


def stream_of(batches: Sequence[pa.RecordBatch], schema: pa.Schema | None = None, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema or batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def run(kind: Any, query: str, media: Media, body: bytes, store: ModelStore) -> bytes:
    """What the general path answers."""
    options = options_of(kind, query.encode())
    timer = StageTimer()
    work = Work(options, media, None, store=store, limits=Limits(), team=TEAM, timer=timer, expected_bytes=len(body))
    work.take_whole(body)
    return b"".join(work.reply(work.finish(), media))


def customers(n: int, seed: int = 0, **types: pa.DataType) -> pa.RecordBatch:
    random = np.random.default_rng(seed)
    columns = {
        "customer_id": np.arange(n) * 7 - 3,
        "recency_days": random.integers(0, 400, n) / 4,
        "frequency": random.integers(1, 9, n).astype(float),
        "monetary": np.round(random.gamma(2, 30, n) - 5, 2),
        "visits": random.integers(0, 5, n).astype(float),
    }
    return pa.record_batch({name: pa.array(v).cast(types.get(name, pa.array(v).type)) for name, v in columns.items()})


def transactions(n: int, seed: int = 0, unit: str = "us", refunds: bool = False) -> pa.RecordBatch:
    random = np.random.default_rng(seed)
    seconds = 1_735_689_600 + random.integers(0, 300, n) * 86_400 + random.integers(0, 3, n) * 30_000
    amounts = np.round(random.gamma(2, 20, n), 2) * np.where(refunds & (random.random(n) < 0.1), -1, 1)
    return pa.record_batch(
        {
            "customer_id": pa.array(random.integers(-5, max(2, n // 4), n)),
            "timestamp": pa.array(seconds, pa.timestamp("s")).cast(pa.timestamp(unit, "UTC")),
            "amount": pa.array(amounts),
            "order_id": pa.array(random.integers(0, n // 2 + 1, n)),
        }
    )


@functools.cache
def store() -> ModelStore:
    tables, rows = customers(300, 1), transactions(600, 2)
    fits = {
        "people": (tables, "k=4"),
        "visits": (tables, "k=3&features=visits,-monetary&class_cut=median"),
        "one": (tables, "k=1&features=visits"),
        "shop": (rows, f"k=4&{AS_OF}"),
        "lines": (rows, f"k=3&{AS_OF}&occasion=row&monetary=mean&features=tenure_days,monetary"),
        "times": (rows, f"k=9&{AS_OF}&occasion=time&whole_days=true&refunds=drop"),
        "days": (rows, f"k=3&{AS_OF}&occasion=day&tz=America/New_York"),
        "window": (rows, f"k=3&{AS_OF}&window=400d"),
    }
    empty = ModelStore({})
    return ModelStore(
        {
            name: load_model(run(FitOptions, query, Media.ARROW, stream_of([batch]), empty))
            for name, (batch, query) in fits.items()
        }
    )


def answers(query: str, body: bytes, media: Media = Media.ARROW, path: QuickPath | None = None) -> bytes | None:
    """What the quick path answers once it has seen the form: None, or what the general path answers too."""
    path = path or QuickPath(store(), Limits())
    headers = query.encode(), media.encode(), b""
    found = None
    for _ in range(3):
        route = path.route(headers)
        found = None if route is None else path.answer(route, body)
    if found is None:
        return None
    expected = run(ScoreOptions, query, media, body, store())
    assert found.body == expected
    assert found.media == media.encode()
    summary = orjson.loads(expected)["summary"] if media is Media.JSON else _summary(expected)
    assert (found.rows_in, found.customers_out) == (
        summary["counts"]["rows_in"],
        summary["counts"]["customers_out"],
    )
    return found.body


def _summary(reply: bytes) -> dict[str, Any]:
    metadata = pa.ipc.open_stream(reply).schema.metadata
    return orjson.loads(metadata[b"segserve.summary"])  # type: ignore[no-any-return]


QUERIES = st.sampled_from(
    [
        "model=people",
        "model=people&lang=zh",
        "model=people&lang=en&fields=segment,customer_id,monetary",
        "model=people&fields=rfm_class,value_score",
        "model=people&k=4",
        "model=visits",
        "model=one&fields=segment_id,value_percentile",
        f"model=shop&{AS_OF}",  # a model of transactions takes a table of their features
    ]
)
ROW_QUERIES = st.sampled_from(
    [
        f"model=shop&{AS_OF}",
        "model=shop&as_of=2025-11-30",
        "model=shop&as_of=2025-06-30&nulls=drop",
        f"model=lines&{AS_OF}",
        f"model=lines&{AS_OF}&fields=tenure_days,frequency,monetary",
        f"model=times&{AS_OF}&lang=en",
        f"model=days&{AS_OF}",
    ]
)


@settings(deadline=None, max_examples=60)
@given(QUERIES, st.integers(1, 60), st.integers(0, 9), st.booleans())
def test_a_plain_customers_table_is_answered(query: str, n: int, seed: int, ended: bool) -> None:
    body = stream_of([customers(n, seed)])
    assert answers(query, body if ended else body[:-8]) is not None
    document = orjson.dumps({"columns": customers(n, seed).to_pydict()})
    assert answers(query, document, Media.JSON) is not None


@settings(deadline=None, max_examples=60)
@given(ROW_QUERIES, st.integers(1, 90), st.integers(0, 9), st.sampled_from(["s", "ms", "us", "ns"]), st.booleans())
def test_transactions_are_answered_where_they_are_plain(
    query: str, n: int, seed: int, unit: str, refunds: bool
) -> None:
    found = answers(query, stream_of([transactions(n, seed, unit, refunds)]))
    if not refunds and "2026" in query:
        assert found is not None


def _odd_bodies() -> dict[str, bytes]:
    """Bodies that are left to the general path, whether it answers them or refuses."""
    plain = customers(9)
    ids = plain["customer_id"]
    others = plain.columns[1:]

    def with_ids(column: Any) -> bytes:
        return stream_of([pa.RecordBatch.from_arrays([column, *others], plain.schema.names)])

    def with_monetary(values: list[Any] | None, kind: Any = None) -> bytes:
        column = kind if values is None else pa.array(values, kind)
        return stream_of([plain.set_column(3, "monetary", column)])

    numbers = plain["monetary"].to_pylist()
    return {
        "duplicate": with_ids(pa.array([*ids.to_pylist()[:-1], ids[0].as_py()])),
        "text": with_ids(ids.cast(pa.string())),
        "dictionary": with_ids(ids.cast(pa.string()).dictionary_encode()),
        "int32": with_ids(ids.cast(pa.int32())),
        "uuid": with_ids(pa.array([bytes([i] * 16) for i in range(9)], pa.binary(16))),
        "null id": with_ids(pa.array([None, *ids.to_pylist()[1:]])),
        "null": with_monetary([None, *numbers[1:]]),
        "nan": with_monetary([float("nan"), *numbers[1:]]),
        "inf": with_monetary([*numbers[1:], float("inf")]),
        "float32 nan": with_monetary([float("nan"), *numbers[1:]], pa.float32()),
        "decimal": with_monetary(None, plain["monetary"].cast(pa.decimal128(12, 2))),
        "missing": stream_of([plain.drop_columns(["frequency"])]),
        "extra text": stream_of([plain.append_column("note", pa.array(["x"] * 9))]),
        "empty": stream_of([plain.slice(0, 0)]),
        "no batch": stream_of([], plain.schema),
        "two batches": stream_of([plain, customers(20).slice(10)]),
        "batch and empty": stream_of([plain, plain.slice(0, 0)]),
        "compressed": stream_of([plain], compression="zstd"),
        "legacy": stream_of([plain], use_legacy_format=True),
        "many": stream_of([customers(1_000)]),
        "model inside": stream_of([plain.replace_schema_metadata({b"segserve.model": dump_model(store().get("one"))})]),
        "cut": stream_of([plain])[:-100],
        "more": stream_of([plain]) + b"\0" * 8,
        "nothing": b"",
        "noise": b"\xff" * 100,
        "twice": stream_of([plain]) * 2,
    }


@pytest.mark.parametrize("name", list(_odd_bodies()))
@pytest.mark.parametrize("query", ["model=people", "model=people&nulls=drop"])
def test_whatever_is_not_plain_is_left_to_the_general_path(name: str, query: str) -> None:
    path = QuickPath(store(), Limits())
    body = _odd_bodies()[name]
    assert answers(query, body, path=path) is None
    assert answers(query, stream_of([customers(9)]), path=path) is not None
    assert answers(query, body, path=path) is None


@pytest.mark.parametrize(
    "query",
    [
        "",
        "model=nobody",
        "model=people&unknown=1",
        "model=people&fields=tenure_days",
        "model=people&fields=explain",
        "model=people&k=5",
        "model=people&input=transactions",
    ],
)
def test_other_queries_are_left_to_the_general_path(query: str) -> None:
    assert answers(query, stream_of([customers(9)])) is None


@pytest.mark.parametrize(
    "query",
    [
        "model=shop",
        "model=shop&as_of=now",
        f"model=shop&{AS_OF}&fields=first_at",
        f"model=window&{AS_OF}",
        "model=shop&as_of=2025-02-01",  # rows after it
        "model=shop&as_of=2027-06-01",  # a longer history than the fit's
    ],
)
def test_other_transactions_are_left_to_the_general_path(query: str) -> None:
    assert answers(query, stream_of([transactions(50)])) is None


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us")])
def test_times(kind: pa.DataType) -> None:
    batch = transactions(50)
    body = stream_of([batch.set_column(1, "timestamp", batch["timestamp"].cast(pa.timestamp("us")).cast(kind))])
    assert (answers(f"model=shop&{AS_OF}", body) is None) is pa.types.is_date(kind)


def test_an_inline_model_is_answered() -> None:
    metadata = {b"segserve.model": dump_model(store().get("people"))}
    body = stream_of([customers(9).replace_schema_metadata(metadata)])
    path = QuickPath(store(), Limits())
    assert answers("", body, path=path) is not None
    altered = body.replace(b"general", b"genera1")
    assert answers("", altered, path=path) is None
    assert answers("model=people", body, path=path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"monetary": [1, 2.5, "3"]},
        {"monetary": [1, 2.5, None]},
        {"monetary": [1, 2.5, True]},
        {"monetary": [1, 2.5]},
        {"monetary": {}},
        {"customer_id": [1, 2, 2]},
        {"customer_id": [1, 2, "2"]},
        {"customer_id": [1, 2, 2.0]},
        {"customer_id": [1, None, 2]},
        {"customer_id": [1, 2, 2**63]},
        {"customer_id": ["a", "b", "a"]},
        {"customer_id": [True, False, 2]},
        {"note": [1]},
        {"note": "abc"},
    ],
    ids=str,
)
def test_odd_documents(change: dict[str, Any]) -> None:
    columns: dict[str, Any] = customers(3).to_pydict()
    path = QuickPath(store(), Limits())
    for ids in ([1, 2, 3], ["a", "b", "客"], [-(2**63), 0, 2**63 - 1]):
        plain = {"columns": {**columns, "customer_id": ids, "monetary": [1, 2**60 + 1, -0.0]}}
        assert answers("model=people", orjson.dumps(plain), Media.JSON, path) is not None
    assert answers("model=people", orjson.dumps({"columns": {**columns, **change}}), Media.JSON, path) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"{", b'{"columns":{}}', b'{"columns":[]}', b'{"rows":[]}', b'{"columns":{"customer_id":[]}}'],
)
def test_other_documents(body: bytes) -> None:
    assert answers("model=people", body, Media.JSON) is None


def test_extra_columns_do_no_harm() -> None:
    columns = {"note": ["x", None, 3], **customers(3).to_pydict()}
    assert answers("model=people", orjson.dumps({"columns": columns}), Media.JSON) is not None
    body = stream_of([customers(3).add_column(0, "more", pa.array([1, 2, 3], pa.int16()))])
    assert answers("model=people", body) is not None


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32()])
@pytest.mark.parametrize("query", ["model=people", "model=visits"])
def test_features_of_other_types_become_floats(kind: pa.DataType, query: str) -> None:
    path = QuickPath(store(), Limits())
    for n in (1, 2, 9, 60):
        body = stream_of([customers(n, n, frequency=kind, visits=kind)])
        assert answers(query, body, path=path) is not None
    large = pa.array([2**63 - 1, -(2**63), 2**53 + 1] if kind == pa.int64() else [1, 2, 3], kind)
    assert answers(query, stream_of([customers(3).set_column(4, "visits", large)]), path=path) is not None


def test_one_off_forms_are_not_prepared() -> None:
    path = QuickPath(store(), Limits())
    route = path.route((b"model=people", Media.ARROW.encode(), b""))
    assert route is not None
    assert path.answer(route, stream_of([customers(9)])) is None
    assert path.answer(route, stream_of([customers(9)])) is not None
    assert path.answer(route, stream_of([customers(8)])) is not None


@pytest.mark.parametrize(
    ("content_type", "accept"),
    [("text/csv", ""), ("", ""), ("application/json", "text/csv"), ("text/nothing", ""), (str(Media.ARROW), "*/json")],
)
def test_other_media_have_no_route(content_type: str, accept: str) -> None:
    path = QuickPath(store(), Limits())
    assert path.route((b"model=people", content_type.encode(), accept.encode("latin-1"))) is None
    assert path.route((b"model=people&lang=" + b"x" * 5000, Media.JSON.encode(), b"")) is None


def test_low_limits_close_the_path() -> None:
    assert QuickPath.is_open(Limits(), 256 * 1024)
    for name in ("max_body_bytes", "max_document_bytes", "max_customers", "max_rows_per_batch"):
        assert not QuickPath.is_open(Limits()._replace(**{name: 500}), 256 * 1024)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damaged_bodies_are_never_answered_otherwise(data: st.DataObject) -> None:
    """One byte changed anywhere: the general path's answer, or none."""
    path = QuickPath(store(), Limits())
    plain = stream_of([customers(3)])
    assert answers("model=people", plain, path=path) is not None
    at = data.draw(st.integers(0, len(plain) - 1))
    byte = data.draw(st.integers(0, 255))
    damaged = plain[:at] + bytes([byte]) + plain[at + 1 :]
    try:
        answers("model=people", damaged, path=path)
    except RequestError as error:
        pytest.fail(f"the quick path answers what is refused: {error.detail}")
