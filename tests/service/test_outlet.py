"""Log lines never wait for who reads them; what cannot be kept is counted."""

import io
import json
import os
from collections.abc import Iterator
from typing import TextIO

import pytest

from service import outlet
from service.outlet import Outlet

LINE = '{"event":"request","text":"%s"}\n' % ("x" * 100)


def _dropped(n: int) -> str:
    return json.dumps({"dropped": n}) + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    end, start = os.pipe()
    with os.fdopen(start, "w") as stream:
        yield end, stream
    os.close(end)


def _drained(out: Outlet, end: int) -> list[dict[str, object]]:
    """All that was written, read until nothing waits."""
    data = b""
    os.set_blocking(end, False)
    while True:
        out.push()
        try:
            data += os.read(end, 1 << 20)
        except BlockingIOError:
            return [json.loads(line) for line in data.splitlines()]


def test_lines_go_out_at_once_where_there_is_room(pipe: tuple[int, TextIO]) -> None:
    end, stream = pipe
    out = Outlet(stream, _dropped)
    out.write(LINE * 3)
    assert not out.waits
    assert len(_drained(out, end)) == 3


def test_a_pipe_that_nobody_reads_is_not_waited_for_and_loses_nothing_within_the_limit(
    pipe: tuple[int, TextIO],
) -> None:
    end, stream = pipe
    out = Outlet(stream, _dropped)
    for _ in range(100):
        out.write(LINE * 50)  # 650 KB into a pipe of 64
    assert out.waits
    assert len(_drained(out, end)) == 5000
    assert not out.waits


def test_what_is_dropped_is_counted_and_told(pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "WAITING_BYTES", 10_000)
    end, stream = pipe
    out = Outlet(stream, _dropped)
    for _ in range(1000):
        out.write(LINE)
    assert out.dropped
    *lines, last = _drained(out, end)
    assert last == {"dropped": 1000 - len(lines)}
    assert all(line["event"] == "request" for line in lines)
    out.write(LINE)
    assert len(_drained(out, end)) == 1


def test_nothing_waits_for_a_reader_that_has_gone() -> None:
    end, start = os.pipe()
    os.close(end)
    with os.fdopen(start, "w") as stream:
        out = Outlet(stream, _dropped)
        with pytest.raises(BrokenPipeError):
            out.write(LINE)
        assert not out.waits


def test_a_stream_that_is_no_file_is_just_written_to() -> None:
    stream = io.StringIO()
    Outlet(stream, _dropped).write(LINE)
    assert stream.getvalue() == LINE
