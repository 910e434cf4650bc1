"""Error codes and the one error body (RFC 9457, `application/problem+json`).

An error says what was found, what was wanted and what to do. Code on any floor above raises `RequestError`;
`STATUS` is the only place that knows which HTTP status a code becomes.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

__all__ = ["STATUS", "TITLES", "ErrorCode", "RequestError", "problem"]


class ErrorCode(StrEnum):
    """What can be wrong with a request, as clients see it in `code`."""

    BAD_OPTION = "bad_option"
    UNKNOWN_OPTION = "unknown_option"
    REPEATED_OPTION = "repeated_option"
    CONFLICTING_OPTIONS = "conflicting_options"
    MALFORMED_REQUEST = "malformed_request"
    MALFORMED_BODY = "malformed_body"
    TRUNCATED_BODY = "truncated_body"
    MISSING_COLUMN = "missing_column"
    WRONG_TYPE = "wrong_type"
    UNSUPPORTED_TYPE = "unsupported_type"
    NULLS = "nulls"
    NOT_FINITE = "not_finite"
    BAD_VALUE = "bad_value"
    REFUNDS = "refunds"
    OVERFLOW = "overflow"
    DUPLICATE_CUSTOMER = "duplicate_customer"
    TWO_HOUSEHOLDS = "two_households"
    NO_CUSTOMERS = "no_customers"
    TOO_FEW_POINTS = "too_few_points"
    TOO_MANY_GROUPS = "too_many_groups"
    MISSING_MODEL = "missing_model"
    BAD_MODEL = "bad_model"
    MODEL_ALTERED = "model_altered"
    MODEL_VERSION = "model_version"
    UNKNOWN_MODEL = "unknown_model"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    LIMIT_EXCEEDED = "limit_exceeded"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    BUSY = "busy"
    NOT_READY = "not_ready"
    SHUTTING_DOWN = "shutting_down"
    DISK_FULL = "disk_full"
    INTERNAL = "internal"


STATUS: dict[ErrorCode, int] = {
    ErrorCode.MALFORMED_REQUEST: 400,
    ErrorCode.MALFORMED_BODY: 400,
    ErrorCode.TRUNCATED_BODY: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.UNKNOWN_MODEL: 404,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.NOT_ACCEPTABLE: 406,
    ErrorCode.TIMEOUT: 408,
    ErrorCode.LIMIT_EXCEEDED: 413,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.BUSY: 503,
    ErrorCode.NOT_READY: 503,
    ErrorCode.SHUTTING_DOWN: 503,
    ErrorCode.DISK_FULL: 503,
}
"""Every code that is not listed is 422: the request was understood, its content cannot be processed."""

TITLES: dict[ErrorCode, str] = {
    ErrorCode.BAD_OPTION: "An option has a value that cannot be used",
    ErrorCode.UNKNOWN_OPTION: "An option is not known",
    ErrorCode.REPEATED_OPTION: "An option is given more than once",
    ErrorCode.CONFLICTING_OPTIONS: "Options contradict each other, or the model",
    ErrorCode.MALFORMED_REQUEST: "The request is no valid HTTP",
    ErrorCode.MALFORMED_BODY: "The body cannot be read in its declared format",
    ErrorCode.TRUNCATED_BODY: "The body ends too early",
    ErrorCode.MISSING_COLUMN: "A column is missing",
    ErrorCode.WRONG_TYPE: "A column has a type that cannot be used for it",
    ErrorCode.UNSUPPORTED_TYPE: "The schema has a type that is not accepted",
    ErrorCode.NULLS: "A column has missing values",
    ErrorCode.NOT_FINITE: "A column has values that are not finite numbers",
    ErrorCode.BAD_VALUE: "A value cannot be read",
    ErrorCode.REFUNDS: "There are refunds, and refunds=error asks for none",
    ErrorCode.OVERFLOW: "A sum does not fit its type",
    ErrorCode.DUPLICATE_CUSTOMER: "A customer appears more than once",
    ErrorCode.TWO_HOUSEHOLDS: "A customer is in two households",
    ErrorCode.NO_CUSTOMERS: "There are no customers to fit",
    ErrorCode.TOO_FEW_POINTS: "There are fewer distinct customers than segments",
    ErrorCode.TOO_MANY_GROUPS: "The column to part by has too many values",
    ErrorCode.MISSING_MODEL: "Scoring needs a model",
    ErrorCode.BAD_MODEL: "The model cannot be read",
    ErrorCode.MODEL_ALTERED: "The model's id does not match its content",
    ErrorCode.MODEL_VERSION: "The model has a format version that this service does not read",
    ErrorCode.UNKNOWN_MODEL: "No model of that name",
    ErrorCode.NOT_FOUND: "No such address",
    ErrorCode.METHOD_NOT_ALLOWED: "This address does not answer that method",
    ErrorCode.NOT_ACCEPTABLE: "None of the accepted media types can be produced",
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: "The body's media type or encoding is not supported",
    ErrorCode.LIMIT_EXCEEDED: "The request is larger than this service allows",
    ErrorCode.UNAUTHORIZED: "The request has no key that this service knows",
    ErrorCode.RATE_LIMITED: "The key makes more requests than it may",
    ErrorCode.TIMEOUT: "The request took too long",
    ErrorCode.BUSY: "The service is at its limit; try again",
    ErrorCode.NOT_READY: "The service is still starting",
    ErrorCode.SHUTTING_DOWN: "The replica is about to end; try another",
    ErrorCode.DISK_FULL: "The service has no room on its disk",
    ErrorCode.INTERNAL: "The service failed",
}


MOST_WORD, MOST_DETAIL = 120, 1_100
"""Characters of a detail: without a space between them, and in all."""
MOST_TEXT, MOST_ENTRIES = 200, 100
"""Of a fact: its characters, and how many it has where it is a list."""
_LONG_WORD = re.compile(rf"\S{{{MOST_WORD + 1},}}")


def _bounded(detail: str) -> str:
    """The detail with what a caller sent in it cut short: names and values may be as long as the request.

    What stands around them stays, so that the end still says what to do.
    """
    if len(detail) <= MOST_WORD:
        return detail
    detail = _LONG_WORD.sub(lambda word: f"{word[0][: MOST_WORD - 20]}…{word[0][-19:]}", detail)
    return detail if len(detail) <= MOST_DETAIL else f"{detail[: MOST_DETAIL - 400]} … {detail[-397:]}"


class RequestError(Exception):
    """A request that cannot be answered as asked.

    `detail` is one or two sentences for a person: what was found, what was wanted, what to do.
    `facts` are the same for programs: `column`, `row`, `option`, `found`, `wanted`, `count`, `limit`, …
    Neither is longer in the reply than the constants above have it, whatever was sent.
    """

    def __init__(self, code: ErrorCode, detail: str, **facts: Any) -> None:
        detail = _bounded(detail)
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.facts = facts

    @property
    def status(self) -> int:
        return STATUS.get(self.code, 422)


def _told(fact: Any) -> Any:
    """A fact as JSON has it: a size that a damaged body declares may have more than 64 bits, and becomes text; what was
    sent is repeated up to some length."""
    match fact:
        case bool() | float() | None:
            return fact
        case int():
            return fact if -(2**63) <= fact < 2**64 else _told(str(fact))
        case str():
            return fact if len(fact) <= MOST_TEXT else f"{fact[: MOST_TEXT - 1]}…"
        case list() | tuple():
            return [_told(one) for one in fact[:MOST_ENTRIES]]
        case dict():
            return {_told(name): _told(one) for name, one in list(fact.items())[:MOST_ENTRIES]}
    return fact


def problem(error: RequestError, request_id: str | None = None) -> dict[str, Any]:
    """The RFC 9457 object of `error`: `type, title, status, detail, code`, its facts, and the request's id."""
    body: dict[str, Any] = {
        "type": f"urn:segserve:error:{error.code}",
        "title": TITLES[error.code],
        "status": error.status,
        "detail": error.detail,
        "code": str(error.code),
        **{name: _told(fact) for name, fact in error.facts.items()},
    }
    if request_id is not None:
        body["request_id"] = request_id
    return body
