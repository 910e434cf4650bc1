"""A plain uvloop socket that takes bytes and drops them: the most an upload in this language can reach.

python -m loadtests.bench.raw_sink   (prints its port)
"""

from __future__ import annotations

import asyncio

import uvloop

LENGTH_BYTES = 8
SINK_BYTES = 1 << 20


class _Sink(asyncio.BufferedProtocol):
    """Reads a length in 8 bytes, then that much into one buffer, again and again; answers with one byte."""

    def __init__(self) -> None:
        self._room = memoryview(bytearray(SINK_BYTES))
        self._left = -LENGTH_BYTES

    def connection_made(self, transport: asyncio.WriteTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room[:LENGTH_BYTES] if self._left == -LENGTH_BYTES else self._room

    def buffer_updated(self, n: int) -> None:
        if self._left == -LENGTH_BYTES:
            assert n == LENGTH_BYTES
            self._left = int.from_bytes(self._room[:LENGTH_BYTES], "little")
            return
        self._left -= n
        if self._left == 0:
            self._left = -LENGTH_BYTES
            self._transport.write(b".")


async def serve() -> None:
    """Serves until it is killed."""
    server = await asyncio.get_running_loop().create_server(_Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
