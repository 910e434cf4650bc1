"""How large a request may be; every limit is refused by name, with the figure found and the figure allowed."""

from __future__ import annotations

from typing import NamedTuple

from proto.errors import ErrorCode, RequestError

__all__ = ["Limits", "over"]

MIB = 1 << 20


class Limits(NamedTuple):
    """Upper bounds of one request; sizes in bytes, after decompression."""

    max_body_bytes: int = 64 * 1024 * MIB
    max_message_bytes: int = 256 * MIB
    max_metadata_bytes: int = 8 * MIB
    max_document_bytes: int = 64 * MIB
    """JSON is read whole, so it has a limit of its own."""
    max_rows_per_batch: int = 16 * MIB
    max_rows: int = 1 << 40
    max_customers: int = 100_000_000
    max_pairs: int = 400_000_000
    """Distinct (customer, occasion) pairs."""
    max_string_bytes: int = 4 * 1024 * MIB
    """Text of distinct ids."""


_SETTINGS = ("max_body_bytes", "max_message_bytes", "max_document_bytes", "max_customers", "max_pairs")


def over(limit: str, found: int, allowed: int, remedy: str) -> RequestError:
    """The refusal of a request that passes one of the limits, by the limit's name."""
    variable = f"SEGSERVE_{limit.upper()}"
    if limit in _SETTINGS and variable not in remedy:
        remedy += f" The limit is {variable}."
    return RequestError(
        ErrorCode.LIMIT_EXCEEDED,
        f"The request passes {limit}: found {found:,}, allowed {allowed:,}. {remedy}",
        limit=limit,
        found=found,
        wanted=allowed,
    )
