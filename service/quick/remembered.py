"""What was prepared for forms of requests seen before: the most recent ones, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Remembered"]

V = TypeVar("V")


class Remembered(Generic[V]):
    """A mapping that forgets what was used longest ago, so that callers who vary their requests cannot fill memory."""

    def __init__(self, max_bytes: int) -> None:
        self._entries: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._max_bytes = max_bytes
        self._bytes = 0

    def get(self, key: Hashable) -> V | None:
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        """Keeps the value; `size` is about how many bytes it and its key hold."""
        old = self._entries.pop(key, None)
        self._bytes += size - (old[1] if old else 0)
        self._entries[key] = value, size
        while self._bytes > self._max_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self._bytes -= freed

    def __len__(self) -> int:
        return len(self._entries)
