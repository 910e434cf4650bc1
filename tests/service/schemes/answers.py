"""Small shops and what the service says of them, for the numbers that docs tell of schemes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from service.outcome import Outcome
from service.schemes.catalogue import catalogue
from service.schemes.parameters import Parameter
from tests.service.schemes.shop import request, told

Claim = tuple[str, str, Callable[[], str]]
"""A scheme, a phrase of its docs, and a function that writes the phrase with the numbers that it finds."""


def of_whole(outcome: Outcome, scheme: str) -> dict[str, Any]:
    assert outcome.summary.schemes is not None
    return outcome.summary.schemes[scheme].figures


def parameter(scheme: str, name: str) -> Parameter:
    return next(one for one in catalogue()[scheme].parameters if one.name == name)


def readable(scheme: str, name: str, text: str) -> str:
    """The text, where the parameter takes it and gives it back as it was."""
    one = parameter(scheme, name)
    assert [float(part) for part in text.split(";")] == one.read(text)
    return text


def customers(**columns: Any) -> pa.Table:
    n = len(next(iter(columns.values())))
    return pa.table({"customer_id": [f"c{i}" for i in range(n)], **columns})


def classes(table: pa.Table, asked: str | dict[str, str], scheme: str, **options: Any) -> list[Any]:
    return [row["class"] for row in told(request(table, asked, **options), scheme).values()]


def figures(table: pa.Table, asked: str | dict[str, str], scheme: str, name: str, **options: Any) -> list[Any]:
    return [row[name] for row in told(request(table, asked, **options), scheme).values()]


def base(n: int, **columns: Any) -> pa.Table:
    """A customers table of recency, frequency and monetary value, of which the given columns differ."""
    rfm: dict[str, Any] = {"recency_days": [5.0] * n, "frequency": [1] * n, "monetary": [64.0] * n}
    return customers(**(rfm | columns))
