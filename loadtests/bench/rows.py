"""A row of the results: what was measured, on which data, by whom, and whether the target is met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from loadtests.bench.timing import Spread

__all__ = ["Row", "at_least", "at_most", "faster_than_peers", "within"]

OURS = "segserve"


@dataclass
class Row:
    """One line of the table. `values` are medians of `rounds` rounds, in `unit`, by contestant."""

    key: str  # part/case, the same in every run
    what: str
    data: str
    unit: str
    values: dict[str, float]
    ratio: float | None
    ratio_of: str  # what the ratio compares
    target: float | None
    direction: Literal["≥", "≤"]
    rounds: int
    spreads: dict[str, list[float]] = field(default_factory=dict)  # least and largest round
    missing: list[str] = field(default_factory=list)  # peers that are not installed
    note: str = ""

    @property
    def part(self) -> str:
        return self.key.partition("/")[0]

    @property
    def passed(self) -> bool | None:
        """None where there is nothing to compare with."""
        if self.ratio is None or self.target is None:
            return None
        return self.ratio >= self.target if self.direction == "≥" else self.ratio <= self.target

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


def _measured(found: Mapping[str, Spread]) -> dict[str, Any]:
    return {
        "values": {name: value.median for name, value in found.items()},
        "spreads": {name: [value.least, value.largest] for name, value in found.items()},
    }


def faster_than_peers(
    key: str,
    what: str,
    data: str,
    seconds: Mapping[str, Spread],
    target: float | None,
    *,
    rounds: int,
    peers: list[str] | None = None,
    missing: list[str] | None = None,
    note: str = "",
) -> Row:
    """Seconds of the fastest peer over ours. `peers`: those that count; the others are only told."""
    counted = [name for name in (peers if peers is not None else seconds) if name != OURS and name in seconds]
    best = min(counted, key=lambda name: seconds[name].median) if counted else None
    ratio = seconds[best].median / seconds[OURS].median if best else None
    ratio_of = f"{best} / {OURS}" if best else "no peer is installed"
    return Row(
        key, what, data, "s", ratio=ratio, ratio_of=ratio_of, target=target, direction="≥", rounds=rounds,
        missing=missing or [], note=note, **_measured(seconds),
    )  # fmt: skip


def within(
    key: str, what: str, data: str, unit: str, found: Mapping[str, Spread], limit: str, target: float, *, rounds: int,
    note: str = "",
) -> Row:  # fmt: skip
    """Our value over that of `limit`: at most `target`."""
    ratio = found[OURS].median / found[limit].median
    return Row(
        key, what, data, unit, ratio=ratio, ratio_of=f"{OURS} / {limit}", target=target, direction="≤", rounds=rounds,
        note=note, **_measured(found),
    )  # fmt: skip


def at_least(
    key: str, what: str, data: str, unit: str, found: Mapping[str, Spread], limit: str, target: float, *, rounds: int,
    missing: list[str] | None = None, note: str = "",
) -> Row:  # fmt: skip
    """Our value over that of `limit`: at least `target`."""
    row = within(key, what, data, unit, found, limit, target, rounds=rounds, note=note)
    row.direction, row.missing = "≥", missing or []
    return row


def at_most(
    key: str, what: str, data: str, unit: str, value: float, target: float | None, ratio_of: str, *, note: str = ""
) -> Row:
    """One value of ours, measured once, that must not exceed the target."""
    return Row(key, what, data, unit, {OURS: value}, value, ratio_of, target, "≤", 1, note=note)
