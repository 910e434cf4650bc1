"""The columns of a batch that schemes read, as arrays for the accumulators: numbers as float64, all others as int64."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kernels.accumulators import MISSING
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
_MICROSECONDS = pa.timestamp("us")


class ExtraColumns:
    """What columns beside the base's become; the texts seen so far have numbers. In any thread."""

    def __init__(self, extras: Iterable[Wished], limits: Limits, n_shards: int = 1) -> None:
        self.extras = {extra.name: extra for extra in extras}
        self._limits = limits
        self._texts = {
            extra.name: TextCodes(limits, n_shards) for extra in self.extras.values() if extra.kind in ("label", "id")
        }

    @property
    def kinds(self) -> dict[str, str]:
        """What each column holds, by our name."""
        return {name: extra.kind for name, extra in self.extras.items()}

    def arrays(self, batch: pa.RecordBatch, rows_before: int) -> dict[str, npt.NDArray[Any]]:
        """By our name float64[n] (NaN: missing) of numbers and flags, int64[n] (MISSING) of all others."""
        return {
            name: self._array(extra, batch.column(extra.column), rows_before) for name, extra in self.extras.items()
        }

    def _array(self, extra: Wished, array: pa.Array, rows_before: int) -> npt.NDArray[Any]:
        if extra.kind == "number":
            return _finite(cols.feature_array(array))
        if extra.kind == "flag":
            return _flags(array, extra.column, rows_before)
        if extra.kind == "ordered":
            return _places(array, extra, rows_before)
        if extra.kind == "time":
            return _filled(array.cast(pa.date32()) if pa.types.is_date64(array.type) else array)
        if cols.is_fixed_id(array.type):
            return codes_of(cols.keys_of(array), array)
        return self._texts[extra.name].of(array)

    def labels(self, name: str, codes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[str]]:
        """(codes by text: int64[n], MISSING where none; the texts in their order) of the numbers that labels became.

        Numbers depend on which thread saw a text first; their order by text does not.
        """
        coded = pa.array(codes, mask=codes == MISSING).dictionary_encode()
        used = coded.dictionary.to_numpy()
        if len(used) > MAX_LABELS:
            remedy = f"{self.extras[name].column} is to hold labels, few texts that many customers share."
            raise over("the number of labels", len(used), MAX_LABELS, remedy)
        if not len(used):
            return codes, []
        texts = self._texts[name].texts(used)
        order = sorted(range(len(texts)), key=texts.__getitem__)
        ranks = np.empty(len(texts), np.int64)
        ranks[order] = np.arange(len(texts))
        found: npt.NDArray[np.int64] = np.append(ranks, MISSING)[coded.indices.fill_null(len(texts)).to_numpy()]
        return found, [texts[i] for i in order]


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Infinities as missing: no sum or ratio can be made of them."""
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


def _flags(array: pa.Array, column: str, rows_before: int) -> npt.NDArray[np.float64]:
    if pa.types.is_boolean(array.type):
        return cols.feature_array(array.cast(pa.uint8()))
    values = cols.feature_array(array)
    odd = ~((values == 0) | (values == 1) | np.isnan(values))
    if odd.any():
        i = int(np.argmax(odd))
        raise bad_value(
            column, rows_before + i + 1, array[i].as_py(), "true or false", "Send true or false, or 1 or 0."
        )
    return values


def _places(array: pa.Array, extra: Wished, rows_before: int) -> npt.NDArray[np.int64]:
    """Each text's place in the list of the column's; RequestError for one that is not listed."""
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    listed = pa.array(extra.texts, coded.dictionary.type)
    places = pc.index_in(coded.dictionary, value_set=listed).fill_null(-1).to_numpy(zero_copy_only=False)
    codes = np.append(places, MISSING)  # the last one is of rows without a text
    found: npt.NDArray[np.int64] = codes[coded.indices.cast(pa.int64()).fill_null(len(places)).to_numpy()]
    unlisted = found == -1
    if unlisted.any():
        i = int(np.argmax(unlisted))
        wanted = f"one of {', '.join(extra.texts)}"
        raise bad_value(extra.column, rows_before + i + 1, array[i].as_py(), wanted, "Send one of them, or list yours.")
    return found


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
                there = arrays[name.removeprefix(AMOUNT_WHERE)]
                found[name] = np.where(np.isnan(there), np.nan, np.where(there != 0, values, 0.0))
    return found
