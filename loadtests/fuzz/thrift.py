"""Where the numbers of a thrift compact structure lie, and how to write them: footers and page headers of Parquet."""

from __future__ import annotations

__all__ = ["read_varint", "varint", "varints_of"]

_BOOLS, _BYTE, _INTS, _DOUBLE, _BINARY, _LISTS, _MAP, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 11, 12


def varint(value: int) -> bytes:
    """An unsigned number in groups of seven bits."""
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, position behind it)"""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def varints_of(data: bytes, start: int = 0) -> tuple[list[tuple[int, int, bool]], int]:
    """Numbers of the structure at `start`: (from, to, whether zigzag; lengths are not), and where it ends."""
    found: list[tuple[int, int, bool]] = []

    def number(at: int, zigzag: bool) -> tuple[int, int]:
        value, end = read_varint(data, at)
        found.append((at, end, zigzag))
        return value, end

    def skip(kind: int, at: int) -> int:
        if kind in _BOOLS:
            return at
        if kind == _BYTE:
            return at + 1
        if kind in _INTS:
            return number(at, True)[1]
        if kind == _DOUBLE:
            return at + 8
        if kind == _BINARY:
            length, at = number(at, False)
            return at + length
        if kind in _LISTS:
            size, of = data[at] >> 4, data[at] & 15
            at += 1
            if size == 15:
                size, at = number(at, False)
            for _ in range(size):
                at = at + 1 if of in _BOOLS else skip(of, at)
            return at
        if kind != _STRUCT:
            raise ValueError(f"no structure has a field of type {kind}")
        return struct(at)

    def struct(at: int) -> int:
        while (head := data[at]) != 0:
            at = at + 1 if head >> 4 else read_varint(data, at + 1)[1]
            at = skip(head & 15, at)
        return at + 1

    end = struct(start)
    return found, end
