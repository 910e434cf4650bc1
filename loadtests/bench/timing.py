"""Interleaved measuring: every contestant once per round, in rotating order, after a warm-up; medians are told."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["Spread", "interleaved", "interleaved_seconds", "spread"]


class Spread(NamedTuple):
    """Median, least and largest of a contestant's rounds."""

    median: float
    least: float
    largest: float


def spread(values: list[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


def interleaved(contestants: Mapping[str, Callable[[int], Any]], rounds: int) -> dict[str, list[Any]]:
    """What each contestant returned in each round, called with the round's number; warmed up by round −1, not kept.

    The order rotates, so that nobody always comes after the same one: threads that spin on and caches that another one
    filled then hit everybody alike.
    """
    names = list(contestants)
    for name in names:
        contestants[name](-1)
    gc.collect()
    gc.freeze()  # what is there stays: a collection then costs next to nothing
    found: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            gc.collect()
            found[name].append(contestants[name](number))
    gc.unfreeze()
    return found


def interleaved_seconds(contestants: Mapping[str, Callable[[int], Any]], rounds: int) -> dict[str, Spread]:
    """How long each contestant takes; what it returns is dropped once the clock has stopped."""

    def timed(work: Callable[[int], Any]) -> Callable[[int], float]:
        def run(number: int) -> float:
            start = time.perf_counter()
            result = work(number)
            seconds = time.perf_counter() - start
            del result
            return seconds

        return run

    found = interleaved({name: timed(work) for name, work in contestants.items()}, rounds)
    return {name: spread(seconds) for name, seconds in found.items()}
