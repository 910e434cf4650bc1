"""Arrow streams, damaged where it hurts: message framing, flatbuffer fields, buffers, types, dictionaries."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from loadtests.fuzz.havoc import havoc, number, put_number

__all__ = ["messages_of", "mutated", "odd_stream", "stream_of"]

Message = tuple[bytes, bytes]
"""(metadata, body)"""

_CONTINUATION = b"\xff\xff\xff\xff"


def stream_of(schema: pa.Schema, batches: list[pa.RecordBatch], compression: str | None = None) -> bytes:
    """The batches as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def messages_of(stream: bytes) -> list[Message]:
    """The messages of a stream that pyarrow wrote."""
    messages = pa.ipc.MessageReader.open_stream(stream)
    return [(message.metadata.to_pybytes(), message.body.to_pybytes() if message.body else b"") for message in messages]


def _framed(rng: random.Random, messages: list[Message]) -> bytes:
    parts = []
    for metadata, body in messages:
        length = len(metadata)
        if rng.random() < 0.02:
            length = number(rng, length) & 0xFFFFFFFF
        parts += [_CONTINUATION if rng.random() < 0.98 else b"", length.to_bytes(4, "little"), metadata, body]
    if rng.random() < 0.7:
        parts.append(_CONTINUATION + bytes(4))
    return b"".join(parts)


def _shuffled(rng: random.Random, messages: list[Message], others: list[Message]) -> list[Message]:
    """Messages lost, doubled, out of order, or of another stream."""
    messages = list(messages)
    at = rng.randrange(len(messages))
    match rng.randrange(5):
        case 0:
            del messages[at]
        case 1:
            messages[at:at] = [messages[at]] * rng.choice((1, 2, 40))
        case 2:
            rng.shuffle(messages)
        case 3:
            messages[at] = rng.choice(others)
        case _:
            messages.insert(at, rng.choice(others))
    return messages


