"""From a small scoring body to its reply, by what is remembered of its form."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from proto.bundle import Bundle
from proto.errors import RequestError
from proto.limits import Limits
from proto.media import Media, media_of, negotiate
from proto.model import Model
from proto.options import ScoreOptions
from proto.roles import assign
from proto.schemas import MODEL_KEY, check_schema
from service.models import ModelStore, inline_model
from service.quick.arrow_body import ArrowLayout, head_of, layout_of, only_batch, schema_bytes
from service.quick.arrow_reply import ArrowReply
from service.quick.few import MAX_CUSTOMERS, MAX_ROWS, Few, Rows
from service.quick.form import Form, NotPlain
from service.quick.json_body import JsonLayout, JsonReply, columns_in, plain_columns, rows_of
from service.quick.remembered import Remembered
from service.work import options_of

__all__ = ["QuickPath", "QuickReply"]

_MEDIA = {media: media.encode() for media in Media}

Headers = tuple[bytes, bytes, bytes]
"""Query string, Content-Type, Accept: with the form of the body, all that a small reply depends on."""

MAX_HEADER_BYTES = 4_096
MAX_HEAD_BYTES = 128 << 10  # a schema with an inline model takes some 50 KB
ROUTES_BYTES, FORMS_BYTES, LAYOUTS_BYTES, SEEN_BYTES = 1 << 20, 64 << 20, 16 << 20, 1 << 20
FORM_BYTES = 2 << 20  # about what a form holds at most, with its prepared messages
ENTRY_BYTES = 500


class QuickReply(NamedTuple):
    """A reply, and what is to be told of it."""

    body: bytes
    media: bytes
    rows_in: int
    customers_out: int
    seconds: dict[str, float]
    """Spent in each stage."""


class Route(NamedTuple):
    """What query and headers say."""

    options: ScoreOptions
    media: Media
    model: Model | None
    """None: it comes with the data."""
    number: int
    """Stands for query and headers in what is remembered of bodies."""


class Prepared(NamedTuple):
    """A form, and who writes its replies."""

    form: Form
    writer: ArrowReply | JsonReply


class QuickPath:
    """Remembers the forms of small scoring requests, and answers those it knows."""

    def __init__(self, store: ModelStore, limits: Limits) -> None:
        self._store, self._limits = store, limits
        self._routes: Remembered[Route | Any] = Remembered(ROUTES_BYTES)
        self._forms: Remembered[Prepared | Any] = Remembered(FORMS_BYTES)
        self._layouts: Remembered[tuple[Prepared, ArrowLayout]] = Remembered(LAYOUTS_BYTES)
        self._documents: Remembered[tuple[Prepared, JsonLayout]] = Remembered(LAYOUTS_BYTES)
        self._numbers = itertools.count()
        self._seen: Remembered[bool] = Remembered(SEEN_BYTES)

    @staticmethod
    def is_open(limits: Limits, small_body_bytes: int) -> bool:
        """Whether no limit of the service is so low that a small request could pass it."""
        sizes = (
            limits.max_body_bytes,
            limits.max_message_bytes,
            limits.max_metadata_bytes,
            limits.max_document_bytes,
            limits.max_string_bytes,
        )
        counts = limits.max_rows_per_batch, limits.max_rows, limits.max_pairs
        return small_body_bytes <= min(sizes) and min(counts) >= MAX_ROWS and limits.max_customers >= MAX_CUSTOMERS

    def route(self, headers: Headers) -> Route | None:
        """What these headers ask for; None where that is left to the general path."""
        found = self._routes.get(headers)
        if found is None and sum(map(len, headers)) <= MAX_HEADER_BYTES:
            found = self._new_route(*headers) or _NOTHING
            self._routes.put(headers, found, ENTRY_BYTES + sum(map(len, headers)))
        return found if isinstance(found, Route) else None

    def _new_route(self, query: bytes, content_type: bytes, accept: bytes) -> Route | None:
        try:
            options = options_of(ScoreOptions, query)
            assert isinstance(options, ScoreOptions)
            if options.where is not None or options.rollup is not None:
                return None  # rows that are to be left out, or are of members, are no plain ones
            media = media_of(content_type.decode("latin-1"))
            if media not in (Media.ARROW, Media.JSON) or negotiate(accept.decode("latin-1"), media) is not media:
                return None
            model = None if options.model is None else self._store.get(options.model)
            if isinstance(model, Bundle):
                return None
        except RequestError:
            return None
        if options.schemes:
            return None
        return None if model is None and media is Media.JSON else Route(options, media, model, next(self._numbers))

    def answer(self, route: Route, body: bytes) -> QuickReply | None:
        """The reply, where the body is a plain one of a form that is known; None otherwise."""
        start = time.perf_counter()
        found = self._arrow(route, body) if route.media is Media.ARROW else self._json(route, body)
        if found is None:
            return None
        (form, writer), rows = found
        decoded = time.perf_counter()
        few: Few | None = form.customers(rows)
        if few is None:
            return None
        aggregated = time.perf_counter()
        scores = form.score(few)
        if scores is None:
            return None
        computed = time.perf_counter()
        reply = writer.of(few, scores, form.summary.of(few, scores))
        seconds = {
            "decode": decoded - start,
            "aggregate": aggregated - decoded,
            "compute": computed - aggregated,
            "encode": time.perf_counter() - computed,
        }
        return QuickReply(reply, _MEDIA[route.media], few.rows_in, few.n, seconds)

    # Arrow

    def _arrow(self, route: Route, body: bytes) -> tuple[Prepared, Rows] | None:
        head = head_of(body)
        known = self._layouts.get((route.number, head))
        if known is None:
            known = self._new_layout(route, body, head)
            if known is None:
                return None
        prepared, layout = known
        rows = layout.rows(body)
        return None if rows is None else (prepared, rows)

    def _new_layout(self, route: Route, body: bytes, head: bytes) -> tuple[Prepared, ArrowLayout] | None:
        if len(head) > MAX_HEAD_BYTES:
            return None
        schema = schema_bytes(body)
        key = route.number, schema
        if self._is_new(key):
            return None
        batch = only_batch(body, self._limits)
        if batch is None:
            return None
        prepared = self._form(key, lambda: _arrow_form(route, batch.schema), len(schema))
        if prepared is None:
            return None
        layout = layout_of(body, batch, prepared.form.plan, prepared.form.has_revenue)
        if layout is None:
            return None
        self._layouts.put((route.number, head), (prepared, layout), ENTRY_BYTES + len(head))
        return prepared, layout

    # JSON

    def _json(self, route: Route, body: bytes) -> tuple[Prepared, Rows] | None:
        plain = plain_columns(body)
        known = None if plain is None else self._documents.get((route.number, plain.key))
        if plain is None or known is None:
            return self._unusual_json(route, body, None if plain is None else plain.key)
        prepared, layout = known
        rows = layout.rows(body, plain)
        return None if rows is None else (prepared, rows)

    def _unusual_json(self, route: Route, body: bytes, plain_key: bytes | None) -> tuple[Prepared, Rows] | None:
        """What a JSON library reads; with the key of plain columns, their form is known from then on."""
        columns = columns_in(body)
        if columns is None:
            return None
        names = tuple(columns)
        size = sum(map(len, names))
        if size > MAX_HEADER_BYTES:
            return None
        key = route.number, names
        if self._is_new(key):
            return None
        prepared = self._form(key, lambda: _json_form(route, names), size)
        if prepared is None:
            return None
        if plain_key is not None and plain_key == orjson.dumps(names)[1:-1]:  # else a name stands there twice
            layout = JsonLayout.of(names, prepared.form)
            self._documents.put((route.number, plain_key), (prepared, layout), ENTRY_BYTES + len(plain_key))
        rows = rows_of(columns, prepared.form)
        return None if rows is None else (prepared, rows)

    def _is_new(self, key: Hashable) -> bool:
        """Whether this form comes for the first time: one-off requests are to cost nothing more."""
        if self._forms.get(key) is not None:
            return False
        digest = hash(key)
        if self._seen.get(digest):
            return False
        self._seen.put(digest, True, ENTRY_BYTES)
        return True

    def _form(self, key: Hashable, prepare: Callable[[], Prepared], size: int) -> Prepared | None:
        """The form of this key, prepared if it is not there yet."""
        found = self._forms.get(key)
        if found is None:
            try:
                found = prepare()
            except (RequestError, NotPlain, pa.ArrowException, ValueError):
                found = _NOTHING
            self._forms.put(key, found, size + (FORM_BYTES if found is not _NOTHING else ENTRY_BYTES))
        return found if isinstance(found, Prepared) else None


_NOTHING = object()


def _arrow_form(route: Route, schema: pa.Schema) -> Prepared:
    check_schema(schema)
    inline = (schema.metadata or {}).get(MODEL_KEY)
    model = route.model
    if (inline is None) is (model is None):
        raise NotPlain
    scoring = inline_model(inline) if model is None else model
    if isinstance(scoring, Bundle):
        raise NotPlain
    form = Form(route.options, scoring, schema)
    return Prepared(form, ArrowReply(form))


def _json_form(route: Route, names: tuple[str, ...]) -> Prepared:
    assert route.model is not None
    roles = assign(names, route.options, route.model)
    if roles.kind != "customers":
        raise NotPlain  # times as text are read by pyarrow
    # The type of the ids shows in no JSON.
    types = {roles.customer_id: pa.utf8()} | dict.fromkeys(roles.features, pa.float64())
    form = Form(route.options, route.model, pa.schema([(name, types.get(name, pa.null())) for name in names]))
    return Prepared(form, JsonReply(form))
