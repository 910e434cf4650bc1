import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.csv_framing import MAX_ROW_BYTES, CsvFramer
from proto.errors import RequestError
from proto.limits import Limits

FIELD = st.text(st.sampled_from('ab",\n\r é'), max_size=6)


def parsed(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@given(
    table=st.lists(st.lists(FIELD, min_size=2, max_size=2), min_size=1, max_size=30),
    cuts=st.lists(st.integers(0, 400), max_size=10),
    size=st.integers(1, 60),
)
def test_pieces_are_whole_rows(table: list[list[str]], cuts: list[int], size: int) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(table)
    body = text.getvalue().encode()
    edges = sorted(min(cut, len(body)) for cut in cuts)
    framer = CsvFramer(Limits(), size)
    frames = []
    for a, b in zip([0, *edges], [*edges, len(body)], strict=True):
        frames += framer.feed(body[a:b])
    frames += framer.finish()
    assert b"".join(frame.data for frame in frames) == body
    assert [row for frame in frames for row in parsed(frame.data)] == parsed(body)


def test_an_open_quote_is_named() -> None:
    framer = CsvFramer(Limits())
    framer.feed(b'a,b\n1,"2\n')
    with pytest.raises(RequestError, match="quote"):
        framer.finish()


def test_an_open_quote_does_not_grow_without_end() -> None:
    framer = CsvFramer(Limits(max_message_bytes=1000), 100)
    framer.feed(b'"' + b"x\n" * 499)
    with pytest.raises(RequestError, match="CSV row"):
        framer.feed(b"x\n" * 501)


def test_a_row_without_end_is_refused_long_before_a_message_would_be() -> None:
    framer = CsvFramer(Limits(), 100)
    framer.feed(bytes(MAX_ROW_BYTES))
    with pytest.raises(RequestError, match="CSV row") as caught:
        framer.feed(bytes(MAX_ROW_BYTES))
    assert caught.value.facts["wanted"] == MAX_ROW_BYTES


def test_an_empty_body() -> None:
    with pytest.raises(RequestError, match="empty"):
        CsvFramer(Limits()).finish()
