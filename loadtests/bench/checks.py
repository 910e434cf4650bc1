"""Results are compared before anything is timed: numbers to 1e-9, counts and times exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["NotEqual", "check_close", "check_equal", "check_groups", "plain_ids"]

TOLERANCE = 1e-9


class NotEqual(AssertionError):
    """Two contestants differ, so their times do not compare."""


def plain_ids(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Ids as integers or bytes, whatever a library made of them."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_integer(array.type):
        return array.cast(pa.int64())
    return pc.cast(array, pa.large_binary())


def check_close(who: str, what: str, found: npt.ArrayLike, wanted: npt.ArrayLike) -> None:
    """Every value to 1e-9 of the larger of 1 and the wanted value."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE):
        raise NotEqual(f"{who}: {what} differs from ours by more than {TOLERANCE:g}")


def check_equal(who: str, what: str, found: npt.ArrayLike, wanted: npt.ArrayLike) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    if found.shape != wanted.shape or not np.array_equal(found, wanted):
        raise NotEqual(f"{who}: {what} differs from ours")


def check_groups(who: str, found: pa.Table, wanted: pa.Table) -> None:
    """The same customers, each with the same last time, frequency and monetary value; in any order."""
    a, b = _sorted(found), _sorted(wanted)
    if not a.column("customer_id").equals(b.column("customer_id")):
        raise NotEqual(f"{who}: the customers differ from ours")
    for name in ("last", "frequency"):
        check_equal(who, name, a.column(name), b.column(name))
    check_close(who, "monetary", a.column("monetary"), b.column("monetary"))


def _sorted(table: pa.Table) -> pa.Table:
    """Canonical types, by id."""
    columns = {"customer_id": plain_ids(table.column("customer_id"))}
    columns["last"] = pc.cast(table.column("last"), pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
    columns["frequency"] = pc.cast(table.column("frequency"), pa.int64())
    columns["monetary"] = pc.cast(table.column("monetary"), pa.float64())
    plain = pa.table(columns)
    return plain.take(pc.sort_indices(plain, [("customer_id", "ascending")])).combine_chunks()
