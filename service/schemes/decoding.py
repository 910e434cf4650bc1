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
from kernels.dictionaries import look_up
from kernels.finite import all_finite
from kernels.month_sums import AMOUNT_COLUMN
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

    Numbers become float64, all others int64. Of the columns in `narrow` flags become uint8, labels and places int32:
    what passes through memory row by row is what they cost.
    """

    def __init__(
        self, extras: Iterable[Wished], limits: Limits, n_shards: int = 1, narrow: Container[str] = ()
    ) -> None:
        self.extras = {extra.name: extra for extra in extras}
        self.dtypes = {name: _dtype(extra.kind, name in narrow) for name, extra in self.extras.items()}
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
            array = batch.column(extra.column)
            found[name], may_lack = self._array(extra, array, rows_before)
            if found[name].dtype != self.dtypes[name]:
                found[name] = widened(found[name])
            if may_lack:
                lacking = is_missing(found[name])
                count = int(np.count_nonzero(lacking if keep is None else lacking & keep))
                missing |= {name: count} if count else {}
        return found, missing

    def _array(self, extra: Wished, array: pa.Array, rows_before: int) -> tuple[npt.NDArray[Any], bool]:
        """A column, narrow where its kind is, and whether values may be missing."""
        if extra.kind == "number":
            return _finite(cols.feature_array(array))
        if extra.kind == "flag":
            return _flags(array, extra.column, rows_before)
        if extra.kind == "ordered":
            return _places(array, extra, rows_before), not _is_whole(array)
        if extra.kind == "time":
            return _filled(array.cast(pa.date32()) if pa.types.is_date64(array.type) else array), not _is_whole(array)
        if extra.kind == "label":
            return self._texts[extra.name].narrow(array), not _is_whole(array)
        if cols.is_fixed_id(array.type):
            return codes_of(cols.keys_of(array), array), True
        return self._texts[extra.name].of(array), True

    def labels(self, name: str, codes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[str]]:
        """(codes by text: int64[n], MISSING where none; the texts in their order) of the numbers that labels became.

        Numbers depend on which thread saw a text first; their order by text does not.
        """
        n_codes = int(codes.max(initial=-1)) + 1
        places = np.where(codes == MISSING, n_codes, codes)
        there = np.zeros(n_codes + 1, np.bool_)
        there[places] = True
        used = np.flatnonzero(there[:-1])
        if len(used) > MAX_LABELS:
            remedy = f"{self.extras[name].column} is to hold labels, few texts that many customers share."
            raise over("the number of labels", len(used), MAX_LABELS, remedy)
        texts = self._texts[name].texts(used)
        order = sorted(range(len(texts)), key=texts.__getitem__)
        ranks = np.full(n_codes + 1, MISSING)
        ranks[used[order]] = np.arange(len(texts))
        return ranks[places], [texts[i] for i in order]


def _dtype(kind: str, is_narrow: bool) -> np.dtype[Any]:
    narrow = {"flag": np.uint8, "label": np.int32, "ordered": np.int32} if is_narrow else {"flag": np.float64}
    return np.dtype(np.float64 if kind == "number" else narrow.get(kind, np.int64))


def _is_whole(array: pa.Array) -> bool:
    """Whether no slot is null."""
    return cols.validity(array) is None


def _finite(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], bool]:
    """Infinities as missing: no sum or ratio can be made of them; and whether any value is missing now."""
    if all_finite(values):
        return values, False
    return np.where(np.isinf(values), np.nan, values), True


def _flags(array: pa.Array, column: str, rows_before: int) -> tuple[npt.NDArray[np.uint8], bool]:
    if pa.types.is_boolean(array.type):
        flags, valid = cols.boolean_bytes(array), cols.validity(array)
        return (flags, False) if valid is None else (np.where(valid, flags, np.uint8(NO_FLAG)), True)
    values = cols.feature_array(array)
    missing = np.isnan(values)
    odd = ~((values == 0) | (values == 1) | missing)
    if odd.any():
        i = int(np.argmax(odd))
        raise bad_value(
            column, rows_before + i + 1, array[i].as_py(), "true or false", "Send true or false, or 1 or 0."
        )
    return np.where(missing, NO_FLAG, values).astype(np.uint8), True


def _places(array: pa.Array, extra: Wished, rows_before: int) -> npt.NDArray[np.int32]:
    """Each text's place in the list of the column's; RequestError for one that is not listed."""
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    listed = pa.array(extra.texts, coded.dictionary.type)
    found = pc.index_in(coded.dictionary, value_set=listed)
    places = look_up(found.fill_null(_UNLISTED).to_numpy(), cols.dictionary_indices(coded))
    valid = cols.validity(coded)
    if valid is not None:
        places = np.where(valid, places, np.int32(NO_CODE))
    unlisted = places == _UNLISTED if found.null_count else np.zeros(0, np.bool_)
    if unlisted.any():
        i = int(np.argmax(unlisted))
        wanted = f"one of {', '.join(extra.texts)}"
        raise bad_value(extra.column, rows_before + i + 1, array[i].as_py(), wanted, "Send one of them, or list yours.")
    return places


def _filled(times: pa.Array) -> npt.NDArray[np.int64]:
    """Times as microseconds since 1970, a date as its midnight in UTC."""
    values = cols.ticks_of(times)
    unit = cols.time_unit(times.type)
    per_day = 86_400 * 10**6
    if unit.ticks_per_day > per_day:
        micros = values // (unit.ticks_per_day // per_day)
    else:
        micros = values * (per_day // unit.ticks_per_day)
    valid = cols.validity(times)
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
