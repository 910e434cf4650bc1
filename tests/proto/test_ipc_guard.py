import struct

import pyarrow as pa
import pytest

from proto.errors import ErrorCode, RequestError
from proto.ipc_guard import BATCH, SCHEMA, check_compressed, read_header
from proto.limits import Limits

LIMITS = Limits()


def metadata(message: pa.Buffer) -> bytearray:
    """Metadata of an encapsulated message, without its prefix."""
    data = message.to_pybytes()
    (length,) = struct.unpack_from("<i", data, 4)
    return bytearray(data[8 : 8 + length])


VIEWS = pa.record_batch({"t": pa.array(["a text that is too long to be inline"] * 3, pa.string_view())})
PLAIN = pa.record_batch({"n": pa.array(range(77), pa.int64())})


def test_headers() -> None:
    header = read_header(memoryview(metadata(PLAIN.schema.serialize())), LIMITS)
    assert (header.kind, header.body_bytes, header.compressed) == (SCHEMA, 0, None)
    header = read_header(memoryview(metadata(PLAIN.serialize())), LIMITS)
    assert (header.kind, header.body_bytes >= 77 * 8, header.compressed) == (BATCH, True, None)


@pytest.mark.parametrize("value", [-1, 1 << 20, 1 << 62])
@pytest.mark.parametrize("found", [77, 77 * 8])
def test_hostile_lengths(found: int, value: int) -> None:
    """Rows and buffer lengths, set to what nobody should allocate."""
    data = metadata(PLAIN.serialize())
    at = data.index(struct.pack("<q", found))
    data[at : at + 8] = struct.pack("<q", value)
    with pytest.raises(RequestError) as caught:
        read_header(memoryview(data), LIMITS._replace(max_rows_per_batch=1000, max_message_bytes=1000))
    assert caught.value.code in (ErrorCode.LIMIT_EXCEEDED, ErrorCode.MALFORMED_BODY)


def test_view_buffers_are_counted() -> None:
    data = metadata(VIEWS.serialize())
    # The vector of counts: its length 1, then the count 1 as int64.
    vector = struct.pack("<Iq", 1, 1)
    at = data.index(vector)
    assert read_header(memoryview(data), LIMITS).kind == BATCH
    for hostile in (struct.pack("<Iq", 1, 1 << 31), struct.pack("<Iq", 1, -1), struct.pack("<Iq", 1 << 31, 1)):
        data[at : at + len(hostile)] = hostile
        with pytest.raises(RequestError, match="view"):
            read_header(memoryview(data), LIMITS)


def test_every_cut_of_a_header_is_refused_or_read() -> None:
    data = metadata(PLAIN.serialize())
    for end in range(len(data)):
        try:
            read_header(memoryview(data)[:end], LIMITS)
        except RequestError as error:
            assert error.code is ErrorCode.MALFORMED_BODY  # noqa: PT017  some cuts lose padding only


@pytest.mark.parametrize(
    ("body", "buffers", "says"),
    [
        (struct.pack("<q", 1 << 40), [(0, 8)], "max_message_bytes"),
        (struct.pack("<qq", 200, 200), [(0, 8), (8, 8)], "max_message_bytes"),
        (struct.pack("<q", -2), [(0, 8)], "-2"),
        (struct.pack("<q", 5), [(0, 4)], "too short"),
    ],
)
def test_compressed_buffers(body: bytes, buffers: list[tuple[int, int]], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        check_compressed(buffers, memoryview(body), Limits(max_message_bytes=300))


def test_stored_buffers_count_as_they_are() -> None:
    check_compressed([(0, 8), (8, 0)], memoryview(struct.pack("<q", -1)), Limits(max_message_bytes=0))
