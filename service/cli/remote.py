"""A request to a server: Arrow batches up in chunks while they are read, the reply's batches down as they come."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import pyarrow as pa

from proto.bundle import AnyModel, load_any
from proto.media import Media
from proto.summary import Summary
from service.cli.failures import UserError
from service.cli.inputs import Source
from service.cli.result import Kind, Result
from service.cli.table import summary_of

__all__ = ["client", "fetch_model", "run_remote"]

CUT = "The reply was cut"


def client(url: str, key: str | None = None) -> httpx.Client:
    """An HTTP client for `url`. Reading has no timeout: a large fit takes the time it takes; connecting has one."""
    address = url if "://" in url else f"http://{url}"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx.Timeout(None, connect=10.0)
    return httpx.Client(base_url=address, headers=headers, timeout=timeout, follow_redirects=True)


@contextmanager
def run_remote(
    url: str,
    kind: Kind,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    query: dict[str, str],
    model: bytes | None = None,
    key: str | None = None,
    mapping: Source | None = None,
) -> Iterator[Result]:
    """Sends the batches, a mapping of households ahead of them, and gives the reply while the connection is open.

    Without a server to reach, with an error for an answer or a reply that ends early: UserError.
    """
    if model is not None:
        schema = schema.with_metadata({**(schema.metadata or {}), b"segserve.model": model})
    accept = Media.JSON if kind == "fit" else Media.ARROW
    headers = {"Content-Type": Media.ARROW.value, "Accept": accept.value}
    with _reachable(url), client(url, key) as http:
        ahead = () if mapping is None else _upload(mapping.schema, mapping.batches())
        body = itertools.chain(ahead, _upload(schema, batches))
        with http.stream("POST", f"/v1/{kind}", params=query, headers=headers, content=body) as response:
            if response.status_code != httpx.codes.OK:
                raise _refused(response)
            yield _fitted(response) if kind == "fit" else _streamed(response)


def fetch_model(url: str, name: str, key: str | None = None) -> AnyModel:
    """The model of that name that a server was started with."""
    with _reachable(url), client(url, key) as http, http.stream("GET", f"/v1/models/{name}") as response:
        if response.status_code != httpx.codes.OK:
            raise _refused(response)
        return load_any(response.read())


@contextmanager
def _reachable(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise UserError("No server answers", f"{url}: {error}", "Start one with `segserve serve`.") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise UserError("Not an address", f"{url}: {error}") from None
    except httpx.RemoteProtocolError as error:
        raise UserError(CUT, f"The connection to {url} broke: {error}. Nothing was written.") from None
    except httpx.TransportError as error:
        raise UserError("The connection failed", f"{url}: {error}") from None


def _upload(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """The Arrow stream in pieces, one per batch; the sink is emptied after each, so memory stays that of a batch."""
    sink = io.BytesIO()

    def taken() -> bytes:
        data = sink.getvalue()
        sink.seek(0)
        sink.truncate()
        return data

    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield taken()
    yield taken()


def _refused(response: httpx.Response) -> UserError:
    """The problem+json of an answer that is not 200."""
    try:
        body = response.read()
    except httpx.TransportError:
        body = b""
    try:
        said: dict[str, Any] = orjson.loads(body)
        detail = str(said["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        text = body[:500].decode("utf-8", "replace").strip() or response.reason_phrase
        return UserError(f"The server answered {response.status_code}", text)
    hints = [f"{name}: {said[name]}" for name in ("code", "request_id") if name in said]
    if response.status_code == httpx.codes.UNAUTHORIZED:
        hints.append("send a key with --api-key or SEGSERVE_API_KEY")
    if "retry-after" in response.headers:
        hints.append(f"try again in {response.headers['retry-after']} s")
    return UserError(str(said.get("title", f"The server answered {response.status_code}")), detail, *hints)


def _fitted(response: httpx.Response) -> Result:
    model = load_any(response.read())
    summary = summary_of(model)
    return Result(summary, model, None, iter(()), summary.counts.rows_in, summary.counts.customers_out)


def _streamed(response: httpx.Response) -> Result:
    try:
        reader = pa.ipc.open_stream(pa.PythonFile(io.BufferedReader(_Chunks(response.iter_bytes())), "r"))
    except pa.ArrowInvalid as error:
        raise UserError(CUT, f"The reply is no Arrow stream: {error}") from None
    metadata = reader.schema.metadata or {}
    summary = Summary.model_validate_json(metadata[b"segserve.summary"])
    sent = metadata.get(b"segserve.model")
    counts = summary.counts
    batches = _until_marked(reader, counts.customers_out)
    model = None if sent is None else load_any(sent)
    return Result(summary, model, reader.schema, batches, counts.rows_in, counts.customers_out)


def _until_marked(reader: pa.RecordBatchStreamReader, expected: int) -> Iterator[pa.RecordBatch]:
    """The batches up to the closing marker, which proves that none is missing."""
    rows = 0
    marker: dict[bytes, bytes] | None = None
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            break
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(CUT, f"After {rows:,} customers: {error}") from None
        if metadata is not None and b"status" in metadata:
            marker = dict(metadata)
        if batch.num_rows:
            rows += batch.num_rows
            yield batch
    if marker is None or marker[b"status"] != b"complete" or int(marker[b"customers_out"]) != rows:
        raise UserError(CUT, f"It holds {rows:,} of {expected:,} customers and no closing marker. Nothing was written.")


class _Chunks(io.RawIOBase):
    """An iterator of bytes as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        n = min(len(buffer), len(self._rest))
        memoryview(buffer).cast("B")[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n
