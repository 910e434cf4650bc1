"""Damage that knows no format: the byte mutations of AFL, and numbers that programs stumble over."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

__all__ = ["HUGE", "havoc", "number", "put_number"]

HUGE = (0, 1, -1, 7, 8, 255, 256, 4096, 65_535, 65_536, 2**20, 2**30, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62)
_FORMS = ("<b", "<h", "<i", "<q")


def number(rng: random.Random, near: int = 0) -> int:
    """A number at an edge, or one close to what stood there."""
    if rng.random() < 0.5:
        return rng.choice(HUGE)
    return near + rng.choice((-9, -8, -7, -1, 1, 7, 8, 9, 64, near, 1000, -near - 1))


def put_number(rng: random.Random, data: bytearray, at: int, form: str) -> None:
    """Overwrites the number of struct's `form` at a position, where there is room for one."""
    size = struct.calcsize(form)
    if 0 <= at <= len(data) - size:
        found = struct.unpack_from(form, data, at)[0]
        value = number(rng, found) & ((1 << (8 * size)) - 1)
        data[at : at + size] = value.to_bytes(size, "little")


def havoc(rng: random.Random, body: bytes, others: Sequence[bytes] = (), most: int = 6) -> bytes:
    """One to `most` small mutations, one after the other."""
    data = bytearray(body)
    for _ in range(rng.randint(1, most)):
        n = len(data)
        if n == 0:
            data += rng.randbytes(rng.randint(1, 64))
            continue
        at, size = rng.randrange(n), rng.choice((1, 2, 4, 8, 16, 64, 256))
        match rng.randrange(9):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.randrange(256)
            case 2:
                form = rng.choice(_FORMS)
                step = struct.calcsize(form)
                put_number(rng, data, at // step * step, form)
            case 3:
                del data[at : at + size]
            case 4:
                data[at:at] = data[at : at + size] * rng.choice((1, 1, 2, 30))
            case 5:
                data[at:at] = rng.randbytes(size)
            case 6:
                data[at : at + size] = bytes([rng.choice((0, 255, 127, 128, 32))]) * min(size, n - at)
            case 7:
                del data[at:]
            case _:
                other = rng.choice(others) if others else body
                start = rng.randrange(len(other) + 1)
                data[at : at + size] = other[start : start + rng.choice((size, 4 * size))]
    return bytes(data)
