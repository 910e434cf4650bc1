"""The columns that schemes read beside the base's, as they ask for them and as they are found."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["NO_WISHES", "Wish", "WishKind", "Wished", "Wishes"]

WishKind = Literal["number", "flag", "label", "ordered", "id", "time"]
"""What a column that a scheme reads holds: a number, true or false, one of few texts, one of a list of texts that have
an order, an id, a time."""


class Wished(NamedTuple):
    """A column that schemes read: our name for it, the sender's, and what it holds."""

    name: str
    column: str
    kind: WishKind
    texts: tuple[str, ...] = ()
    """Of an ordered column: what it may hold, in order."""


class Wish(NamedTuple):
    """A column that is wanted beside the base's. A name that ends in * stands for all that begin so."""

    name: str
    kind: WishKind
    is_needed: bool
    why: str
    """Who wants it, such as schemes=breadth."""
    texts: tuple[str, ...] = ()
    """Of an ordered column: what it may hold, in order."""


class Wishes(NamedTuple):
    """What is wanted of transactions, and of a customers table."""

    rows: tuple[Wish, ...] = ()
    table: tuple[Wish, ...] = ()
    any_of: tuple[tuple[tuple[str, ...], str], ...] = ()
    """(names, why): at least one of each group must be there."""
    rows_only: str = ""
    """Why a customers table will not do; empty where it does."""


NO_WISHES = Wishes()
