"""The framers against pyarrow's own stream reader, however the bytes are cut."""

import struct
from collections.abc import Callable, Iterator

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.errors import ErrorCode, RequestError
from proto.framing import ArrowFramer, Frame, check_stream
from proto.limits import Limits

LIMITS = Limits()


def batch(n: int, start: int = 0) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "customer_id": pa.array([f"c{start + i}" for i in range(n)], pa.utf8()),
            "n": pa.array(range(start, start + n), pa.int32()),
            "tag": pa.array([f"t{i % 3}" for i in range(n)], pa.utf8()).dictionary_encode(),
        }
    )


def stream(batches: list[pa.RecordBatch], schema: pa.Schema | None = None, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema or batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for one in batches:
            writer.write_batch(one)
    return bytes(sink.getvalue().to_pybytes())


BODIES = {
    "one": stream([batch(5)]),
    "three": stream([batch(4), batch(0), batch(7, 4)]),
    "none": stream([], batch(0).schema),
    "legacy": stream([batch(5)], use_legacy_format=True),
    "lz4": stream([batch(100)], compression="lz4"),
    "zstd": stream([batch(100)], compression="zstd"),
    "deltas": stream([batch(1), batch(2), batch(3)], emit_dictionary_deltas=True),
}


def framed(body: bytes, cuts: list[int], limits: Limits = LIMITS) -> list[Frame]:
    framer = ArrowFramer(limits)
    frames: list[Frame] = []
    for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True):
        frames += framer.feed(memoryview(body)[a:b])
    return frames + framer.finish()


def reread(frames: list[Frame]) -> list[pa.RecordBatch]:
    whole = b"".join(frame.data.to_pybytes() for frame in frames)
    return list(pa.ipc.open_stream(whole))


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_cut_gives_the_same_messages(name: str, data: st.DataObject) -> None:
    body = BODIES[name]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    frames = framed(body, cuts)
    assert reread(frames) == list(pa.ipc.open_stream(body))
    assert [f.kind for f in frames] == [f.kind for f in framed(body, [])]
    assert all(frame.size == frame.data.size for frame in frames)


@pytest.mark.parametrize("name", BODIES)
def test_byte_by_byte(name: str) -> None:
    body = BODIES[name]
    assert reread(framed(body, list(range(1, len(body))))) == list(pa.ipc.open_stream(body))


def outcome(read: Callable[[], object]) -> str:
    try:
        read()
    except RequestError as error:
        return str(error.code)
    return "fine"


