"""A data team's upload: a file with an Arrow stream, sent at the socket's speed, its reply read to the end and checked.

python -m loadtests.upload URL FILE [--path /v1/segment?…] [--seconds S]   (again and again for S seconds; prints JSON)
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import time
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa

from loadtests.users import ARROW

__all__ = ["Incomplete", "Uploaded", "read_reply", "upload"]

SEGMENT = "/v1/segment?occasion=row"


class Incomplete(Exception):
    """The reply broke off, or does not say that it is complete."""


class Uploaded(NamedTuple):
    """What came back: the status, and for 200 the rows of a complete reply; `detail` says why not."""

    status: int
    customers: int
    seconds: float
    detail: str = ""


def upload(url: str, file: Path, path: str = SEGMENT, *headers: str) -> Uploaded:
    """Sends the file with its length told in advance, which costs this side next to nothing; Incomplete, or OSError."""
    started = time.monotonic()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)
    connection.putrequest("POST", path, skip_accept_encoding=True)
    for header in (f"Content-Type: {ARROW}", f"Content-Length: {file.stat().st_size}", *headers):
        connection.putheader(*header.split(": ", 1))
    try:
        connection.endheaders()
        with file.open("rb") as body:
            connection.sock.sendfile(body)
        reply = connection.getresponse()
        if reply.status != http.client.OK:
            return Uploaded(reply.status, 0, time.monotonic() - started, reply.read().decode())
        customers = read_reply(reply)
        reply.read()  # the end of the stream is not yet the end of the reply: who leaves before it has gone away
        return Uploaded(reply.status, customers, time.monotonic() - started)
    except (http.client.HTTPException, pa.ArrowInvalid) as error:
        raise Incomplete(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def read_reply(reply: IO[bytes]) -> int:
    """The customers of a reply as an Arrow stream, once its closing batch says that it is complete."""
    customers, status = 0, b""
    with pa.ipc.open_stream(reply) as reader:
        while True:
            try:
                batch, metadata = reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                break
            except OSError as error:
                raise Incomplete(str(error)) from error
            customers += batch.num_rows
            status = b"" if metadata is None else metadata.get(b"status", b"")
    if status != b"complete":
        raise Incomplete("no closing batch")
    return customers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--path", default=SEGMENT)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--every", type=float, default=0.0, help="seconds from one start to the next; 0: at once")
    args = parser.parse_args()
    start = time.monotonic()
    for number in range(10**9):
        if number and time.monotonic() - start >= args.seconds:
            break
        time.sleep(max(0.0, start + number * args.every - time.monotonic()))  # the next start is due
        try:
            done = upload(args.url, args.file, args.path)
        except (Incomplete, OSError) as error:
            done = Uploaded(0, 0, 0.0, f"{type(error).__name__}: {error}")
        print(json.dumps(done._asdict()), flush=True)
    os._exit(0)  # pyarrow's pools need not be taken down


if __name__ == "__main__":
    main()
