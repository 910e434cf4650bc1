"""Thrift's compact protocol, as much of it as the declarations of a Parquet file need.

Only the fields that are asked for are kept, so that reading takes no more memory than what it finds; what another
reader could understand otherwise (a field twice, or of another type) is refused.
"""

from __future__ import annotations

from typing import Any

__all__ = ["I32", "I64", "Damaged", "Reader", "TooMany", "structure", "structures"]

_TRUE, _FALSE, _BYTE, _I16, I32, I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = range(1, 14)
_WIDTHS = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8, _UUID: 16}
_BITS = {I32: 32, I64: 64}
_MAX_DEPTH = 16


class Damaged(Exception):
    """Bytes that are no such structure; says why."""


class TooMany(Damaged):
    """More items than a reader takes; `found` of them, at least."""

    def __init__(self, found: int) -> None:
        super().__init__("it has too many items")
        self.found = found


Wanted = dict[int, Any]
"""Field number → I32, I64, `structure(…)` or `structures(…)`."""


def structure(fields: Wanted) -> tuple[int, Wanted]:
    """A field that is a structure, of which these fields are wanted."""
    return _STRUCT, fields


def structures(fields: Wanted, weight: int = 1) -> tuple[int, Wanted, int]:
    """A field that is a list of structures, of each of which these fields are wanted; each counts as `weight` items."""
    return _LIST, fields, weight


class Reader:
    """Reads structures from bytes; Damaged or IndexError where there is none.

    `items` is how many structures and texts may stand in lists and maps, all together: each takes two or three bytes
    here and up to a kilobyte in the reader behind.
    """

    def __init__(self, data: bytes, items: int) -> None:
        self._data = data
        self._items = items
        self._taken = 0
        self.at = 0

    def read(self, wanted: Wanted, depth: int = 0) -> dict[int, Any]:
        """The wanted fields of the structure at `at`: numbers, structures as dicts, lists of those."""
        if depth > _MAX_DEPTH:
            raise Damaged("it is nested too deeply")
        found: dict[int, Any] = {}
        data, field = self._data, 0
        while head := data[self.at]:
            self.at += 1
            kind = head & 15
            step = head >> 4
            field = field + step if step else self._zigzag()
            if field not in wanted:
                self._skip(kind, depth)
                continue
            if field in found:
                raise Damaged(f"field {field} appears twice")
            found[field] = self._value(kind, wanted[field], depth)
        self.at += 1
        return found

    def _value(self, kind: int, form: Any, depth: int) -> Any:
        if isinstance(form, int):
            if kind != form:
                raise Damaged(f"a number has the type {kind}")
            value = self._zigzag()
            if not -(1 << (_BITS[form] - 1)) <= value < 1 << (_BITS[form] - 1):
                raise Damaged(f"a number of {_BITS[form]} bits is {value:,}")
            return value
        expected, fields, *weights = form
        if kind != expected:
            raise Damaged(f"a structure has the type {kind}")
        if kind == _STRUCT:
            return self.read(fields, depth + 1)
        size, of = self._list_head()
        if size and of != _STRUCT:
            raise Damaged(f"a list of structures has items of type {of}")
        self._take(size * weights[0])
        return [self.read(fields, depth + 1) for _ in range(size)]

    def _take(self, n: int) -> None:
        self._taken += n
        if self._taken > self._items:
            raise TooMany(self._taken)

    def _varint(self) -> int:
        data, at = self._data, self.at
        value = data[at]
        at += 1
        if value > 127:
            value &= 127
            shift = 7
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                if byte < 128:
                    break
                shift += 7
                if shift > 63:
                    raise Damaged("a number is too long")
        self.at = at
        return value

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _list_head(self) -> tuple[int, int]:
        head = self._data[self.at]
        self.at += 1
        size = head >> 4
        return (self._varint() if size == 15 else size), head & 15

    def _skip(self, kind: int, depth: int) -> None:
        if kind in (_I16, I32, I64):
            self._varint()
        elif kind in _WIDTHS:
            self.at += _WIDTHS[kind]
        elif kind == _BINARY:
            length = self._varint()
            self.at += length
            if self.at > len(self._data):
                raise IndexError("a text ends behind the end")
        elif kind == _STRUCT:
            self.read({}, depth + 1)
        elif kind in (_LIST, _SET):
            size, of = self._list_head()
            self._skip_items(size, of, depth)
        elif kind == _MAP:
            size = self._varint()
            if size:
                kinds = self._data[self.at]
                self.at += 1
                self._take(size)
                for _ in range(size):
                    self._skip_items(1, kinds >> 4, depth)
                    self._skip_items(1, kinds & 15, depth)
        else:
            raise Damaged(f"there is no type {kind}")

    def _skip_items(self, size: int, of: int, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise Damaged("it is nested too deeply")
        if of in (_TRUE, _FALSE, _BYTE, _DOUBLE, _UUID):  # a byte each for truth values in lists
            self.at += size * max(_WIDTHS[of], 1)
        elif of in (_I16, I32, I64):
            for _ in range(size):
                self._varint()
        else:
            self._take(size)
            for _ in range(size):
                self._skip(of, depth + 1)
        if self.at > len(self._data):
            raise IndexError("a list ends behind the end")