@pytest.mark.parametrize("name", BODIES)
def test_cut_at_every_byte(name: str) -> None:
    body = BODIES[name]
    for end in range(len(body)):
        cut = body[:end]
        streamed = outcome(lambda cut=cut: framed(cut, []))  # type: ignore[misc]
        whole = outcome(lambda cut=cut: check_stream(memoryview(cut), LIMITS))  # type: ignore[misc]
        assert streamed == whole, end
        # A stream may lack its end marker, as in pyarrow; then all its batches are whole.
        assert streamed in ("truncated_body", "fine")
        if streamed == "fine":
            assert list(pa.ipc.open_stream(cut)) == list(pa.ipc.open_stream(body))[: len(list(pa.ipc.open_stream(cut)))]


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_flipped_bytes_never_escape(name: str, data: st.DataObject) -> None:
    """Whatever a byte is changed to: a RequestError, or messages within the limits."""
    body = bytearray(BODIES[name])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    limits = Limits(max_message_bytes=1 << 20, max_metadata_bytes=1 << 16)
    streamed = outcome(lambda: framed(bytes(body), [len(body) // 2], limits))
    whole = outcome(lambda: check_stream(memoryview(body), limits))
    assert (streamed == "fine") == (whole == "fine")


def test_other_formats_are_named() -> None:
    for start, says in (
        (b"ARROW1\0\0........", "file format"),
        (b"PAR1............", "Parquet"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0", "gzip"),
        (b"\x28\xb5\x2f\xfd\0\0\0\0", "zstd"),
        (b'{"columns": {}}', "JSON"),
        (b"customer_id,timestamp,amount\n", "CSV"),
        (b"\0\0\0\0\0\0\0\0", "starts with"),
    ):
        for read in (lambda s: framed(s, []), lambda s: check_stream(memoryview(s), LIMITS)):
            with pytest.raises(RequestError, match=says) as caught:
                read(start)
            assert caught.value.code is ErrorCode.MALFORMED_BODY


def test_an_empty_body_is_truncated() -> None:
    assert (
        outcome(lambda: framed(b"", [])) == outcome(lambda: check_stream(memoryview(b""), LIMITS)) == "truncated_body"
    )


@pytest.mark.parametrize("cut", range(0, 64, 5))
def test_what_stands_before_a_fault_is_handed_over_first(cut: int) -> None:
    good = stream([batch(3), batch(2)])
    body = good + b"more"
    framer = ArrowFramer(LIMITS)
    frames = framer.feed(body[: len(body) - cut])
    try:
        frames += framer.feed(body[len(body) - cut :])
    except RequestError as error:
        told = error
    else:
        with pytest.raises(RequestError) as caught:
            framer.finish()
        told = caught.value
    assert "follow its end" in told.detail
    assert [frame.kind for frame in frames] == [frame.kind for frame in framed(good, [])]


def test_what_follows_the_end_is_refused() -> None:
    twice = BODIES["one"] * 2
    assert outcome(lambda: framed(twice, [])) == outcome(lambda: check_stream(memoryview(twice), LIMITS))
    with pytest.raises(RequestError, match="follow its end"):
        framed(twice, [])


def small_limits() -> Iterator[tuple[str, Limits, bytes]]:
    yield "max_message_bytes", Limits(max_message_bytes=16), BODIES["one"]
    yield "max_metadata_bytes", Limits(max_metadata_bytes=16), BODIES["one"]
    yield "max_rows_per_batch", Limits(max_rows_per_batch=4), BODIES["one"]
    yield "max_body_bytes", Limits(max_body_bytes=64), BODIES["one"]


@pytest.mark.parametrize(
    ("limit", "limits", "body"), list(small_limits()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_limits_have_names(limit: str, limits: Limits, body: bytes) -> None:
    for read in (lambda: framed(body, [], limits), lambda: check_stream(memoryview(body), limits)):
        with pytest.raises(RequestError) as caught:
            read()
        assert caught.value.code is ErrorCode.LIMIT_EXCEEDED
        assert caught.value.facts["limit"] == limit


def test_a_declared_body_takes_no_memory_before_it_is_allowed() -> None:
    body = bytearray(stream([batch(5)]))
    taken = pa.total_allocated_bytes()
    # bodyLength of the first batch message: found as its value, 8 bytes, in the metadata
    frames = framed(bytes(body), [])
    last = frames[-1].data.to_pybytes()
    (metadata,) = struct.unpack_from("<i", last, 4)
    length = struct.pack("<q", len(last) - 8 - metadata)
    at = body.rindex(length, 0, body.rindex(last) + 8 + metadata)
    body[at : at + 8] = struct.pack("<q", 1 << 40)
    del frames
    with pytest.raises(RequestError, match="max_message_bytes"):
        framed(bytes(body), [])
    assert pa.total_allocated_bytes() <= taken + 4096


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_bombs_are_refused_before_they_open(codec: str) -> None:
    bomb = stream([pa.record_batch({"n": pa.array([0] * 1_000_000, pa.int64())})], compression=codec)
    assert len(bomb) < 100_000
    limits = Limits(max_message_bytes=4 << 20)
    for read in (lambda: framed(bomb, [], limits), lambda: check_stream(memoryview(bomb), limits)):
        with pytest.raises(RequestError, match="8,000,0"):
            read()


def test_polars_streams() -> None:
    body = pl.DataFrame({"a": ["x", "a text that is too long to be inline"], "b": [1, 2]}).write_ipc_stream(None)
    assert reread(framed(body.getvalue(), [7, 100])) == list(pa.ipc.open_stream(body.getvalue()))
