"""One request's synchronous side: a reader feeding a job, timed by stage; one call at a time, in worker threads."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl

import orjson

from proto.bundle import AnyModel, dump_any, households_of, partition_of, shared_of
from proto.errors import ErrorCode, RequestError
from proto.framing import Frame, check_stream
from proto.limits import Limits
from proto.media import Media, Shape
from proto.options import FitOptions, ScoreOptions, parse_options
from proto.schemas import Roles, assign
from service.budget import Reservation, decoding_bytes, reply_bytes
from service.grouping import with_group
from service.mapping import MemberMapping
from service.metrics import StageTimer
from service.models import ModelStore, inline_model
from service.outcome import AnyOutcome
from service.pipeline import Job, Options
from service.readers import decode_whole, open_reader
from service.rollup import wishes_for
from service.schemes.request import check
from service.threads import ThreadTeam
from service.writers import encode

__all__ = ["Cancelled", "Work", "options_of"]

INLINE = "inline"
GROWN_BYTES = 1 << 20
"""What a small body may become without being taken for a large one: decompressing so much takes a millisecond."""


class Cancelled(Exception):
    """The client is gone; nobody will read the answer."""


@functools.lru_cache(maxsize=1024)
def options_of(kind: type[Options], query: bytes) -> Options:
    """Options of a query string; callers repeat the same few."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace")
    options = parse_options(kind, pairs)
    check(options)
    return options


