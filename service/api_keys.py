"""Who may call: API keys, kept as SHA-256 hashes with a name each, in a file that may change while the service runs.

One key a line, `NAME:SHA256` or `NAME:SHA256:RATE` or `NAME:SHA256:RATE:BURST`: the hash in 64 hex digits, the rate in
requests a second, the burst in requests at once (default: what the rate lets through in a second, at least 1). Empty
lines and lines that start with # are skipped. A name may stand on several lines, so that a new key can be handed out
before the old one is taken away; such keys share one rate. In the variable, spaces or commas separate what are lines in
the file.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from service.changes import signature
from service.logs import log
from service.rates import TokenBucket

__all__ = ["ApiKeys", "Key", "KeysError", "new_key", "parse_keys"]

PREFIX = "segserve_"  # so that scanners for leaked secrets, and people, know what it is
MAX_KEY_BYTES = 512
MAX_NAME = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_FORM = "NAME:SHA256[:RATE[:BURST]]"


class KeysError(ValueError):
    """The keys cannot be read; the message says which line, and never repeats a hash."""


class Key(NamedTuple):
    """One line."""

    name: str
    digest: bytes
    """SHA-256 of the key, 32 bytes."""
    rate: float | None
    """Requests a second; None: any."""
    burst: float


def new_key(name: str, rate: float | None = None) -> tuple[str, str]:
    """A new random key of 256 bits, and the line that lets it in; KeysError where the name cannot be one."""
    key = PREFIX + secrets.token_urlsafe(32)
    line = f"{name}:{hashlib.sha256(key.encode()).hexdigest()}" + ("" if rate is None else f":{rate:g}")
    parse_keys(line, "the new key")
    return key, line


def parse_keys(text: str, where: str) -> list[Key]:
    """The keys of a file's text; `where` names it in a KeysError."""
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if (entry := line.strip()) and not entry.startswith("#"):
            keys.append(_key(entry, f"{where}, line {number}"))
    _check(keys, where)
    return keys


def _key(entry: str, where: str) -> Key:
    name, *rest = entry.split(":")
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise KeysError(
            f"{where}: a name has up to {MAX_NAME} letters, digits, dots, dashes and underscores, and starts with a "
            f"letter or a digit; the form is {_FORM}"
        )
    if not 1 <= len(rest) <= 3 or not _HASH.fullmatch(rest[0]):
        raise KeysError(f"{where}: {name} needs the SHA-256 of its key in 64 hex digits; the form is {_FORM}")
    numbers = [_number(text, f"{where}: {name}") for text in rest[1:]]
    rate = numbers[0] if numbers else None
    burst = numbers[1] if len(numbers) == 2 else max(1.0, rate or 1.0)
    if burst < 1:
        raise KeysError(f"{where}: {name} has a burst below 1, which lets no request through")
    return Key(name, bytes.fromhex(rest[0]), rate, burst)


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.001 <= number <= 1e6:
        raise KeysError(f"{where}: rate and burst are numbers from 0.001 to 1000000")
    return number


def _check(keys: Iterable[Key], where: str) -> None:
    rates: dict[str, tuple[float | None, float]] = {}
    owners: dict[bytes, str] = {}
    for key in keys:
        if rates.setdefault(key.name, (key.rate, key.burst)) != (key.rate, key.burst):
            raise KeysError(f"{where}: the keys named {key.name} have different rates; they share one")
        if owners.setdefault(key.digest, key.name) != key.name:
            raise KeysError(f"{where}: {owners[key.digest]} and {key.name} have the same hash; a key has one name")


class ApiKeys:
    """The keys of one process: known by their hash, counted by their name. Used from the event loop only."""

    def __init__(self, listed: str | None = None, file: str | None = None) -> None:
        """Keys of a variable's text and of a file; KeysError where one of them cannot be read."""
        self._listed = parse_keys("\n".join(re.split(r"[\s,]+", listed)), "SEGSERVE_API_KEYS") if listed else []
        self._path = Path(file) if file else None
        self._seen: object = None  # of the file: what tells a change
        self._keys: list[Key] = []
        self._known: dict[bytes, Key] = {}
        self.buckets: dict[str, TokenBucket] = {}
        self.accepted: dict[str, int] = {}
        self.limited: dict[str, int] = {}
        self.failed = False
        """Whether the file, as it is now, cannot be used; the keys are then those it had before."""
        self.required = bool(self._listed) or self._path is not None
        """Whether a caller needs a key: also while a file has none, so that emptying it lets nobody in."""
        if self._path is not None:
            self._seen = signature(self._path)
        self._take(self._read())

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def names(self) -> list[str]:
        return list(self.accepted)

    def find(self, key: bytes) -> Key | None:
        """The entry of a caller's key.

        A wrong key is compared with every hash, each in constant time. One that was right is remembered as it came:
        whoever wanted to learn from how long it takes to look it up would have to know the seed of the process's hash.
        """
        found = self._known.get(key)
        if found is None and len(key) <= MAX_KEY_BYTES:
            digest = hashlib.sha256(key).digest()
            for entry in self._keys:
                if hmac.compare_digest(entry.digest, digest):
                    found = entry
            if found is not None:
                self._known[key] = found
        return found

    def refresh(self) -> None:
        """Reads the file again where it has changed. One that cannot be used changes nothing, but is told."""
        if self._path is None:
            return
        seen = signature(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._take(self._read())
        except KeysError as error:
            self.failed = True
            log.error("keys not reloaded", extra={"fields": {"reason": str(error), "keys": self.names}})
            return
        self.failed = False
        log.info("keys reloaded", extra={"fields": {"keys": self.names}})

    def _read(self) -> list[Key]:
        if self._path is None:
            return self._listed
        try:
            text = self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise KeysError(f"SEGSERVE_API_KEYS_FILE={self._path} cannot be read: {error}") from error
        keys = [*self._listed, *parse_keys(text, str(self._path))]
        _check(keys, f"SEGSERVE_API_KEYS and {self._path}" if self._listed else str(self._path))
        return keys

    def _take(self, keys: list[Key]) -> None:
        """Lets these keys in. Who stays keeps what was counted and, with the same rate, what is left in the bucket."""
        self._keys = keys
        self._known = {}
        names = dict.fromkeys(key.name for key in keys)
        self.accepted = {name: self.accepted.get(name, 0) for name in names}
        self.limited = {name: self.limited.get(name, 0) for name in names}
        self.buckets = dict(_buckets(keys, self.buckets))


def _buckets(keys: Iterable[Key], before: dict[str, TokenBucket]) -> Iterator[tuple[str, TokenBucket]]:
    for name, rate, burst in {(key.name, key.rate, key.burst) for key in keys}:
        if rate is not None:
            old = before.get(name)
            kept = old is not None and (old.rate, old.burst) == (rate, burst)
            yield name, old if old is not None and kept else TokenBucket(rate, burst)