def _fields_changed(rng: random.Random, messages: list[Message], others: list[Message]) -> list[Message]:
    """Numbers of the flatbuffer: offsets, vtables, lengths, types, row counts, buffer places."""
    at = rng.randrange(len(messages))
    metadata = bytearray(messages[at][0])
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        form, step = rng.choice((("<q", 8), ("<q", 8), ("<i", 4), ("<i", 4), ("<h", 2), ("<b", 1)))
        put_number(rng, metadata, rng.randrange(len(metadata) // step + 1) * step, form)
    return [*messages[:at], (bytes(metadata), messages[at][1]), *messages[at + 1 :]]


def _values_changed(rng: random.Random, messages: list[Message], others: list[Message]) -> list[Message]:
    """Numbers in the buffers: text offsets, dictionary indices, views, compressed sizes, values."""
    with_body = [i for i, (_, body) in enumerate(messages) if body]
    if not with_body:
        return messages
    at = rng.choice(with_body)
    body = bytearray(messages[at][1])
    for _ in range(rng.choice((1, 1, 2, 4))):
        form, step = rng.choice((("<q", 8), ("<i", 4), ("<i", 4), ("<h", 2), ("<b", 1)))
        put_number(rng, body, rng.randrange(len(body) // step + 1) * step, form)
    return [*messages[:at], (messages[at][0], bytes(body)), *messages[at + 1 :]]


_STEPS: tuple[Callable[..., list[Message]], ...] = (_shuffled, _fields_changed, _fields_changed, _values_changed)


def mutated(rng: random.Random, body: bytes, others: list[bytes]) -> bytes:
    """A stream like `body`, and wrong."""
    choice = rng.random()
    if choice < 0.25:
        return havoc(rng, body, others)
    try:
        if choice < 0.4:
            body = odd_stream(rng)
            if rng.random() < 0.5:
                return body
        messages = messages_of(body)
    except (pa.ArrowException, OSError):  # so odd that pyarrow does not write or read it
        return havoc(rng, body, others)
    more = messages_of(rng.choice(others))
    for _ in range(rng.choice((1, 1, 2))):
        messages = rng.choice(_STEPS)(rng, messages, more) or messages
    return _framed(rng, messages)


# Streams that are well formed and not what the service is for


def _odd_array(rng: random.Random, n: int) -> pa.Array:
    """A column of a type that is refused, or is at the edge of what is accepted."""
    ints = pa.array(range(n), pa.int64())
    texts = pa.array([f"t{i % 3}" for i in range(n)])
    makers: list[Callable[[], Any]] = [
        lambda: pa.array([[i] for i in range(n)], pa.list_(pa.int64())),
        lambda: pa.array([{"a": i, "b": [str(i)]} for i in range(n)]),
        lambda: pa.array([[("k", i)] for i in range(n)], pa.map_(pa.string(), pa.int64())),
        lambda: pa.UnionArray.from_sparse(pa.array([0] * n, pa.int8()), [ints, texts]),
        lambda: pa.UnionArray.from_dense(pa.array([1] * n, pa.int8()), pa.array(range(n), pa.int32()), [ints, texts]),
        lambda: pa.RunEndEncodedArray.from_arrays(pa.array([n or 1], pa.int32()), pa.array([1.5])),
        lambda: pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16] * n, pa.binary(16))),
        lambda: pa.array([[1.0, 2.0]] * n, pa.list_(pa.float64(), 2)),
        lambda: pa.array([None] * n, pa.null()),
        lambda: pa.array([i % 2 == 0 for i in range(n)]),
        lambda: pa.array([1] * n, pa.decimal256(70, 3)),
        lambda: pa.array([10**30] * n, pa.decimal128(38, -4 if rng.random() < 0.5 else 30)),
        lambda: pa.array(np.zeros(n, np.float16)),
        lambda: pa.array([b"x" * 16] * n, pa.binary(16)),
        lambda: pa.array([b"\xff\xfe"] * n, pa.binary()),
        lambda: pa.array(["x" * rng.choice((0, 5, 400))] * n, pa.string_view()),
        lambda: pa.array([2**63 - 1 - i for i in range(n)], pa.timestamp(rng.choice(("s", "ms", "us", "ns")), "UTC")),
        lambda: pa.array([-(2**31) + i for i in range(n)], pa.date32()),
        lambda: pa.array([float("nan"), float("inf")] * (n // 2) + [1e308] * (n % 2)),
        lambda: texts.dictionary_encode(),
        lambda: pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.uint64()), texts[: max(n, 1)]) if n else texts,
        lambda: pa.DictionaryArray.from_arrays(pa.array([2**30] * n, pa.int32()), pa.array(["a"]), safe=False),
        lambda: pa.DictionaryArray.from_arrays(pa.array([-7] * n, pa.int8()), pa.array(["a"]), safe=False),
        lambda: pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int8()), pa.array([None], pa.utf8())),
        lambda: pa.Array.from_buffers(
            pa.utf8(), n, [None, pa.py_buffer(np.full(n + 1, 2**30, np.int32)), pa.py_buffer(b"abc")]
        ),
        lambda: pa.Array.from_buffers(
            pa.large_utf8(), n, [None, pa.py_buffer(np.arange(n + 1, dtype=np.int64) * 2**40), pa.py_buffer(b"abc")]
        ),
        lambda: pa.Array.from_buffers(pa.string_view(), n, [None, pa.py_buffer(rng.randbytes(16 * n))]),
        lambda: pa.array([2**64 - 1] * n, pa.uint64()),
        lambda: ints,
    ]
    return rng.choice(makers)()


def odd_stream(rng: random.Random) -> bytes:
    """Columns of odd types, names, numbers and metadata."""
    n = rng.choice((0, 1, 2, 10, 50))
    names = rng.sample(["customer_id", "timestamp", "amount", "order_id", "x"], rng.randint(1, 5))
    columns = {
        "customer_id": pa.array([f"c{i % 7}" for i in range(n)]),
        "timestamp": pa.array([1_767_225_600_000_000 + i for i in range(n)], pa.timestamp("us", "UTC")),
        "amount": pa.array([float(i) for i in range(n)]),
    }
    for name in names[: rng.choice((1, 1, 2))]:
        columns[name] = _odd_array(rng, n)
    arrays, labels = list(columns.values()), list(columns)
    if rng.random() < 0.05:
        more = rng.choice((300, 5_000))
        arrays, labels = arrays + [columns["amount"]] * more, labels + [f"x{i}" for i in range(more)]
    if rng.random() < 0.1:
        labels[-1] = rng.choice(("customer_id", "", "\0", "x" * 70_000, "名"))
    metadata = None
    if rng.random() < 0.2:
        key = rng.choice((b"segserve.model", b"pandas", b"ARROW:extension:name", b"\xff"))
        metadata = {key: rng.choice((b"", b"{}", b"[" * 3000, b"\xff" * 100, b"x" * 300_000, b'{"format_version":1}'))}
    n = min(map(len, arrays))
    batch = pa.RecordBatch.from_arrays([array.slice(0, n) for array in arrays], labels)
    batch = batch.replace_schema_metadata(metadata)
    batches = [batch] * rng.choice((0, 1, 1, 2, 5))
    if n > 3 and rng.random() < 0.2:
        batches = [batch.slice(1, 2), batch.slice(3)]
    return stream_of(batch.schema, batches, rng.choice((None, None, "lz4", "zstd")))
