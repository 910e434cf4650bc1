"""Media types: what a body is, and what a reply should be (RFC 9110 §8.3 and §12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Literal

from proto.errors import ErrorCode, RequestError

__all__ = ["Media", "Shape", "media_of", "negotiate"]

Shape = Literal["columns", "rows"]
"""The two shapes of a JSON body; a reply has the shape of its request."""


class Media(StrEnum):
    """The formats of bodies; the value is the content type that replies carry."""

    ARROW = "application/vnd.apache.arrow.stream"
    JSON = "application/json"
    CSV = "text/csv"
    PARQUET = "application/vnd.apache.parquet"


_ALIASES = {
    **{str(media): media for media in Media},
    "application/csv": Media.CSV,
    "application/parquet": Media.PARQUET,
    "application/x-parquet": Media.PARQUET,
}

_REMEDIES = {
    "application/vnd.apache.arrow.file": "This is the Arrow file format; send the stream format (pa.ipc.new_stream).",
    "application/x-www-form-urlencoded": "HTTP clients set it when none is given; name the type of the body.",
    "multipart/form-data": "Send the file itself as the body, not a form (curl --data-binary @file).",
    "application/x-ndjson": 'Send one JSON document, {"rows": [...]}.',
    "application/vnd.ms-excel": "Save the sheet as CSV and send it as text/csv.",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "Save the sheet as CSV, send it as text/csv.",
    "application/octet-stream": "It says nothing about the body; name its type.",
}

_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")


def _parameters(text: str) -> tuple[str, dict[str, str]]:
    """`text/csv; charset=UTF-8` → (`text/csv`, {`charset`: `utf-8`})."""
    name, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return name.strip().lower(), {key.strip().lower(): value.strip().strip('"').lower() for key, _, value in pairs}


@lru_cache(maxsize=64)
def media_of(content_type: str | None) -> Media:
    """The format a request's `Content-Type` names; RequestError(UNSUPPORTED_MEDIA_TYPE) says what is accepted."""
    name, parameters = _parameters(content_type or "")
    media = _ALIASES.get(name)
    wanted = [str(known) for known in Media]
    if media is None:
        found = f"The Content-Type is {name!r}" if name else "There is no Content-Type"
        remedy = _REMEDIES.get(name, "")
        raise RequestError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"{found}; a body can be {', '.join(wanted)}. {remedy}".strip(),
            found=name or None,
            wanted=wanted,
        )
    charset = parameters.get("charset", "utf-8")
    if charset not in _UTF8:
        raise RequestError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"The body is declared as charset={charset}; text is read as utf-8 only. Convert it first.",
            found=charset,
            wanted="utf-8",
        )
    return media


class _Range:
    """One entry of an `Accept` header."""

    __slots__ = ("quality", "subtype", "type")

    def __init__(self, text: str) -> None:
        name, parameters = _parameters(text)
        self.type, _, self.subtype = _ALIASES.get(name, name).partition("/")
        try:
            # not (q >= 0) also holds for NaN
            q = float(parameters.get("q", "1"))
            self.quality = min(q, 1.0) if q >= 0 else 0.0
        except ValueError:
            self.quality = 1.0

    def precision(self, media: Media) -> int:
        """2 for the type itself, 1 for `text/*`, 0 for `*/*`, -1 where it does not match."""
        kind, _, subtype = media.partition("/")
        if (self.type, self.subtype) == (kind, subtype):
            return 2
        if (self.type, self.subtype) == (kind, "*"):
            return 1
        return 0 if self.type in ("*", "") and self.subtype in ("*", "") else -1


@lru_cache(maxsize=64)
def _negotiate(accept: str, in_kind: Media, producible: tuple[Media, ...]) -> Media:
    ranges = [_Range(part) for part in accept.split(",") if part.strip()] or [_Range("*/*")]
    best: tuple[float, int, bool, int] | None = None
    chosen = in_kind
    for order, media in enumerate(producible):
        # The most precise range decides the quality of a type, also when it is lower than a wildcard's.
        precision, quality = max((r.precision(media), r.quality) for r in ranges)
        if precision < 0 or quality == 0:
            continue
        rank = (quality, precision, media is in_kind, -order)
        if best is None or rank > best:
            best, chosen = rank, media
    if best is None:
        wanted = [str(media) for media in producible]
        raise RequestError(
            ErrorCode.NOT_ACCEPTABLE,
            f"The Accept header asks for {accept!r}; this reply can be {', '.join(wanted)}. "
            "Name one of these, or */*, or leave the header out.",
            found=accept,
            wanted=wanted,
        )
    return chosen


def negotiate(
    accept: str | None,
    body_media: Media,
    producible: Sequence[Media] = (Media.ARROW, Media.JSON, Media.CSV),
) -> Media:
    """The format of the reply.

    The highest q-value wins, then a type named outright over a wildcard, then the format of the body. `*/*` or no
    header answers in kind: the body's format, Arrow for Parquet, or the first of `producible` where that is not
    among them. RequestError(NOT_ACCEPTABLE) when nothing fits.
    """
    in_kind = Media.ARROW if body_media is Media.PARQUET else body_media
    return _negotiate(accept or "", in_kind, tuple(producible))
