"""Numbers as a person reads them, and the bar of the segment table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

__all__ = ["bar", "column", "count", "percent", "score", "size"]

EIGHTHS = " ▏▎▍▌▋▊▉█"
FULL = EIGHTHS[8]
MARK = "│"
MISSING = "–"
STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"))


def count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"


def percent(ratio: float | None, digits: int = 1) -> str:
    return MISSING if ratio is None else f"{100 * ratio:.{digits}f} %"


def score(value: float | None) -> Text:
    """A value score: above the average customer's 0 or below it."""
    if value is None:
        return Text(MISSING)
    return Text(f"{value:+.2f}", style="green" if value > 0 else "red" if value < 0 else "")


def column(values: Sequence[float | None], unit: str = "") -> list[str]:
    """The figures of one column, all with the same decimals, so that they line up: three digits of the largest."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    step, suffix = next((pair for pair in STEPS if largest >= 10 * pair[0]), (1.0, ""))
    scaled = largest / step
    decimals = 0 if scaled >= 1000 else 1 if scaled >= 10 else 2 if scaled >= 0.1 or scaled == 0 else 5
    if unit:
        decimals = min(decimals, 1)
    return [MISSING if value is None else f"{value / step:,.{decimals}f}{suffix}{unit}" for value in values]


def bar(share: float, mark: float, top: float, width: int) -> Text:
    """A bar of `share` with a mark at `mark`, where `top` fills `width` cells."""
    style = "green" if share > mark else "blue"
    eighths = max(1, round(8 * width * share / top)) if share > 0 else 0
    cells = (FULL * (eighths // 8) + EIGHTHS[eighths % 8]).ljust(width)[:width]
    at = min(width - 1, max(0, int(width * mark / top)))
    inside = cells[at] == FULL
    text = Text(cells[:at] + MARK + cells[at + 1 :], style=style)
    text.stylize(f"bold white on {style}" if inside else "bold", at, at + 1)
    return text
