"""The members of households: what each spent itself, and a reply whose rows they are.

    share = own spend ÷ the household's, in 0 … 1; null where the household's is not above 0
    top category = the one with the member's largest spend, ties: first seen; null where none is above 0

Spend is the net sum of the rows that count. A member has its household's segment, class, scores, and all that schemes
say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.keys import FixedKeys, Keys, take_keys
from proto.summary import RollupSummary
from service import columns as cols
from service.numbering import Numbering, by_appearance
from service.outcome import Outcome
from service.population import Population
from service.scoring import Scored

__all__ = ["NO_MEMBERS", "Members", "members_of", "members_of_pairs", "pairs_of"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]

_LOW_31 = 0x7FFF_FFFF


class Members(NamedTuple):
    """The members of a request in order of their first appearance."""

    keys: Keys
    id_type: pa.DataType
    places: Ints
    """int64[n] of each one's household in the population; -1: it has none."""
    shares: Floats
    """float64[n]; NaN: none."""
    top_categories: pa.Array | None
    """None where there is no column of categories."""

    @property
    def n(self) -> int:
        return len(self.places)


NO_MEMBERS = Members(FixedKeys(np.empty(0, np.uint64)), pa.int64(), np.empty(0, np.int64), np.empty(0), None)


def pairs_of(members: Numbers, categories: Numbers, housed: Bools) -> Ints:
    """Number of the member, of the category (-1: none) and whether the row has a household, as one int64 each."""
    return members.astype(np.int64) << 32 | (categories.astype(np.int64) + 1) << 1 | housed


def members_of_pairs(
    spend: Population,
    places: Ints,
    households: Population,
    *,
    keys: Keys,
    id_type: pa.DataType,
    categories: Numbering | None,
) -> Members:
    """The members among the pairs of `spend`, whose order is that of first appearance.

    `places` int64[m] is the household of every member by number, `keys` their ids.
    """
    assert isinstance(spend.keys, FixedKeys)
    assert spend.revenue is not None
    bits, amounts = spend.keys.bits.view(np.int64), spend.revenue
    who, own = by_appearance(bits >> 32)
    housed = np.where(bits & 1, amounts, 0.0)
    sums = np.bincount(own, housed, len(who))
    place = places[who]
    inside = place >= 0
    totals = np.bincount(place[inside], sums[inside], households.n)
    of_household = np.where(inside, totals[place], 0.0) if households.n else np.zeros(len(who))
    shares = np.full(len(who), np.nan)
    np.divide(sums, of_household, out=shares, where=of_household > 0)
    tops = None
    if categories is not None:
        tops = _top_categories(own, (bits >> 1 & _LOW_31) - 1, amounts, len(who), categories)
    return Members(take_keys(keys, who), id_type, place, np.clip(shares, 0.0, 1.0), tops)


def _top_categories(own: Ints, numbers: Ints, amounts: Floats, n: int, categories: Numbering) -> pa.Array:
    """The category that each member spent most on; pairs come in order of first appearance."""
    named = np.flatnonzero(numbers >= 0)
    both, first, inverse = np.unique(own[named] << 32 | numbers[named], return_index=True, return_inverse=True)
    sums = np.bincount(inverse, amounts[named], len(both))
    who = both >> 32
    order = np.lexsort((first, -sums, who))
    best = order[np.flatnonzero(np.diff(who[order], prepend=-1))]
    best = best[sums[best] > 0]
    found = np.full(n, -1, np.int64)
    found[who[best]] = both[best] & _LOW_31
    return cols.id_column(categories.keys(), categories.id_type).take(pa.array(found, mask=found < 0))


class _Spread:
    """A column of the households as their members have it, made as it is read; null where a member has none."""

    def __init__(self, values: pa.Array, places: Ints) -> None:
        self._values, self._places = values, places

    def slice(self, offset: int, length: int) -> pa.Array:
        places = self._places[offset : offset + length]
        return self._values.take(pa.array(places, mask=places < 0))

    def take(self, places: Ints) -> _Spread:
        return _Spread(self._values, self._places[places])


class _SpreadIds:
    """The same of the households' ids, whose texts may be too many for one array."""

    def __init__(self, keys: Keys, id_type: pa.DataType, places: Ints) -> None:
        self._keys, self._type, self._places = keys, id_type, places

    def slice(self, offset: int, length: int) -> pa.Array:
        places = self._places[offset : offset + length]
        ids = cols.id_column(take_keys(self._keys, places[places >= 0]), self._type)
        at = np.cumsum(places >= 0) - 1
        return ids.take(pa.array(at, mask=places < 0))

    def take(self, places: Ints) -> _SpreadIds:
        return _SpreadIds(self._keys, self._type, self._places[places])


def members_of(outcome: Outcome, members: Members, told: RollupSummary) -> Outcome:
    """The outcome with members for rows; what the summary says of segments, schemes and drift is of households."""
    assert outcome.schema is not None
    households, places, n = outcome.population, members.places, members.n
    names = [name for name in outcome.schema.names if name != "customer_id"]
    own = pa.schema([outcome.schema.field(name) for name in names])
    batches = list(replace(outcome, schema=own).batches())
    extra = {}
    for name, field in zip(names, own, strict=True):
        whole = pa.chunked_array([batch.column(name) for batch in batches], field.type).combine_chunks()
        extra[name] = _Spread(whole, places)
    columns = {"household_share": pa.array(members.shares, mask=np.isnan(members.shares))}
    if members.top_categories is not None:
        columns["top_category"] = members.top_categories
    id_type = households.id_type.value_type if pa.types.is_dictionary(households.id_type) else households.id_type
    behind = [pa.field("household_id", id_type), *(pa.field(name, array.type) for name, array in columns.items())]
    without = places < 0
    at = np.where(without, 0, places) if households.n else np.empty(0, np.int64)
    spread = households.take(at)
    purchased = np.ones(n, np.bool_) if spread.purchased is None else spread.purchased
    segments = np.where(without, np.int32(-1), outcome.scored.segments[at])
    counts = outcome.summary.counts.model_copy(update={"customers_out": n})
    return replace(
        outcome,
        summary=outcome.summary.model_copy(update={"counts": counts, "rollup": told}),
        population=replace(spread, keys=members.keys, id_type=members.id_type, n=n, purchased=purchased & ~without),
        scored=Scored(np.where(without, np.nan, outcome.scored.scores[at]), segments),
        schema=pa.schema([*outcome.schema, *behind]),
        extra=extra
        | {"segment_id": pa.array(segments)}
        | {"household_id": _SpreadIds(households.keys, id_type, places)}
        | columns,
        households=places,
    )
