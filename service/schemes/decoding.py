"""The columns of a batch that schemes read, as arrays for the accumulators (see kernels/accumulators.py, Beside)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kernels.accumulators import MISSING, NO_CODE, NO_FLAG, is_missing, widened
from kernels.column_sums import where_not_zero
from kernels.dictionaries import look_up, narrow_kind
from kernels.finite import all_finite
from kernels.month_sums import AMOUNT_COLUMN
from kernels.packing import WORD_BYTES
from kernels.purchase_days import DAY_COLUMN
from kernels.recency import local_days
from proto.limits import Limits, over
from proto.wishes import Wished
from service import columns as cols
from service.schemes.accumulations import AMOUNT_WHERE
from service.schemes.moment import Moment
from service.text_codes import TextCodes, codes_of
from service.text_values import bad_value
from service.zones import zone_table

__all__ = ["MAX_LABELS", "ExtraColumns", "derived"]

MAX_LABELS = 10_000  # distinct texts of one label column
_UNLISTED = -2
Bools = npt.NDArray[np.bool_]
_MICROSECONDS = pa.timestamp("us")


class ExtraColumns:
    """What columns beside the base's become; the texts seen so far have numbers. In any thread.

    Numbers become float64, all others int64. Of the columns in `narrow` flags become uint8, labels and places as few
    bytes as their codes need: what passes through memory row by row is what they cost.
    """

    def __init__(
        self, extras: Iterable[Wished], limits: Limits, n_shards: int = 1, narrow: Container[str] = ()
    ) -> None:
        self.extras = {extra.name: extra for extra in extras}
        self.dtypes = {name: _dtype(extra, name in narrow) for name, extra in self.extras.items()}
        self._limits = limits
        self._texts = {
            extra.name: TextCodes(limits, n_shards) for extra in self.extras.values() if extra.kind in ("label", "id")
        }

    def arrays(
        self, batch: pa.RecordBatch, keep: Bools | None, rows_before: int
    ) -> tuple[dict[str, npt.NDArray[Any]], dict[str, int]]:
        """By our name the arrays, and of those that lack values in kept rows (None: all) how many."""
        found: dict[str, npt.NDArray[Any]] = {}
        missing: dict[str, int] = {}
        for name, extra in self.extras.items():
            values, lacking = self._array(extra, batch.column(extra.column), rows_before)
            found[name] = values if self.dtypes[name].itemsize < WORD_BYTES else widened(values)
            if lacking is not None:
                count = int(np.count_nonzero(lacking if keep is None else lacking & keep))
                missing |= {name: count} if count else {}
        return found, missing

    def _array(self, extra: Wished, array: pa.Array, rows_before: int) -> tuple[npt.NDArray[Any], Bools | None]:
        """A column, narrow where its kind is, and which values are missing; None: none."""
        if extra.kind == "number":
            return _finite(cols.feature_array(array))
        if extra.kind == "flag":
            return _flags(array, extra.column, rows_before)
        if extra.kind == "id":
            keys = cols.is_fixed_id(array.type)
            codes = codes_of(cols.keys_of(array), array) if keys else self._texts[extra.name].of(array)
            return codes, is_missing(codes)
        valid = cols.validity(array)
        lacking = None if valid is None else ~valid
        if extra.kind == "ordered":
            return _places(array, extra, rows_before, self.dtypes[extra.name]), lacking
        if extra.kind == "time":
            return _filled(array.cast(pa.date32()) if pa.types.is_date64(array.type) else array, valid), lacking
        return self._texts[extra.name].narrow(array, valid), lacking

    def labels(self, name: str, codes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[str]]:
        """(codes by text: int64[n], MISSING where none; the texts in their order) of the numbers that labels became.

        Numbers depend on which thread saw a text first; their order by text does not.
        """
        n_codes = int(codes.max(initial=-1)) + 1
        places = np.where(codes == MISSING, n_codes, codes)
        there = np.zeros(n_codes + 1, np.bool_)
        there[places] = True
        ranks, texts = self.ranks(name, np.flatnonzero(there[:-1]))
        found = np.full(n_codes + 1, MISSING)
        found[: len(ranks)] = ranks
        return found[places], texts

    def ranks(self, name: str, used: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[str]]:
        """(place of each number's text among the texts: int64, by number; the texts in their order), of those used,
        which are ascending."""
        if len(used) > MAX_LABELS:
            remedy = f"{self.extras[name].column} is to hold labels, few texts that many customers share."
            raise over("the number of labels", len(used), MAX_LABELS, remedy)
        texts = self._texts[name].texts(used)
        order = sorted(range(len(texts)), key=texts.__getitem__)
        ranks = np.full(int(used.max(initial=-1)) + 1, MISSING)
        ranks[used[order]] = np.arange(len(texts))
        return ranks, [texts[i] for i in order]


def _dtype(extra: Wished, is_narrow: bool) -> np.dtype[Any]:
    """The type of a column; labels may become wider."""
    if extra.kind == "number":
        return np.dtype(np.float64)
    if extra.kind == "flag":
        return np.dtype(np.uint8 if is_narrow else np.float64)
    if extra.kind == "ordered" and is_narrow:
        return narrow_kind(len(extra.texts))
    return np.dtype(np.int8 if extra.kind == "label" and is_narrow else np.int64)


def _finite(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], Bools | None]:
    """Infinities as missing: no sum or ratio can be made of them; and which values are missing now."""
    if all_finite(values):
        return values, None
    values = np.where(np.isinf(values), np.nan, values)
    return values, is_missing(values)


def _flags(array: pa.Array, column: str, rows_before: int) -> tuple[npt.NDArray[np.uint8], Bools | None]:
    if pa.types.is_boolean(array.type):
        flags, valid = cols.boolean_bytes(array), cols.validity(array)
        return (flags, None) if valid is None else (np.where(valid, flags, np.uint8(NO_FLAG)), ~valid)
    values = cols.feature_array(array)
    missing = np.isnan(values)
    odd = ~((values == 0) | (values == 1) | missing)
    if odd.any():
        i = int(np.argmax(odd))
        raise bad_value(
            column, rows_before + i + 1, array[i].as_py(), "true or false", "Send true or false, or 1 or 0."
        )
    return np.where(missing, NO_FLAG, values).astype(np.uint8), missing


def _places(array: pa.Array, extra: Wished, rows_before: int, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Each text's place in the list of the column's; RequestError for one that is not listed."""
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    listed = pa.array(extra.texts, coded.dictionary.type)
    found = pc.index_in(coded.dictionary, value_set=listed)
    places, _ = look_up(found.fill_null(_UNLISTED).to_numpy(), cols.dictionary_indices(coded))
    valid = cols.validity(coded)
    if valid is not None:
        places = np.where(valid, places, places.dtype.type(NO_CODE))
    unlisted = places == _UNLISTED if found.null_count else np.zeros(0, np.bool_)
    if unlisted.any():
        i = int(np.argmax(unlisted))
        wanted = f"one of {', '.join(extra.texts)}"
        raise bad_value(extra.column, rows_before + i + 1, array[i].as_py(), wanted, "Send one of them, or list yours.")
    return places if kind.itemsize == WORD_BYTES else places.astype(kind, copy=False)


def _filled(times: pa.Array, valid: Bools | None) -> npt.NDArray[np.int64]:
    """Times as microseconds since 1970, a date as its midnight in UTC."""
    values = cols.ticks_of(times)
    unit = cols.time_unit(times.type)
    per_day = 86_400 * 10**6
    if unit.ticks_per_day > per_day:
        micros = values // (unit.ticks_per_day // per_day)
    else:
        micros = values * (per_day // unit.ticks_per_day)
    return micros if valid is None else np.where(valid, micros, MISSING)


def derived(
    wanted: set[str],
    moment: Moment,
    ticks: npt.NDArray[np.int64],
    amounts: pa.Array,
    arrays: Mapping[str, npt.NDArray[Any]],
) -> dict[str, npt.NDArray[Any]]:
    """The columns that follow from times, amounts and the others (`arrays`), those wanted: @day (in the shop's zone),
    @amount, `@amount where <number column>` (0 on rows where that one is 0, NaN where it is missing)."""
    found: dict[str, npt.NDArray[Any]] = {}
    if DAY_COLUMN in wanted:
        found[DAY_COLUMN] = ticks
        if not moment.unit.is_date:
            zone = zone_table(moment.tz)
            per_day = moment.unit.ticks_per_day
            per_second = per_day // 86_400
            found[DAY_COLUMN] = local_days(ticks, per_day, zone.transitions * per_second, zone.offsets * per_second)
    of_amount = [name for name in wanted if name.startswith(AMOUNT_COLUMN)]
    if of_amount:
        values = cols.feature_array(amounts)
        for name in of_amount:
            found[name] = values
            if name != AMOUNT_COLUMN:
                found[name] = where_not_zero(values, arrays[name.removeprefix(AMOUNT_WHERE)])
    return found