class Work:
    """Body pieces in, reply pieces out.

    The model is the named one, or the one that comes with the data; for segment and fit it is the one to start from
    (`init=` a name, or `init=inline`).
    """

    def __init__(
        self,
        options: Options,
        media_in: Media,
        content_encoding: str | None,
        *,
        store: ModelStore,
        limits: Limits,
        team: ThreadTeam,
        timer: StageTimer,
        expected_bytes: int | None,
        memory: Reservation | None = None,
    ) -> None:
        self._options, self._limits, self._timer = options, limits, timer
        self._media_in, self._content_encoding = media_in, content_encoding
        self._memory = memory or Reservation()
        self._cancelled = threading.Event()
        named = options.model if isinstance(options, ScoreOptions) else options.init
        self._takes_inline = named is None if isinstance(options, ScoreOptions) else named == INLINE
        self._model: AnyModel | None = store.get(named) if named is not None and named != INLINE else None
        self._shape: Shape = "columns"
        self._job_arguments: dict[str, Any] = {
            "limits": limits,
            "team": team,
            "now_ns": time.time_ns(),
            "expected_bytes": expected_bytes,
            "check": self._check,
            "memory": self._memory,
        }
        households = households_of(options, shared_of(self._model) if isinstance(options, ScoreOptions) else None)
        self._mapping = MemberMapping(households, limits, self._memory)
        self._job: Job | None = None
        self._started = False
        self._grows: bool | None = None  # until it is known
        self._reader = open_reader(media_in, self._wanted, limits, content_encoding, self._memory, self._mapping)

    def cancel(self) -> None:
        """Ends the work at its next step. From any thread."""
        self._cancelled.set()

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def _wanted(self, names: Sequence[str] | None, found: Any) -> Roles:
        if self._takes_inline:
            if found is not None:
                self._model = inline_model(found)
            elif not isinstance(self._options, ScoreOptions):
                raise RequestError(
                    ErrorCode.MISSING_MODEL,
                    "init=inline starts from the model that comes with the data, and there is none (Arrow or Parquet "
                    'schema metadata "segserve.model", or "model" in a JSON body).',
                    option="init",
                )
        elif found is not None and isinstance(self._options, ScoreOptions):
            raise RequestError(
                ErrorCode.CONFLICTING_OPTIONS,
                f"There is a model with the data, and model={self._options.model} names another; send one of the two.",
                option="model",
            )
        self._job = Job(self._options, self._model, mapping=self._mapping, **self._job_arguments)
        if isinstance(self._options, ScoreOptions):
            self._job.require_model()
        scoring = shared_of(self._model) if isinstance(self._options, ScoreOptions) else None
        if self._mapping.is_there:
            self._mapping.check_use(households_of(self._options, scoring))
        wanted = wishes_for(self._options, scoring, mapped=self._mapping.is_there)
        return assign(names, self._options, scoring, with_group(wanted, partition_of(self._options, self._model)))

    # Taking the body

    def feed(self, chunk: bytes | memoryview) -> list[Frame]:
        """The pieces that are complete with this chunk. Event loop; frames only."""
        if self._media_in is not Media.PARQUET:  # which goes to a file
            self._memory.add("body", len(chunk))
        return self._reader.feed(chunk)

    def end(self) -> list[Frame]:
        """The pieces that are complete with the end of the body. Event loop."""
        return self._reader.finish()

    def take(self, pieces: Sequence[Frame]) -> None:
        """Decodes and aggregates some pieces."""
        for piece in pieces:
            self._check()
            if not self._content_encoding and self._media_in is not Media.PARQUET:
                self._memory.set("decode", piece.decompressed_bytes + decoding_bytes(self._media_in, piece.size))
            batches = self._reader.decode(piece)
            while True:
                with self._timer.stage("decode"):
                    batch = next(batches, None)
                self._start()
                if batch is None:
                    break
                with self._timer.stage("aggregate"):
                    assert self._job is not None
                    self._job.add(batch)
            if self._media_in is not Media.PARQUET:
                self._memory.add("body", -piece.size)
        self._memory.set("decode", 0)

    def grows(self, body: bytes) -> bool:
        """Whether the compressed buffers of a small Arrow body say that they become much; its headers are looked at.

        So does one that may be two streams, a mapping and the data, and one that is damaged: it is read message by
        message as well, so that what is wrong before the damage is told first, as it is of a body in pieces.
        """
        if self._media_in is not Media.ARROW:
            return False
        if self._grows is None:
            try:
                two_streams = self._mapping.column is not None
                self._grows = two_streams or check_stream(memoryview(body), self._limits) > GROWN_BYTES
            except RequestError:
                self._grows = True
        return self._grows

    def take_whole(self, body: bytes) -> None:
        """Decodes and aggregates a body that is small enough to be taken at once."""
        if self._media_in is Media.ARROW and (self._content_encoding or self.grows(body)):
            self.take(self.feed(body))  # each message by itself: all of them may be gigabytes
            self.take(self.end())
            return
        self._memory.set("body", len(body))
        self._memory.set("decode", decoding_bytes(self._media_in, len(body)))
        with self._timer.stage("decode"):
            whole = decode_whole(
                self._media_in, body, self._wanted, self._limits, self._content_encoding, self._mapping
            )
        assert self._job is not None
        self._shape = whole.shape
        self._job.start(whole.schema)
        self._started = True
        with self._timer.stage("aggregate"):
            for batch in whole.batches:
                self._job.add(batch)
        self._memory.set("decode", 0)

    def _start(self) -> None:
        if not self._started and self._reader.schema is not None:
            assert self._job is not None
            self._shape = self._reader.shape
            self._job.start(self._reader.schema)
            self._started = True

    # Answering

    def finish(self) -> AnyOutcome:
        """Fits or scores what came."""
        assert self._job is not None
        with self._timer.stage("compute"):
            return self._job.finish()

    @property
    def rows_in(self) -> int:
        return self._job.rows_in if self._job else 0

    def reply(self, outcome: AnyOutcome, media_out: Media) -> Iterator[bytes]:
        """The reply's pieces."""
        if isinstance(self._options, FitOptions):
            yield dump_any(outcome.model)
            return
        self._memory.set("reply", reply_bytes(outcome.customers_out))
        assert outcome.schema is not None
        pieces = encode(
            media_out,
            self._shape,
            outcome.schema,
            outcome.batches(),
            summary=orjson.dumps(outcome.summary.model_dump(mode="json")),
            model=None if isinstance(self._options, ScoreOptions) else dump_any(outcome.model),
            rows_in=outcome.rows_in,
            customers_out=outcome.customers_out,
        )
        while True:
            self._check()
            with self._timer.stage("encode"):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def close(self) -> None:
        """Gives back what the request holds."""
        self._reader.close()
        self._job = None
