"""A reply that was cut is never taken for a whole one, and slow clients tell how they were ended."""

import asyncio
import io
from http import HTTPStatus
from pathlib import Path

import pyarrow as pa
import pytest

from loadtests.load.scenarios import SCENARIOS
from loadtests.reliability.slow_clients import KINDS, slow_clients
from loadtests.upload import Incomplete, read_reply, upload

BATCH = pa.record_batch({"customer_id": pa.array([1, 2, 3])})


def _reply(status: bytes | None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, BATCH.schema) as writer:
        writer.write_batch(BATCH)
        if status is not None:
            writer.write_batch(BATCH.slice(0, 0), custom_metadata={"status": status})
    return sink.getvalue().to_pybytes()


def test_a_complete_reply_tells_its_customers() -> None:
    assert read_reply(io.BytesIO(_reply(b"complete"))) == 3


@pytest.mark.parametrize("reply", [_reply(None), _reply(b"failed"), _reply(b"complete")[:200]])
def test_any_other_is_incomplete(reply: bytes) -> None:
    with pytest.raises((Incomplete, pa.ArrowInvalid)):
        read_reply(io.BytesIO(reply))


def test_an_upload_is_sent_whole_and_its_refusal_is_told(tmp_path: Path) -> None:
    file = tmp_path / "rows.arrows"
    file.write_bytes(_reply(b"complete"))
    received = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        received.append((head, await reader.readexactly(file.stat().st_size)))
        writer.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nfull")
        writer.close()

    async def both() -> tuple[int, int, str]:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            done = await asyncio.to_thread(upload, url, file)
            return done.status, done.customers, done.detail

    assert asyncio.run(both()) == (HTTPStatus.SERVICE_UNAVAILABLE, 0, "full")
    assert received[0][1] == file.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_slow_clients_tell_how_they_were_ended(kind: str) -> None:
    """A server that answers 408 to whatever it has first heard, and closes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 408 Late\r\n")
        writer.close()

    async def one_of_them() -> None:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for end in await slow_clients(url, kind, 1, 20.0):
                assert end.by_server
                assert "HTTP/1.1 408 Late".startswith(end.told)

    asyncio.run(one_of_them())


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_kind_of_request_has_a_threshold(name: str) -> None:
    scenario = SCENARIOS[name]
    assert scenario.rates.keys() == scenario.thresholds.keys()
    assert bool(scenario.uploaders) == bool(scenario.upload_p50_seconds)
