"""A client of pyarrow and the standard library: a Table in, a Table out, encoding and decoding included."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pyarrow as pa

from loadtests.bench.ours import BATCH_ROWS

__all__ = ["ARROW", "post_table", "stream_bytes"]

ARROW = "application/vnd.apache.arrow.stream"


def post_table(url: str, path: str, table: pa.Table) -> pa.Table:
    """Sends the table as it is encoded, batch by batch, with its length told in advance; decodes the reply."""
    counter = pa.MockOutputStream()  # counts, and copies nothing
    _write(table, counter)
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.putrequest("POST", path, skip_accept_encoding=True)
    connection.putheader("Content-Type", ARROW)
    connection.putheader("Content-Length", str(counter.size()))
    connection.endheaders()
    with connection.sock.makefile("wb") as sink:
        _write(table, pa.PythonFile(sink, "w"))
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    if reply.status != http.client.OK:
        raise SystemExit(body.decode())
    return pa.ipc.open_stream(pa.py_buffer(body)).read_all()


def stream_bytes(table: pa.Table) -> pa.Buffer:
    """The table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    _write(table, sink)
    return sink.getvalue()


def _write(table: pa.Table, sink: object) -> None:
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)
