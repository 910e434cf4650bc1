"""From the figures of a run to the rows of RELIABILITY.md."""

from __future__ import annotations

from typing import Any

from loadtests.reliability.report import Row

__all__ = ["rows_of"]

MB = 1e6
GROWTH_BYTES = 96 << 20
"""What the service may remember by design: forms of quick scores (64 MiB), their layouts (16 MiB), options, routes."""


def rows_of(figures: dict[str, Any]) -> list[Row]:
    """What was promised, and what was found."""
    formats = figures["formats"].values()
    bodies = sum(found["bodies"] for found in formats)
    faults = [fault for found in formats for fault in found["faults"]]
    hangs = sum("no answer within" in verdict["fault"] for _, verdict in faults)
    slowest = max(found["slowest_seconds"] for found in formats)
    killed = figures["killed_at_bytes"]
    died = "killed: over 1 GB" if killed else "0" if figures["alive"] else "died"
    told = ", ".join(f"{form} {found['bodies']:,}" for form, found in figures["formats"].items())
    start, end, peak = (figures.get(f"{name}_bytes", 0) for name in ("start", "end", "peak"))
    settled = figures["alive"] and end <= start + GROWTH_BYTES
    memory = f"{start / MB:.0f} MB before, {end / MB:.0f} MB after, peak {max(peak, killed) / MB:.0f} MB"
    return [
        Row("hostile/crashes", f"{bodies:,} mutated bodies ({told}) under 1 GB: crashes", died, "0", died == "0"),
        Row("hostile/hangs", "requests without an end", f"{hangs}, the slowest took {slowest:.1f} s", "0", not hangs),
        Row(
            "hostile/answers",
            "answers that are wrong: 5xx but 503, no problem+json, a 200 without its end, errors in the log",
            str(len(faults) - hangs + len(figures["log_errors"])),
            "0",
            len(faults) == hangs and not figures["log_errors"],
        ),
        Row("hostile/memory", "memory after all of them", memory, "back to its start, within 100 MB", settled),
    ]
